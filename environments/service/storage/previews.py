"""The port to the database: previews, one for each pull request that a trigger looks after."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from environments.domain.access import EVERYTHING, Sight
from environments.domain.lifecycle import State
from environments.domain.preview import Preview
from environments.service.pages import Page


class PreviewDetails(NamedTuple):
    """A preview, the name of its trigger (empty: it was removed), and the state of its environment, if it has one."""

    preview: Preview
    trigger: str
    state: State | None = None


class Previews(Protocol):
    """Reading and writing previews."""

    def add(self, preview: Preview) -> bool:
        """Adds a preview; False if its trigger has one of that number already."""
        ...

    def get(self, preview_id: str) -> Preview | None:
        """One preview. In a writing transaction nobody else can change it until that ends."""
        ...

    def of(self, trigger_id: str, number: int) -> Preview | None:
        """The preview of a pull request, likewise."""
        ...

    def change(self, preview_id: str, **values: Any) -> None:
        """Writes the named fields of a preview."""
        ...

    def due(self, now: datetime, limit: int) -> dict[str, str]:
        """Ids of previews that are to be looked at, the longest overdue first, with their webhooks."""
        ...

    def look(
        self, now: datetime, *, webhook: str, repository: str, number: int | None = None, branch: str | None = None
    ) -> int:
        """Has the previews of that pull request, or of that branch, looked at now; returns how many."""
        ...

    def look_again(self, preview_ids: Sequence[str], now: datetime) -> None:
        """Has these looked at, also those that were to be looked at sooner or later."""
        ...

    def open_of(self, trigger_id: str) -> list[Preview]:
        """Previews of a trigger that haven't ended for good, by number."""
        ...

    def change_open(self, webhook: str, **values: Any) -> None:
        """Writes the named fields of all previews of a webhook that haven't ended for good."""
        ...

    def living(self, webhook: str) -> int:
        """How many previews of a webhook have an environment that hasn't ended."""
        ...

    def triggers(self) -> frozenset[str]:
        """Ids of all triggers that have a preview which hasn't ended for good."""
        ...

    def repositories(self) -> frozenset[tuple[str, str]]:
        """The webhook and the repository, in lower case, of all previews that haven't ended for good."""
        ...

    def behind(self, limit: int) -> list[str]:
        """Ids of previews that nobody is to look at, and whose environment got its state since the last look."""
        ...

    def shown(
        self,
        sight: Sight = EVERYTHING,
        owners: Collection[str] | None = None,
        *,
        ended: bool = False,
        limit: int | None = None,
        skip: int = 0,
    ) -> Page[PreviewDetails]:
        """Previews with environments in sight, and of triggers of these owners (None: all of them).

        By repository and number, without the first `skip`: those that haven't ended for good, with `ended` all that are
        kept. Those that have neither an environment nor a fault are left out.
        """
        ...

    def forget(self, before: datetime, limit: int) -> int:
        """Forgets previews that had ended before a moment; returns how many."""
        ...
