"""Notes which previews are to be looked at: because of an event, a change here, or a comparison with the forge."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from environments.domain.errors import (
    Forbidden,
    ForgeRefused,
    ForgeUnavailable,
    NotFound,
)
from environments.domain.preview import (
    ForkPolicy,
    Preview,
    PullRequest,
    Seen,
    Written,
)
from environments.domain.preview_names import environment_name
from environments.domain.received_event import GIT, NewReceivedEvent, ReceivedEvent, Source
from environments.domain.trigger import PlacedTrigger, TriggerAction
from environments.domain.trigger_values import as_text
from environments.service.forges import Forges
from environments.service.preview_rules import (
    Acting,
    differs,
    elsewhere,
    rule_of,
    updated_at,
    using,
    why_not_meant,
)
from environments.service.storage.transaction import Storage, Transaction

KEPT = timedelta(days=30)
"""How long the record of an ended preview is kept."""

_AT_ONCE = 500
"""Previews of one transaction."""

log = structlog.get_logger()


class PreviewNoting:
    """Any process may note something because of an event; the leader alone compares and follows."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        forges: Forges,
        acting: Acting,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self._forges = forges
        self._acting = acting

    def hint(self, tx: Transaction, placed: PlacedTrigger, event: ReceivedEvent, now: datetime) -> str:
        """Has the pull request of an event looked at, in the caller's transaction; returns what was noted."""
        told = PullRequest.of_fields(event.fields)
        if told is None:
            return "the event doesn't say which pull request it is about"
        known = self._record(tx, placed, told.number)
        newest = known.seen.told
        seen = known.seen.model_copy(update={"hops": event.hops})
        if newest is None or updated_at(told) >= updated_at(newest):
            seen = seen.model_copy(update={"told": told})
        rule = rule_of(tx, placed)
        if event.kind == "labelled" and rule.label and event.fields.get("label") == rule.label:
            seen = seen.model_copy(update={"labelled_sha": told.head_sha})
        tx.previews.change(known.id, seen=seen, look_at=now, closed_at=None)
        return f"looks at {placed.definition.repository}#{told.number}"

    def wake(self, tx: Transaction, events: Sequence[NewReceivedEvent]) -> int:
        """Has previews looked at that events of forges are about, whether or not triggers count for them."""
        of_forges = [event for event in events if event.source in GIT]
        there = tx.previews.repositories() if of_forges else frozenset()
        return sum(
            self._wake(tx, event)
            for event in of_forges
            if (event.origin, as_text(event.fields.get("repository")).lower()) in there
        )

    def _wake(self, tx: Transaction, event: NewReceivedEvent) -> int:
        repository, number = event.fields.get("repository"), event.fields.get("number")
        branch = event.fields.get("branch")
        if not isinstance(repository, str):
            return 0
        if event.source is Source.PULL_REQUEST and isinstance(number, int):
            return tx.previews.look(self._clock(), webhook=event.origin, repository=repository, number=number)
        if event.source is Source.BRANCH and isinstance(branch, str):
            return tx.previews.look(self._clock(), webhook=event.origin, repository=repository, branch=branch)
        return 0

    def due(self, limit: int = 200) -> dict[str, list[str]]:
        """Ids of previews to look at, by webhook."""
        with self._storage.read() as tx:
            due = tx.previews.due(self._clock(), limit)
        found: dict[str, list[str]] = {}
        for preview_id, webhook in due.items():
            found.setdefault(webhook, []).append(preview_id)
        return found

    def sweep(self) -> None:
        """Compares each trigger with the open pull requests of its repository: finds what no event told of.

        What isn't among them is looked at too: it may have been closed. So is everything, if the forge refuses: then
        it is written down why, and asked again. Nothing is asked for owners who may not use the webhook for that.
        Raises nothing that a forge causes.
        """
        with self._storage.read() as tx:
            placed = [one for one in tx.triggers.active() if one.definition.action is TriggerAction.PREVIEW]
        for one in placed:
            try:
                self._sweep(one)
            except (ForgeUnavailable, ForgeRefused, NotFound, Forbidden) as error:
                log.info("previews.not_swept", trigger=one.id, reason=error.message)
                if not isinstance(error, ForgeUnavailable):
                    self._look_at_all(one)

    def _look_at_all(self, placed: PlacedTrigger) -> None:
        now = self._clock()
        with self._storage.write() as tx:
            tx.previews.look_again([one.id for one in tx.previews.open_of(placed.id) if one.look_at is None], now)

    def follow_triggers(self, known: Mapping[str, PlacedTrigger | None]) -> dict[str, PlacedTrigger | None]:
        """Has previews looked at whose trigger isn't as it is `known`; returns all triggers of previews as they are."""
        with self._storage.read() as tx:
            found = {trigger_id: tx.triggers.get(trigger_id) for trigger_id in tx.previews.triggers()}
        changed = [
            trigger_id for trigger_id, placed in found.items() if placed is None or known.get(trigger_id) != placed
        ]
        if changed:
            now = self._clock()
            with self._storage.write() as tx:
                for trigger_id in changed:
                    anew = known.get(trigger_id) != found[trigger_id]
                    concerned = [one.id for one in tx.previews.open_of(trigger_id) if anew or one.look_at is None]
                    tx.previews.look_again(concerned, now)
        return found

    def follow(self) -> int:
        """Has previews looked at whose environment has changed its state since the last look; returns how many."""
        with self._storage.read() as tx:
            behind = tx.previews.behind(_AT_ONCE)
        if behind:
            now = self._clock()
            with self._storage.write() as tx:
                tx.previews.look_again(behind, now)
        return len(behind)

    def forget_ended(self) -> int:
        """Forgets some of the previews that ended long ago; returns how many."""
        with self._storage.write() as tx:
            return tx.previews.forget(self._clock() - KEPT, _AT_ONCE)

    def _record(self, tx: Transaction, placed: PlacedTrigger, number: int) -> Preview:
        known, trigger = tx.previews.of(placed.id, number), placed.definition
        if known is not None and known.closed_at is not None and elsewhere(known, placed):
            tx.previews.change(
                known.id, webhook=trigger.webhook, repository=trigger.repository, seen=Seen(), written=Written()
            )
            known = tx.previews.of(placed.id, number)
        if known is None:
            made = Preview(
                id=self._new_id("prv"),
                trigger_id=placed.id,
                webhook=trigger.webhook,
                repository=trigger.repository,
                number=number,
                environment=environment_name(trigger.environment, trigger.repository, number),
                looked_at=self._clock(),
            )
            tx.previews.add(made)
            known = tx.previews.of(placed.id, number)
            assert known is not None
        return known

    def _sweep(self, placed: PlacedTrigger) -> None:
        trigger = placed.definition
        with self._storage.read() as tx:
            using(tx, self._acting, placed, self._clock())
        forge = self._forges.of(trigger.webhook)
        pulls = {pull.number: pull for pull in forge.open_pull_requests(trigger.repository)}
        with self._storage.read() as tx:
            rule = rule_of(tx, placed)
            known = {preview.number: preview for preview in tx.previews.open_of(placed.id)}
        now = self._clock()
        new = [
            pull.number
            for pull in pulls.values()
            if pull.number not in known
            and not why_not_meant(placed, pull)
            and not (pull.fork and rule.forks is ForkPolicy.NEVER)
        ]
        for start in range(0, len(new), _AT_ONCE):
            with self._storage.write() as tx:
                if tx.triggers.get(placed.id) is None:
                    break
                for number in new[start : start + _AT_ONCE]:
                    tx.previews.change(self._record(tx, placed, number).id, look_at=now, closed_at=None)
        changed = [preview.id for preview in known.values() if differs(preview, pulls.get(preview.number))]
        if changed:
            with self._storage.write() as tx:
                tx.previews.look_again(changed, now)
