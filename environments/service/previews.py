"""Previews: keeps an environment for each pull request that a trigger wants one for.

An event only has a pull request looked at: see `preview_noting`. What is done follows from what the forge says then,
so events that come late, twice, in another order or never end in the same state. Each look is: ask the forge; decide,
act and write it down in one transaction; tell the forge. It can end anywhere, and the next one goes on. A process that
was paused may go on with a look when another one leads: what follows from an older answer isn't done then.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from environments.domain.environment import Environment
from environments.domain.errors import (
    CalvinverseError,
    Forbidden,
    ForgeRefused,
    ForgeUnavailable,
    NotFound,
    StorageError,
)
from environments.domain.lifecycle import ENDED
from environments.domain.preview import (
    Decision,
    EndRule,
    Preview,
    PreviewRule,
    PullRequest,
    Seen,
    Wanted,
    decide,
    see,
)
from environments.domain.trigger import PlacedTrigger
from environments.service.authorization import Principal
from environments.service.checking import Checks, Verdicts
from environments.service.enqueue import Sealer
from environments.service.forges import Forges
from environments.service.preview_effects import PreviewEffects, fault_of, lives
from environments.service.preview_rules import (
    Acting,
    asked_to_wait,
    elsewhere,
    environment_of,
    pause,
    removed,
    rule_of,
    using,
    why_not_meant,
)
from environments.service.preview_telling import PreviewTelling
from environments.service.storage.transaction import Storage, Transaction

BELIEVED_AFTER = timedelta(minutes=15)
"""How long a forge has to be away until what its newest event says ends a preview."""

_DELETED = "its webhook was deleted"

log = structlog.get_logger()


class Previews:
    """Looks at previews, on the leader alone."""

    def __init__(
        self,
        storage: Storage,
        sealer: Sealer,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        checks: Checks,
        forges: Forges,
        telling: PreviewTelling,
        acting: Acting,
        at: Callable[[str], None] = lambda point: None,
    ) -> None:
        """`at` is called between the parts of a look, so that tests can end it there."""
        self._storage = storage
        self._clock = clock
        self._checks = checks
        self._forges = forges
        self._telling = telling
        self._acting = acting
        self._at = at
        self._effects = PreviewEffects(sealer, new_id)

    def look(self, preview_id: str) -> None:
        """Looks at one preview, and does what follows. Raises `StorageError`."""
        with self._storage.read() as tx:
            preview = tx.previews.get(preview_id)
            placed = None if preview is None else tx.triggers.get(preview.trigger_id)
            rule = PreviewRule() if placed is None else rule_of(tx, placed)
            refusal = None if preview is None or placed is None else self._refusal(tx, preview, placed)
            gone = preview is not None and tx.webhooks.use(preview.webhook) is None
        if preview is None or preview.closed_at is not None:
            return
        if gone and placed is not None and not elsewhere(preview, placed):
            self._leave(preview_id)
            return
        if placed is not None and placed.paused:
            with self._storage.write() as tx:
                tx.previews.change(preview_id, look_at=None, fault="its trigger is paused")
            return
        if refusal is not None:
            self._put_off(preview, refusal)
            return
        began = self._clock()
        try:
            pull = self._ask(preview, rule) if placed is not None and not gone else None
        except (ForgeUnavailable, ForgeRefused, NotFound) as error:
            if not self._told_to_end(preview, placed, rule, began):
                self._put_off(preview, error)
                return
            pull = preview.seen.told
        self._at("asked")
        verdicts = Verdicts(self._checks, "" if placed is None else placed.owner)
        try:
            if not verdicts.settle(lambda: self._settle(preview, pull, began, verdicts)):
                return
        except StorageError:
            raise
        except CalvinverseError as error:
            self._not_done(preview, pull, error)
        self._at("settled")
        self._telling.tell(preview_id, rule)
        self._at("told")

    def _leave(self, preview_id: str) -> None:
        """Leaves a preview whose webhook was deleted: it ends at its deadline, since its forge can't be asked."""
        now = self._clock()
        with self._storage.write() as tx:
            preview = tx.previews.get(preview_id)
            if preview is None or tx.webhooks.use(preview.webhook) is not None:
                return
            environment = environment_of(tx, preview)
            left = {"look_at": None, "looked_at": now, "attempts": 0, "end_at": None}
            if environment is None or environment.state in ENDED:
                ended = {"wanted": Wanted.ENDED, "because": _DELETED, "fault": "", "closed_at": now}
                tx.previews.change(preview_id, **left, **ended)
            else:
                tx.previews.change(preview_id, **left, fault=f"{_DELETED}; it ends at its deadline")

    def _refusal(self, tx: Transaction, preview: Preview, placed: PlacedTrigger) -> Forbidden | None:
        """Why the forge is neither asked nor told of a pull request that nothing was made for yet."""
        if preview.environment_id is not None or preview.written.begun or elsewhere(preview, placed):
            return None
        try:
            using(tx, self._acting, placed, self._clock())
        except Forbidden as error:
            return error
        return None

    def _ask(self, preview: Preview, rule: PreviewRule) -> PullRequest | None:
        forge = self._forges.of(preview.webhook)
        pull = forge.pull_request(preview.repository, preview.number)
        if pull is not None and EndRule.BRANCH_DELETED in rule.ends:
            there = bool(pull.head_repository) and forge.branch(pull.head_repository, pull.head_branch) is not None
            pull = pull.model_copy(update={"branch_exists": there})
        return pull

    def _told_to_end(self, preview: Preview, placed: PlacedTrigger | None, rule: PreviewRule, now: datetime) -> bool:
        """Whether the forge has been away for so long that its newest event's own word ends the preview."""
        told, since = preview.seen.told, preview.looked_at
        if placed is None or placed.paused or told is None or since is None or now - since < BELIEVED_AFTER:
            return False
        made = preview.wanted is Wanted.ALIVE
        return decide(rule, told, preview.seen, made=made, now=now).wanted is Wanted.ENDED

    def _settle(self, known: Preview, pull: PullRequest | None, began: datetime, verdicts: Verdicts) -> bool:
        """Decides, acts and writes it down; False: another process has looked since, and nothing was done."""
        now = self._clock()
        with self._storage.write() as tx:
            preview = self._unchanged(tx, known)
            if preview is None:
                return False
            placed = tx.triggers.get(preview.trigger_id)
            environment = environment_of(tx, preview)
            if placed is None:
                placed = removed(preview, environment)
                decision = Decision(wanted=Wanted.ENDED, because="its trigger was removed")
                seen = preview.seen
            elif elsewhere(preview, placed):
                decision = Decision(wanted=Wanted.ENDED, because="its trigger is for another repository now")
                seen = preview.seen
            else:
                rule = rule_of(tx, placed)
                seen = see(rule, preview.seen, pull)
                decision = self._decide(placed, rule, pull, seen, made=lives(preview, environment), now=now)
                seen = seen.model_copy(update={"ending_since": decision.ending_since})
            effect = self._effects.apply(
                tx,
                preview,
                placed,
                partial(self._for_whom, tx, preview, placed, environment, decision, now),
                environment,
                decision,
                pull,
                now,
                verdicts,
            )
            newer = preview.look_at is not None and preview.look_at > began  # an event came meanwhile
            seen = seen.model_copy(update={"labelled_sha": "" if not newer else seen.labelled_sha})
            tx.previews.change(
                preview.id,
                **effect.values,
                seen=seen,
                head_sha="" if pull is None else pull.head_sha,
                look_at=preview.look_at if newer else effect.look_at,
                looked_at=began,
                attempts=0,
                fault="",
            )
        return True

    def _unchanged(self, tx: Transaction, known: Preview) -> Preview | None:
        """The preview as it is now; None if another process has looked at it since it was read as `known`.

        What the forge said to this one is older then, or nobody can tell: it is looked at again, unless it ended.
        """
        preview = tx.previews.get(known.id)
        if preview is None or preview.closed_at is not None:
            return None
        if preview.looked_at != known.looked_at:
            tx.previews.change(known.id, look_at=self._clock())
            return None
        return preview

    def _for_whom(
        self,
        tx: Transaction,
        preview: Preview,
        placed: PlacedTrigger,
        environment: Environment | None,
        decision: Decision,
        now: datetime,
    ) -> Principal:
        """The trigger's owner, who may use its webhook unless the preview is to end. When they may do nothing any more,
        what was made for them still ends, for whoever has it then. Raises `Forbidden`."""
        try:
            if decision.wanted is Wanted.ALIVE:
                return using(tx, self._acting, placed, now)
            return self._acting(tx, placed.owner, placed, now)
        except Forbidden:
            if decision.wanted is not Wanted.ENDED or environment is None:
                raise
            left = removed(preview, environment)
            return self._acting(tx, left.owner, left, now)

    def _decide(
        self,
        placed: PlacedTrigger,
        rule: PreviewRule,
        pull: PullRequest | None,
        seen: Seen,
        *,
        made: bool,
        now: datetime,
    ) -> Decision:
        decision = decide(rule, pull, seen, made=made, now=now)
        if pull is not None and not made and decision.wanted is Wanted.ALIVE:
            why_not = why_not_meant(placed, pull)
            if why_not:
                return Decision(wanted=Wanted.ENDED, because=why_not)
        return decision

    def _not_done(self, known: Preview, pull: PullRequest | None, error: CalvinverseError) -> None:
        """Writes down why something couldn't be done; it is tried again, whatever the reason: it may pass."""
        now = self._clock()
        with self._storage.write() as tx:
            preview = self._unchanged(tx, known)
            if preview is None:
                return
            placed = tx.triggers.get(preview.trigger_id)
            wanted = preview.wanted
            if preview.environment_id is None and placed is not None and not placed.paused:
                rule = rule_of(tx, placed)
                seen = see(rule, preview.seen, pull)
                # What isn't there isn't wanted to end either.
                wanted = self._decide(placed, rule, pull, seen, made=False, now=now).wanted
            tx.previews.change(
                preview.id,
                wanted=wanted,
                attempts=preview.attempts + 1,
                fault=fault_of(error),
                look_at=now + pause(preview.attempts),
                looked_at=now,
            )
        log.info("previews.not_done", preview=known.id, code=error.code)

    def _put_off(self, preview: Preview, error: CalvinverseError) -> None:
        now = self._clock()
        again = now + max(pause(preview.attempts), asked_to_wait(error))
        believed = None if preview.looked_at is None else preview.looked_at + BELIEVED_AFTER
        told = preview.seen.told
        if believed is not None and now < believed < again and told is not None and not told.open:
            again = believed
        with self._storage.write() as tx:
            if self._unchanged(tx, preview) is None:
                return
            tx.previews.change(preview.id, attempts=preview.attempts + 1, fault=fault_of(error), look_at=again)
