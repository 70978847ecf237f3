"""Computes deadlines again after an edit that concerns many environments, in pages, each in a transaction of its own.

The edit marks the environments in its own transaction, so nothing is forgotten, whatever process ends when. What is
marked isn't destroyed, stopped or started until it was computed again. What can't be computed, such as a rule of a
template that this version of the service can't read, keeps its deadline and its mark: the next process tries again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from environments.domain.environment import Environment
from environments.domain.template_parts import Template
from environments.domain.timing import Because, Scope, TimedAction
from environments.service.deadlines import NOT_COMPUTED, holidays_of, retimed, tell_moved, timing_of
from environments.service.storage.transaction import Storage, Transaction
from environments.service.timing import Due, next_one
from environments.service.timing_facts import Change, Facts, Templates

PAGE = 200
"""Environments that one transaction computes."""

MOST_PREVIEWED = 1000
"""Environments that a preview computes; it says so when there are more."""

_MOST_TEMPLATES = 500
"""Templates that are kept in memory; with more, all are read again."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Move:
    """A deadline that an edit moves: from `before` to `deadline` (UTC; None: never), because of what."""

    environment: Environment
    before: datetime | None
    deadline: datetime | None
    because: Because | None


@dataclass(frozen=True)
class SwitchMove:
    """A next stop or start (`action`) that an edit moves: from `before` to `at` (UTC; None: none), because of what."""

    environment: Environment
    action: TimedAction
    before: datetime | None
    at: datetime | None
    because: Because | None


@dataclass(frozen=True)
class Preview:
    """What an edit moves: `concerned` environments, of which `computed` were; `moved` deadlines of these move.

    `switches_moved` next stops and starts move too. `moves` and `switch_moves`, soonest first, are each at most as many
    as asked for.
    """

    concerned: int
    computed: int
    moved: int
    moves: tuple[Move, ...]
    switches_moved: int
    switch_moves: tuple[SwitchMove, ...]


class Retiming:
    """Computes again what was marked."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], zones: Callable[[], str]) -> None:
        """`zones` gives the version of the zone database in use."""
        self._storage = storage
        self._clock = clock
        self._zones = zones
        self._zones_checked = False
        self._templates: Templates = {}

    def settle(self, go_on: Callable[[], bool] = lambda: True) -> int:
        """Computes all that is marked, while `go_on`; returns how many.

        The first call compares the zone databases, and tries again what an earlier process could not compute.
        """
        if not self._zones_checked:
            self._check_zones()
            self._zones_checked = True
        done, some = 0, PAGE
        while some == PAGE and go_on():
            with self._storage.read() as tx:
                if not tx.environments.to_retime(1):
                    break
            with self._storage.write() as tx:
                some = self.page(tx)
            done += some
        return done

    def page(self, tx: Transaction) -> int:
        """Computes a page of what is marked, in the caller's transaction; returns how many it was."""
        if len(self._templates) > _MOST_TEMPLATES:
            self._templates = {}
        facts, now = Facts(tx, self._templates), self._clock()
        found = tx.environments.to_retime(PAGE)
        for environment, why in found:
            changes = _computed(environment, now, facts)
            if changes is None:
                tx.environments.keep_mark(environment.id)
                continue
            tx.environments.change(environment.id, **changes)
            tell_moved(tx, environment, now, why, changes)
            tx.environments.retimed(environment.id)
        return len(found)

    def _check_zones(self) -> None:
        version = self._zones()
        with self._storage.write() as tx:
            tx.environments.retime_kept()
            before = tx.calendars.zones()
            if before == version:
                return
            tx.calendars.set_zones(version)
            if before is not None:
                log.info("zones.changed", before=before, now=version)
                tx.environments.mark_to_retime(f"the zone database is {version} instead of {before}")


def preview(tx: Transaction, change: Change, now: datetime, most: int) -> Preview:
    """What a change would move. It writes nothing."""
    owner = change.name if change.scope is Scope.OWNER else None
    template = change.name if change.scope is Scope.TEMPLATE else None
    facts = Facts(tx, change=change)
    stored = Facts(tx, facts.templates)
    moves: list[Move] = []
    switches: list[SwitchMove] = []
    computed, after = 0, ""
    while computed < MOST_PREVIEWED:
        found = tx.environments.living(owner=owner, template=template, after=after, limit=PAGE)
        for environment in found:
            changes = _computed(environment, now, facts)
            if changes is not None and changes["deadline"] != environment.deadline:
                moves.append(Move(environment, environment.deadline, changes["deadline"], changes["deadline_because"]))
            if changes is not None:
                switches += _switch_moves(environment, stored, facts, now)
        computed += len(found)
        if len(found) < PAGE:
            break
        after = found[-1].id
    concerned = tx.environments.count_living(owner=owner, template=template)
    moves.sort(key=lambda move: (move.deadline is None, move.deadline))
    switches.sort(key=lambda move: (move.at is None, move.at))
    return Preview(concerned, computed, len(moves), tuple(moves[:most]), len(switches), tuple(switches[:most]))


def _switch_moves(environment: Environment, stored: Facts, changed: Facts, now: datetime) -> Iterator[SwitchMove]:
    """Its next stop and its next start, as far as they move."""
    template = changed.template(environment)
    try:
        for action in (TimedAction.STOP, TimedAction.START):
            before, after = (_next(facts, environment, template, action, now) for facts in (stored, changed))
            old, new = (None if due is None else due.at for due in (before, after))
            if old != new:
                yield SwitchMove(environment, action, old, new, None if after is None else after.because)
    except NOT_COMPUTED as error:
        log.warning("switch.not_computed", environment=environment.name, reason=str(error))


def _next(
    facts: Facts, environment: Environment, template: Template | None, action: TimedAction, now: datetime
) -> Due | None:
    timing = timing_of(facts, environment, template)
    return next_one(timing, holidays_of(facts, timing), action, now)


def _computed(environment: Environment, now: datetime, facts: Facts) -> dict[str, Any] | None:
    """The columns; None if what is stored can't be computed, and the deadline therefore stays.

    A template that can't be read may have rules, so without them a deadline would move to a later moment.
    """
    try:
        template = facts.template(environment)
        if template is None:
            log.warning("deadline.kept", environment=environment.name, reason="its template can't be read")
            return None
        return retimed(facts, environment, template, now)
    except NOT_COMPUTED as error:
        log.warning("deadline.kept", environment=environment.name, reason=str(error))
        return None
