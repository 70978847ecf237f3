"""The overview of environments: sorted and filtered lists of what somebody sees, and how many there are."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from environments.domain.access import EVERYONE, Sight
from environments.domain.environment import Environment
from environments.domain.lifecycle import State
from environments.service.authorization import Principal
from environments.service.pages import Page
from environments.service.selection import Order, Selection, place_of, place_text, read_place
from environments.service.standing import EnvironmentStanding, Whose, standings
from environments.service.storage.transaction import Storage


class Listed(NamedTuple):
    """A page of a sorted list. `after`: where the next one begins. `standings`: what the reader is for each, by id."""

    page: Page[Environment]
    standings: dict[str, EnvironmentStanding]
    after: str


class Counts(NamedTuple):
    """How many environments there are by state, and how many of them a person should look at.

    `newest`: name of a template → digest of its newest version. `events_after`: all of this is from no earlier than the
    event of that id.
    """

    states: Mapping[State, int]
    attention: int
    newest: dict[str, str]
    events_after: int


class Overview:
    """Answers queries; changes nothing."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def listing(
        self,
        principal: Principal,
        which: Selection,
        whose: Whose | None,
        *,
        order: Order,
        descending: bool,
        after: str | None,
        limit: int,
    ) -> Listed:
        """A page of what the principal sees. Raises `InvalidInput` for a place that isn't one of this order."""
        place = None if after is None else read_place(order, after)
        sight, which = theirs(principal, which, whose)
        with self._storage.read() as tx:
            page = tx.environments.selected(sight, which, order=order, descending=descending, after=place, limit=limit)
            behind = place_text(order, place_of(order, page[-1])) if page else ""
            return Listed(page, standings(tx, principal, page), behind)

    def counts(self, principal: Principal, which: Selection, whose: Whose | None) -> Counts:
        """How many the principal sees."""
        sight, which = theirs(principal, which, whose)
        with self._storage.read() as tx:
            newest_event = tx.events.newest()
            counted = tx.environments.counted(sight, which)
            newest = {one.name: one.digest for one in tx.templates.newest()}
            return Counts(counted.states, counted.attention, newest, newest_event)


def theirs(principal: Principal, which: Selection, whose: Whose | None) -> tuple[Sight, Selection]:
    """What the principal sees of a selection: what they own, what others share with them, or all."""
    subjects = principal.subjects - {EVERYONE}
    if whose is Whose.MINE:
        return principal.sight, replace(which, owners=subjects)
    if whose is Whose.SHARED:
        return Sight.of(principal.subjects, principal.scope, principal.at), replace(which, not_owners=subjects)
    return principal.sight, which
