"""Reads the payloads of forges: what isn't as documented is missing, and never a fault of ours."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from environments.domain.preview import is_pull
from environments.domain.received_event import FieldValue, NewReceivedEvent, Source, fields_of
from environments.service.webhook_kinds import Ignored

NOBODY = "0" * 40
"""The commit that forges name for a branch that isn't there."""

BRANCHES = "refs/heads/"
_LONGEST_REPOSITORY = 255
_LONGEST_REF = 1000


class Payload:
    """A JSON object of a stranger."""

    def __init__(self, value: object) -> None:
        self._value: Mapping[str, Any] = value if isinstance(value, Mapping) else {}

    @property
    def value(self) -> Mapping[str, Any]:
        """The object itself."""
        return self._value

    def part(self, *path: str) -> "Payload":
        """The object at a path; an empty one if there is none."""
        return Payload(self._at(path))

    def text(self, *path: str) -> str:
        """The text at a path; empty if there is none."""
        found = self._at(path)
        return found if isinstance(found, str) else ""

    def number(self, *path: str) -> int | None:
        """The whole number at a path."""
        found = self._at(path)
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def flag(self, *path: str) -> bool:
        """Whether there is `true` at a path."""
        return self._at(path) is True

    def has(self, *path: str) -> bool:
        """Whether there is anything but null at a path."""
        return self._at(path) is not None

    def names(self, *path: str, name: str = "name") -> tuple[str, ...]:
        """The member `name` of each object of the list at a path."""
        found = self._at(path)
        entries = found if isinstance(found, list) else []
        return tuple(text for text in (Payload(entry).text(name) for entry in entries) if text)

    def moment(self, *path: str) -> datetime | None:
        """The moment at a path."""
        return moment_of(self.text(*path))

    def _at(self, path: Iterable[str]) -> object:
        found: object = self._value
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found


def is_of_nobody(head: object) -> bool:
    """Whether the head of a pull request is no branch of any repository.

    Gitea and Forgejo take pull requests by a push to `refs/for/…` of whoever may read the repository. They name the
    repository itself as that of the head, with an empty label: its code is a stranger's all the same.
    """
    return isinstance(head, Mapping) and head.get("label") == ""


def moment_of(text: str) -> datetime | None:
    """A moment as forges write it: `2026-11-20T10:00:00Z`, `2026-11-20 10:00:00 UTC`; None for anything else."""
    try:
        found = datetime.fromisoformat(text[:40].strip().replace(" UTC", "+00:00").replace(" +", "+"))
    except ValueError:
        return None
    try:
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return None


def pull_request_events(
    kinds: Iterable[tuple[str, str]], origin: str, delivery: str, fields: Mapping[str, Any], at: datetime | None
) -> list[NewReceivedEvent] | Ignored:
    """An event for each kind, with the label that was given or taken.

    `fields` are those of `Source.PULL_REQUEST` without `label`.
    """
    repository, number = fields["repository"], fields["number"]
    if not repository or len(repository) > _LONGEST_REPOSITORY or not is_pull(number):
        return Ignored("incomplete")
    return [
        NewReceivedEvent(
            source=Source.PULL_REQUEST,
            kind=kind,
            origin=origin,
            delivery=delivery if index == 0 else f"{delivery}#{index}",
            subject=f"{repository}#{number}",
            fields=fields_of({**fields, "label": label}),
            at=at,
        )
        for index, (kind, label) in enumerate(kinds)
    ]


def branch_event(
    origin: str, delivery: str, *, repository: str, branch: str, sha: str, before: str, author: str
) -> list[NewReceivedEvent] | Ignored:
    """The event of a branch that was pushed to; one whose commit is `NOBODY` was deleted."""
    if not repository or not branch or len(repository) > _LONGEST_REPOSITORY or len(branch) > _LONGEST_REF:
        return Ignored("incomplete")
    deleted = not sha.strip("0")
    fields: dict[str, FieldValue] = {
        "repository": repository,
        "branch": branch,
        "sha": "" if deleted else sha,
        "before": before if before.strip("0") else "",
        "deleted": deleted,
        "author": author,
    }
    return [
        NewReceivedEvent(
            source=Source.BRANCH,
            kind="deleted" if deleted else "pushed",
            origin=origin,
            delivery=delivery,
            subject=f"{repository}@{branch}",
            fields=fields_of(fields),
        )
    ]


def push_events(
    payload: Payload, origin: str, delivery: str, *, repository: str, author: str
) -> list[NewReceivedEvent] | Ignored:
    """The event of a push, which all forges tell of in the same members. Tags aren't used."""
    ref = payload.text("ref")
    if not ref.startswith(BRANCHES):
        return Ignored("not_a_branch")
    return branch_event(
        origin,
        delivery,
        repository=repository,
        branch=ref.removeprefix(BRANCHES),
        sha=payload.text("after"),
        before=payload.text("before"),
        author=author,
    )


def delete_events(
    payload: Payload, origin: str, delivery: str, *, repository: str, author: str
) -> list[NewReceivedEvent] | Ignored:
    """The event of a branch that was deleted, as GitHub and Gitea tell of it. Tags aren't used."""
    if payload.text("ref_type") != "branch":
        return Ignored("not_a_branch")
    branch = payload.text("ref")
    return branch_event(origin, delivery, repository=repository, branch=branch, sha="", before="", author=author)
