"""Warnings before an environment is destroyed: queued in time, delivered once, and awaited before it is destroyed.

A warning that is due is queued in one transaction with its event, for each recipient that the channels name. Delivery
is at least once: an attempt is recorded before it is made, and its success after it, so a process that dies in between
leads to another attempt with the same id. Whoever moves a deadline again and again makes no flood: between warnings of
different deadlines of an environment a recipient has a pause. The later one waits for it, and is awaited as any other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from environments.domain.deadline import format_duration, pause_between, send_again_after
from environments.domain.environment import Environment, EventType
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import ENDED, State
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.channels import Channel, Channels, NotDelivered, Target, WarningMessage
from environments.service.deadlines import read_template, warning_after
from environments.service.storage.transaction import Storage, Transaction
from environments.service.storage.warnings import ChannelCount, QueuedWarning
from environments.service.subjects import verified_addresses
from environments.timing_words import reason

log = structlog.get_logger()

AT_ONCE = 50
"""Environments that are warned of in one transaction."""

GRACE = timedelta(minutes=30)
"""How long an environment waits for the delivery of its last warning, unless the operator says otherwise."""

_NO_DEADLINE = -1
"""The moves of a deadline that a notice names: no deadline has moved so often."""

_NOTICE_TRIED = timedelta(days=1)
"""How long the delivery of a notice is tried."""

LinkMaker = Callable[[QueuedWarning, datetime], str]
"""The address of a link that extends the environment of a warning, made at a moment; empty: there is none."""


@dataclass(frozen=True)
class ChannelStatus:
    """A channel: what waits, and the newest fault. `configured` False: it can't deliver any more."""

    channel: Channel
    configured: bool
    count: ChannelCount
    fault: str = ""


@dataclass(frozen=True)
class TestDelivery:
    """What became of a test warning; `fault` empty: it was delivered."""

    __test__ = False

    target: Target
    fault: str


class Warnings:
    """Queues and delivers warnings."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        channels: Channels,
        link: LinkMaker,
        grace: timedelta = GRACE,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self._channels = channels
        self._link = link
        self.grace = grace

    def queue_due(self) -> list[str]:
        """Queues the warnings that are due, of at most `AT_ONCE` environments; returns their names.

        Of several that are due at once, as after downtime, one is sent. A fault of one environment is logged.
        """
        now = self._clock()
        with self._storage.read() as tx:
            found = tx.environments.to_warn(now, AT_ONCE)
        warned = []
        for environment in found:
            try:
                with self._storage.write() as tx:
                    # it may have been extended or destroyed since it was read
                    current = tx.environments.get(environment.id)
                    if current is None or not _lives(current) or current.warn_at is None or current.warn_at > now:
                        continue
                    if self._queue(tx, current, current.warn_at, now):
                        warned.append(current.name)
            except CalvinverseError:  # such as a database that is away
                raise
            except Exception as error:  # it keeps nobody else from being warned
                log.error("warnings.not_queued", environment=environment.name, exc_info=error)
        return warned

    def await_delivery(self) -> None:
        """Notes which environments would be destroyed now if their last warning were delivered, and tells so once."""
        now = self._clock()
        with self._storage.read() as tx:
            if not tx.warnings.awaited(now):
                return
        with self._storage.write() as tx:
            awaited = tx.warnings.awaited(now)
            for environment_id in dict.fromkeys(warning.environment_id for warning in awaited):
                missing = [warning for warning in awaited if warning.environment_id == environment_id]
                name, _ = tx.environments.name_and_state(environment_id)
                for warning in missing:
                    tx.warnings.change(warning.id, awaited_since=now)
                tx.events.add(
                    EventType.ENVIRONMENT_WARNING_AWAITED,
                    environment_id,
                    now,
                    message=f"{name} will be destroyed when its last warning is delivered by "
                    f"{' and '.join(map(_named, missing))}, at the latest in {format_duration(self.grace)}",
                    data={"until": (now + self.grace).isoformat()},
                )

    def channels_due(self) -> list[str]:
        """Channels with something to deliver now."""
        with self._storage.read() as tx:
            return tx.warnings.channels_due(self._clock())

    def deliver(self, channel: str, limit: int) -> int:
        """Makes the attempts of a channel that are due, at most `limit`, one after the other; returns their number."""
        with self._storage.read() as tx:
            found = tx.warnings.to_send(self._clock(), limit, channel)
        return sum(self._attempt(warning.id) for warning in found)

    def status(self, principal: Principal) -> tuple[list[ChannelStatus], str]:
        """The channels, and what is wrong with their configuration. Raises `Forbidden`."""
        check_service(principal, Action.WARNING_CHANNELS)
        with self._storage.read() as tx:
            counts, faults = tx.warnings.counts(), tx.warnings.faults()
        configured = self._channels.configured()
        found = [
            ChannelStatus(
                channel, channel in configured, counts.get(channel, ChannelCount(0, 0)), faults.get(channel, "")
            )
            for channel in Channel
            if channel is not Channel.EVENT and (channel in configured or channel in counts)
        ]
        return found, self._channels.fault()

    def counts(self) -> dict[str, ChannelCount]:
        """What waits, by channel, for metrics."""
        with self._storage.read() as tx:
            counts = tx.warnings.counts()
        return {channel.value: ChannelCount(0, 0) for channel in self._channels.configured()} | counts

    def test(self, principal: Principal) -> list[TestDelivery]:
        """Sends a test warning by each channel, and says what became of it. Raises `Forbidden`."""
        with self._storage.write() as tx:
            may(tx, principal, Action.WARNING_TEST)
        now = self._clock()
        made = []
        for target in self._channels.test_targets():
            message = WarningMessage(
                id=self._new_id("warn"),
                environment="example",
                environment_id="",
                owner=principal.owner,
                template="example",
                deadline=now + timedelta(hours=1),
                now=now,
                reason="this is a test",
                test=True,
            )
            try:
                self._channels.send(target, message)
            except NotDelivered as error:
                made.append(TestDelivery(target, str(error)))
            else:
                made.append(TestDelivery(target, ""))
        return made

    def _queue(self, tx: Transaction, environment: Environment, due_at: datetime, now: datetime) -> bool:
        deadline = environment.deadline
        if deadline is None:
            tx.environments.change(environment.id, warn_at=None)
            return False
        tx.warnings.replace(environment.id, "a later warning replaced it")
        following = warning_after(environment, read_template(tx, environment), max(due_at, now))
        first = environment.warned_at or now  # the owner has known since then
        tx.environments.change(environment.id, warned=True, warned_at=first, warn_at=following)
        targets = [
            Target(Channel.EVENT),
            *dict.fromkeys(self._channels.targets(environment, verified_addresses(tx, environment.owner))),
        ]
        tried = tx.warnings.tried(environment.id, before=environment.deadline_moves)
        tx.warnings.add(
            [
                QueuedWarning(
                    id=self._new_id("warn"),
                    environment_id=environment.id,
                    deadline=deadline,
                    due_at=due_at,
                    channel=target.channel.value,
                    recipient=target.recipient,
                    queued_at=now,
                    next_try=None if target.channel is Channel.EVENT else self._first_try(tried.get(target), now),
                    delivered_at=now if target.channel is Channel.EVENT else None,
                    deadline_moves=environment.deadline_moves,
                )
                for target in targets
            ]
        )
        left = format_duration(deadline - now)
        soon = f"in {left}" if deadline > now else "now"
        tx.events.add(
            EventType.ENVIRONMENT_WARNING,
            environment.id,
            now,
            message=f"{environment.name} will be destroyed {soon}; `calvinverse env extend` postpones that",
            data={"deadline": deadline.isoformat()},
        )
        return True

    def notify(self, tx: Transaction, environment: Environment, notice: str, now: datetime) -> None:
        """Tells of an environment what a trigger says: as an event, and by the channels of warnings.

        It is written in the caller's transaction, and delivered as warnings are.
        """
        at = now
        while tx.warnings.of(environment.id, at):  # the moment tells notices of an environment apart
            at += timedelta(microseconds=1)
        targets = dict.fromkeys(self._channels.targets(environment, verified_addresses(tx, environment.owner)))
        tx.warnings.add(
            [
                QueuedWarning(
                    id=self._new_id("warn"),
                    environment_id=environment.id,
                    deadline=at,
                    due_at=at,
                    channel=target.channel.value,
                    recipient=target.recipient,
                    queued_at=now,
                    next_try=now,
                    deadline_moves=_NO_DEADLINE,
                    notice=notice,
                )
                for target in targets
            ]
        )
        tx.events.add(EventType.ENVIRONMENT_NOTICE, environment.id, now, message=notice)

    def _first_try(self, tried: datetime | None, now: datetime) -> datetime:
        """When to deliver what is queued now; `tried`: a warning of an earlier deadline was sent there."""
        # At most a pause from now: the clock may have been put back since.
        return now if tried is None else max(now, min(tried, now) + pause_between(self.grace))

    def _attempt(self, warning_id: str) -> int:
        now = self._clock()
        with self._storage.write() as tx:
            begun = self._begin(tx, warning_id, now)
        if begun is None:
            return 0
        warning, message = begun
        fault = ""
        try:
            self._channels.send(Target(Channel(warning.channel), warning.recipient), message)
        except NotDelivered as error:
            fault = str(error)
        with self._storage.write() as tx:
            self._end(tx, warning, fault)
        return 1

    def _begin(self, tx: Transaction, warning_id: str, now: datetime) -> tuple[QueuedWarning, WarningMessage] | None:
        """Records the attempt; None: there is nothing to deliver any more."""
        warning = tx.warnings.get(warning_id)
        if warning is None or warning.next_try is None or warning.next_try > now:
            return None
        environment = tx.environments.get(warning.environment_id)
        over = _why_over(environment, warning, now)
        if environment is None or over:
            tx.warnings.change(warning.id, next_try=None, fault=over)
            return None
        if warning.channel not in {channel.value for channel in self._channels.configured()}:
            tx.warnings.change(warning.id, next_try=None, fault="the channel isn't configured any more")
            return None
        attempts = warning.attempts + 1
        tx.warnings.change(warning.id, attempts=attempts, next_try=now + send_again_after(attempts))
        template = read_template(tx, environment)
        link = "" if warning.notice else self._link(warning, now)
        message = WarningMessage(
            id=warning.id,
            environment=environment.name,
            environment_id=environment.id,
            owner=environment.owner,
            template=environment.template,
            deadline=warning.deadline,
            now=now,
            reason=reason(environment.deadline_because) if environment.deadline_because else "",
            link=link,
            extension=format_duration(template.lifetime.extension) if link and template else "",
            notice=warning.notice,
        )
        return warning, message

    def _end(self, tx: Transaction, warning: QueuedWarning, fault: str) -> None:
        """Records what became of an attempt. The environment and the warning may have gone meanwhile."""
        now = self._clock()
        environment = tx.environments.get(warning.environment_id)
        if environment is None or tx.warnings.get(warning.id) is None:
            return
        told = f"the {'notice' if warning.notice else 'warning'} by {_named(warning)}"
        data = {"channel": warning.channel, "deadline": warning.deadline.isoformat()}
        if not fault:
            tx.warnings.change(warning.id, next_try=None, delivered_at=now, fault="")
            message = f"{told} was delivered"
            tx.events.add(EventType.ENVIRONMENT_WARNING_DELIVERED, environment.id, now, message=message, data=data)
            return
        tx.warnings.change(warning.id, fault=fault)
        if warning.fault != fault:  # the same fault is told once
            message = f"{told} wasn't delivered: {fault}; it is tried again"
            tx.events.add(EventType.ENVIRONMENT_WARNING_FAILED, environment.id, now, message=message, data=data)


def _lives(environment: Environment) -> bool:
    return environment.state not in ENDED and environment.state not in (State.DESTROYING, State.DESTROY_FAILED)


def _why_over(environment: Environment | None, warning: QueuedWarning, now: datetime) -> str:
    if warning.notice:
        return "nobody took it within a day" if now - warning.queued_at > _NOTICE_TRIED else ""
    if environment is None or not _lives(environment):
        return "the environment was destroyed first"
    same = (environment.deadline, environment.deadline_moves) == (warning.deadline, warning.deadline_moves)
    return "" if same else "the deadline moved"


def _named(warning: QueuedWarning) -> str:
    return f"{warning.channel} to {warning.recipient}" if warning.recipient else warning.channel
