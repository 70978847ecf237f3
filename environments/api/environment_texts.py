"""Lists of environments as JSON. Most environments of a list haven't changed since the last one: their JSON is kept."""

from collections.abc import Mapping, Sequence

from pydantic_core import to_json

from environments.api.presenting import environment
from environments.domain.environment import Environment
from environments.service.standing import EnvironmentStanding

MOST_KEPT = 16 * 1024 * 1024
"""Bytes of JSON that are kept, with about six times as many for the records; beyond that all of it is forgotten."""

_NOT_OF_ALL = {"outputs", *EnvironmentStanding._fields}
"""Fields that aren't in every list, or that depend on who asks."""


class EnvironmentTexts:
    """Makes JSON of the very same record once, whoever asks for it. Used by several threads."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._made: dict[str, tuple[Environment, bytes, bytes]] = {}
        self._bytes = 0

    def of(self, found: Sequence[Environment], standings: Mapping[str, EnvironmentStanding], *, outputs: bool) -> bytes:
        """A JSON array with the views of these environments, for somebody of these standings, by their ids."""
        views: list[bytes] = []
        ends: dict[int, bytes] = {}
        for record in found:
            standing = standings[record.id]
            end = ends.get(id(standing))  # most are the same one; a hash of its many texts would take longer
            if end is None:
                end = ends[id(standing)] = to_json(standing._asdict())[1:]
            beginning, its_outputs = self._of(record)
            views.append(beginning + its_outputs + end if outputs else beginning + end)
        return b"[" + b",".join(views) + b"]"

    def _of(self, record: Environment) -> tuple[bytes, bytes]:
        """How the object begins, with all that doesn't depend on who asks, and its outputs; each ends with a comma."""
        seen = self._made.get(record.id)
        if seen is None or seen[0] is not record:
            if self._bytes > self._most:
                self._made, self._bytes = {}, 0
            view = environment(record)
            beginning = view.model_dump_json(exclude=_NOT_OF_ALL).encode()[:-1] + b","
            outputs = view.model_dump_json(include={"outputs"}).encode()[1:-1] + b","
            seen = self._made[record.id] = record, beginning, outputs
            self._bytes += len(beginning) + len(outputs)  # includes what was replaced
        return seen[1:]
