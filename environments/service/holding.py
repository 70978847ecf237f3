"""What people do with holds: see them, release them, or cancel the destroys that they hold."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from environments.domain.deadline import later, parse_duration
from environments.domain.environment import Environment, EventType
from environments.domain.errors import NotAllowedNow, NotFound, StorageError
from environments.domain.holds import Hold, HoldDecision, HoldKind
from environments.domain.timing import Pin
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.deadlines import NOT_COMPUTED, active_pin, pinned_only, read_template, timed
from environments.service.pages import Page
from environments.service.storage.transaction import Storage, Transaction

_NAMED = 20
"""Environments of a hold that are named."""

_AT_ONCE = 100
"""Environments that are kept in one transaction."""

KEPT_FOR = timedelta(hours=24)

log = structlog.get_logger()


class HoldDetails(NamedTuple):
    """A hold; how many environments that the caller may see it holds, and the names of some of them."""

    hold: Hold
    environments: int
    names: tuple[str, ...]


class Holding:
    """Answers about holds, and carries out what admins decide about them."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock

    def list(
        self, principal: Principal, *, ended: bool = False, limit: int | None = None, before: str | None = None
    ) -> Page[HoldDetails]:
        """Open holds, with `ended` all of them, newest first. Raises `NotFound` when there is none `before`."""
        with self._storage.read() as tx:
            found = tx.holds.all(ended=ended, limit=limit, before=before)
            return found.each(lambda hold: _details(tx, principal, hold))

    def counts(self) -> dict[str, int]:
        """Open holds, by kind, with the number of environments that they hold."""
        with self._storage.read() as tx:
            return {hold.kind.value: tx.holds.count(hold.id) for hold in tx.holds.open()}

    def notices(self) -> dict[str, str]:
        """A sentence for each open hold, by its id: for readiness and `doctor`."""
        with self._storage.read() as tx:
            return {
                hold.id: f"Destroys by the clock are held, {tx.holds.count(hold.id)} so far: {hold.reason}"
                for hold in tx.holds.open()
            }

    def release(self, principal: Principal, hold_id: str, reason: str, seen: int | None = None) -> HoldDetails:
        """Lets the clock destroy what the hold holds. Raises `Forbidden`, `NotFound`, `NotAllowedNow`.

        `seen`: how many environments it held when the admin looked; with more by now nothing is released. What was
        held because clocks disagree is judged as if they agreed, however many: it may be held for another reason.
        """
        with self._storage.write() as tx:
            may(tx, principal, Action.HOLD_RELEASE)
            hold = _open(tx, hold_id)
            details = _details(tx, principal, hold)
            held = tx.holds.count(hold.id)
            if hold.kind is not HoldKind.CLOCK and seen is not None and held > seen:
                raise NotAllowedNow(
                    f"The hold {hold.id} holds {held} environments by now, and {seen} when you looked.",
                    hint="Look again with `calvinverse hold list`, then decide.",
                )
            _tell(tx, details, reason)
            if hold.kind is HoldKind.CLOCK:
                tx.holds.let_go(hold.id)
            else:
                tx.holds.release(hold.id)
            return details._replace(
                hold=self._decided(tx, details.hold, HoldDecision.RELEASED, principal, reason, self._clock())
            )

    def cancel(self, principal: Principal, hold_id: str, reason: str, keep_for: str | None = None) -> HoldDetails:
        """Pins what the hold holds for `keep_for` (a duration) from now, also past a maximum.

        Raises `Forbidden`, `NotFound`, `NotAllowedNow`, `InvalidLifetime`.
        """
        check_service(principal, Action.HOLD_CANCEL)
        keep = parse_duration(keep_for) if keep_for is not None else KEPT_FOR
        details: HoldDetails | None = None
        while True:
            with self._storage.write() as tx:
                hold = _open(tx, hold_id)
                if details is None:
                    may(tx, principal, Action.HOLD_CANCEL)
                    details = _details(tx, principal, hold)
                    _tell(tx, details, reason)
                some = tx.holds.held(hold.id, limit=_AT_ONCE)
                now = self._clock()
                for environment_id in some:
                    _keep(tx, environment_id, principal, hold, reason, now, keep)
                if not tx.holds.count(hold.id):
                    done = self._decided(tx, details.hold, HoldDecision.CANCELLED, principal, reason, now)
                    return details._replace(hold=done)

    def _decided(
        self,
        tx: Transaction,
        hold: Hold,
        decision: HoldDecision,
        principal: Principal,
        reason: str,
        now: datetime,
    ) -> Hold:
        tx.holds.decide(hold.id, decision, principal.owner, now, reason)
        log.warning("hold.decided", hold=hold.id, decision=decision.value, by=principal.owner, reason=reason)
        changes = {"decision": decision, "decided_at": now, "decided_by": principal.owner, "decision_reason": reason}
        return hold.model_copy(update=changes)


def _tell(tx: Transaction, details: HoldDetails, reason: str) -> None:
    """Tells the audit log which hold is decided about, and why."""
    about = {"kind": details.hold.kind.value, "environments": details.environments}
    tx.audit.changed(before=about, object_kind="hold", object_id=details.hold.id, reason=reason)


def _open(tx: Transaction, hold_id: str) -> Hold:
    hold = tx.holds.get(hold_id)
    if hold is None:
        raise NotFound(f"There is no hold {hold_id!r}.", hint="See the holds with `calvinverse hold list`.")
    if hold.decision is not None:
        raise NotAllowedNow(
            f"The hold {hold.id} was {hold.decision.value} by {hold.decided_by} already.",
            hint="See the holds with `calvinverse hold list`.",
        )
    return hold


def _details(tx: Transaction, principal: Principal, hold: Hold) -> HoldDetails:
    if principal.sight.unlimited and hold.kind is not HoldKind.CLOCK and hold.cause:  # it may name others
        hold = hold.model_copy(update={"reason": f"{hold.reason} {hold.cause}"})
    if hold.decision is not None:
        return HoldDetails(hold, 0, ())
    found = (tx.environments.get(each) for each in tx.holds.held(hold.id, sight=principal.sight, limit=_NAMED))
    return HoldDetails(
        hold, tx.holds.count(hold.id, sight=principal.sight), tuple(one.name for one in found if one is not None)
    )


def _keep(
    tx: Transaction,
    environment_id: str,
    principal: Principal,
    hold: Hold,
    reason: str,
    now: datetime,
    keep: timedelta,
) -> None:
    environment = tx.environments.get(environment_id)
    assert environment is not None
    template, until = read_template(tx, environment), later(now, keep)
    pin = _pin(environment, principal, hold, reason, now, until)
    try:
        changes = timed(tx, environment, template, now)
        if changes["deadline"] is not None and changes["deadline"] < until:
            changes = timed(tx, environment, template, now, pin=pin)
    except StorageError:
        raise
    except NOT_COMPUTED:
        changes = pinned_only(environment, template, now, pin)
    deadline = changes["deadline"]
    changes |= {"hold_id": None, "hold_released": False}  # also of a deadline that stays, as after a corrected clock
    tx.environments.change(environment.id, **changes)
    tx.events.add(
        EventType.ENVIRONMENT_EXTENDED,
        environment.id,
        now,
        message=f"{principal.owner} cancelled its destroy ({hold.id}: {reason}); "
        + (f"its deadline is {deadline:%Y-%m-%d %H:%M:%S %Z}" if deadline else "it has no deadline"),
        data={"deadline": deadline.isoformat() if deadline else None, "hold": hold.id, "by": principal.owner},
    )


def _pin(
    environment: Environment, principal: Principal, hold: Hold, reason: str, now: datetime, until: datetime
) -> Pin:
    """Nothing else keeps it past the maximum of a policy, and leaves the lifetime that its owner chose."""
    known = active_pin(environment, now)
    end = until if known is None else max(until, known.end)
    return Pin(end=end, by=principal.owner, reason=f"cancelled {hold.id}: {reason}", since=now, past_maximum=True)
