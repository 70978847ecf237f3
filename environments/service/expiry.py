"""Destroys by the clock: what is due is destroyed in the order of deadlines, or held when something looks wrong."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from environments.domain.environment import Environment, EventType
from environments.domain.errors import StorageError
from environments.domain.holds import (
    ClockTrouble,
    DueFacts,
    Hold,
    HoldDecision,
    HoldKind,
    HoldLimits,
    causes,
    noticed,
)
from environments.service import enqueue
from environments.service.authorization import CLOCK, Action, entry_of, may
from environments.service.deadlines import NOT_COMPUTED, provable
from environments.service.enqueue import DeploymentRequest
from environments.service.storage.transaction import Storage, Transaction
from environments.service.timing_facts import Facts

_AT_ONCE = 50
"""Environments that are destroyed in one transaction."""

_READ_AT_ONCE = 2000
"""Due environments that are judged in one transaction; further ones count only."""

_HELD_AT_ONCE = 500
"""Environments that are held in one transaction: each gets an event."""

ACCEPTED = timedelta(hours=24)
"""How long a released disagreement of clocks is accepted."""

log = structlog.get_logger()


class Expiry:
    """Decides about each environment that is due, and queues its destroy. Only the leader calls it."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        limits: HoldLimits | None = None,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self._limits = limits or HoldLimits()

    def destroy_due(self, troubles: Sequence[ClockTrouble] = (), grace: timedelta = timedelta(0)) -> list[str]:
        """Queues destroys of due environments, and of those whose failed destroy is due for a retry.

        Returns their names. Each call handles at most `_AT_ONCE`, so that other transactions can write in between, and
        no more than fit beside destroys by the clock that are queued or running. One whose last warning isn't delivered
        yet waits for that, at most for `grace`. With `troubles` nothing that is due by the clock is destroyed: it is
        held.
        """
        now = self._clock()
        with self._storage.read() as tx:
            due = tx.holds.due(now, 1, awaited_until=now - grace) or tx.environments.to_destroy_again(now, 1)
            if not due and not tx.holds.open() and not troubles:
                return []
        with self._storage.write() as tx:
            self._settle(tx, troubles, now)
            return self._decide(tx, troubles, now, grace)

    def _settle(self, tx: Transaction, troubles: Sequence[ClockTrouble], now: datetime) -> None:
        """Ends holds whose cause is gone."""
        for hold in tx.holds.open():
            if hold.kind is HoldKind.CLOCK:
                if troubles:
                    continue
                tx.holds.let_go(hold.id)
                why = "the clocks agree again"
            elif tx.holds.count(hold.id):
                continue
            else:
                why = "nothing that it held is left"
            tx.holds.decide(hold.id, HoldDecision.ENDED, CLOCK.owner, now, why)
            entry = entry_of(CLOCK, "hold:end")
            tx.audit.add(replace(entry, object_kind="hold", object_id=hold.id, reason=why, rule=hold.kind.value))
            log.warning("hold.ended", hold=hold.id, kind=hold.kind.value, reason=why)

    def _decide(self, tx: Transaction, troubles: Sequence[ClockTrouble], now: datetime, grace: timedelta) -> list[str]:
        room = min(self._limits.at_once - tx.holds.destroying(), _AT_ONCE)
        again = tx.environments.to_destroy_again(now, room) if room > 0 else []
        names = [self._destroy(tx, environment, "tried again", now) for environment in again]
        due = tx.holds.due(now, _READ_AT_ONCE, awaited_until=now - grace)
        if troubles:
            cause, why = "; ".join(one.cause for one in troubles), " ".join(one.sentence for one in troubles)
            self._hold(tx, due, HoldKind.CLOCK, why, now, cause)
            return names
        held = self._judge(tx, due, now, grace)
        passed = [one.id for one in due if one.id not in held][: max(room - len(names), 0)]
        facts = Facts(tx)
        for environment in tx.environments.due(now, passed) if passed else []:
            if _decided_about(tx, environment) or self._proven(facts, environment, now):
                names.append(self._destroy(tx, environment, _reason(tx, environment), now))
        return names

    def _judge(self, tx: Transaction, due: Sequence[DueFacts], now: datetime, grace: timedelta) -> set[str]:
        """Holds those of the due ones that look wrong together; their ids."""
        mark = tx.holds.mark()
        restored = None if mark is None else mark.restored_at
        lost, sudden = _unnoticed(due, restored)
        if lost:
            why = (
                f"The database was restored from a copy, as found at {restored:%Y-%m-%d %H:%M %Z}: later extensions "
                "may be lost. Compare the deadlines with what their owners know."
            )
            self._hold(tx, lost, HoldKind.RESTORED, why, now)
        if not sudden:
            return {one.id for one in lost}
        every = sudden
        if len(due) == _READ_AT_ONCE:
            _, every = _unnoticed(tx.holds.due(now, None, awaited_until=now - grace), restored)
        recent = [one for one in tx.holds.destroyed(now - self._limits.window) if _sudden(one)]
        waiting = sum(tx.holds.count(hold.id) for hold in tx.holds.open() if hold.kind is HoldKind.TOO_MANY)
        count, living = len(every) + len(recent) + waiting, tx.holds.living() + len(recent)
        if not self._limits.exceeded(count, living):
            return {one.id for one in lost}
        why = (
            f"{count} of {living} environments became due within {self._limits.window.total_seconds() / 60:.0f} "
            "minutes without an early warning."
        )
        self._hold(tx, sudden, HoldKind.TOO_MANY, why, now, causes([*every, *recent]))
        return {one.id for one in [*lost, *sudden]}

    def _proven(self, facts: Facts, environment: Environment, now: datetime) -> bool:
        """Whether what is stored still leads to this deadline; holds the environment otherwise."""
        assert environment.deadline is not None
        try:
            found = provable(facts, environment)
        except StorageError:  # nothing is known of what is stored
            raise
        except NOT_COMPUTED as error:
            leads = f"to nothing that can be computed ({error})"
        else:
            if found is not None and found.at == environment.deadline:
                return True
            leads = f"to {found.at:%Y-%m-%d %H:%M:%S %Z}" if found is not None else "to no deadline"
        due = DueFacts(environment.id, environment.created_at, environment.deadline, None, False, "")
        why = "What is stored of rules and lifetimes doesn't lead to the stored deadline."
        details = f"The deadline is {environment.deadline:%Y-%m-%d %H:%M:%S %Z}, and what is stored leads {leads}."
        self._hold(facts.tx, [due], HoldKind.UNPROVEN, why, now, details, told=details)
        return False

    def _hold(
        self,
        tx: Transaction,
        due: Sequence[DueFacts],
        kind: HoldKind,
        why: str,
        now: datetime,
        cause: str = "",
        *,
        told: str = "",
    ) -> None:
        """`why` is read by everybody; `cause` may name people, rules and environments, and only admins read it.

        `told`: what the owners of these are told beside `why`.
        """
        if not due and kind is not HoldKind.CLOCK:
            return
        hold = next((hold for hold in tx.holds.open() if hold.kind is kind), None)
        if hold is None:
            hold = Hold(id=self._new_id("hold"), kind=kind, cause=cause[:200], opened_at=now, reason=why)
            tx.holds.add(hold)
            entry = entry_of(CLOCK, "hold:open")
            tx.audit.add(replace(entry, object_kind="hold", object_id=hold.id, reason=why, rule=cause or kind.value))
            log.error("hold.opened", hold=hold.id, kind=kind.value, reason=why, cause=cause, due=len(due))
        these = due[:_HELD_AT_ONCE]
        held = tx.holds.hold([facts.id for facts in these], hold.id, now)
        for facts in these:
            if facts.id not in held:  # somebody changes it now
                continue
            tx.events.add(
                EventType.ENVIRONMENT_HELD,
                facts.id,
                now,
                message=f"not destroyed although its deadline has passed, held by {hold.id} until an admin decides: "
                f"{why}{f' {told}' if told else ''}",
                data={
                    "hold": hold.id,
                    "kind": kind.value,
                    "deadline": facts.deadline.isoformat(),
                    "by": CLOCK.owner,
                },
            )

    def _destroy(self, tx: Transaction, environment: Environment, reason: str, now: datetime) -> str:
        allowed = may(tx, CLOCK, Action.ENVIRONMENT_DESTROY, environment)
        request = DeploymentRequest(self._new_id("dep"), CLOCK.owner, reason, now, by_machine=True)
        enqueue.destroy(tx, environment, request, allowed)
        return environment.name


def _sudden(facts: DueFacts) -> bool:
    """Whether its deadline was neither warned of early nor released by an admin."""
    if facts.released:
        return False
    return not noticed(facts.created_at, facts.deadline, facts.warned_at, edited=facts.edited)


def _decided_about(tx: Transaction, environment: Environment) -> bool:
    """Whether an admin released it although its deadline can't be shown again, not only because it was one of many."""
    hold = tx.holds.get(environment.hold_id) if environment.hold_released and environment.hold_id else None
    return hold is not None and hold.kind is HoldKind.UNPROVEN


def _unnoticed(due: Sequence[DueFacts], restored: datetime | None) -> tuple[list[DueFacts], list[DueFacts]]:
    """The sudden ones of these: those whose extensions a restored database may lack, and the others."""
    lost: list[DueFacts] = []
    others: list[DueFacts] = []
    for one in due:
        if _sudden(one):
            (lost if restored is not None and one.created_at < restored else others).append(one)
    return lost, others


def _reason(tx: Transaction, environment: Environment) -> str:
    reason = f"its deadline was at {environment.deadline:%Y-%m-%d %H:%M:%S %Z}"
    hold = tx.holds.get(environment.hold_id) if environment.hold_released and environment.hold_id else None
    return reason if hold is None else f"{reason}; {hold.decided_by} released {hold.id}: {hold.decision_reason}"
