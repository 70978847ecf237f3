"""Tells a forge what has become of a preview: one comment, edited in place, and the status of the commit.

A process that was paused may write what isn't so any more when another one leads. It sees that when it notes what it
wrote, and has the preview looked at again, which tells it anew.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from environments.domain.environment import Environment
from environments.domain.errors import CalvinverseError, ForgeRefused, ForgeUnavailable, NotFound
from environments.domain.lifecycle import ENDED
from environments.domain.preview import Preview, PreviewRule, Wanted, Written
from environments.service.forges import FIRST_STATUS_NAME, Forge, Forges, status_name
from environments.service.preview_effects import fault_of
from environments.service.preview_rules import LONGEST_PAUSE, asked_to_wait, elsewhere, environment_of
from environments.service.preview_texts import Told, address_of, marker, told
from environments.service.storage.transaction import Storage, Transaction

_LEAST_PAUSE = timedelta(seconds=5)
_MOST_ATTEMPTS = 20
"""Attempts to tell of a preview that has ended; after them it is over anyway."""

_BEGUN = "begun"
"""What is noted before the first comment and the first status are written: a process that dies then leaves a trace."""

log = structlog.get_logger()


class PreviewTelling:
    """Writes comments and statuses. What was written is kept, so that nothing is written twice."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        forges: Forges,
        addresses: Callable[[Transaction, str], tuple[str, ...]] = lambda tx, environment: (),
        at: Callable[[str], None] = lambda point: None,
    ) -> None:
        """`addresses` gives the addresses of an environment's entry points."""
        self._storage = storage
        self._clock = clock
        self._forges = forges
        self._addresses = addresses
        self._at = at

    def tell(self, preview_id: str, rule: PreviewRule) -> None:
        """Brings the forge up to date. A fault of the forge is written down, and tried again later."""
        with self._storage.read() as tx:
            preview = tx.previews.get(preview_id)
            if preview is None:
                return
            environment = environment_of(tx, preview)
            what = self._told(tx, preview, environment)
            placed = tx.triggers.get(preview.trigger_id)
            gone = tx.webhooks.use(preview.webhook) is None
        over = preview.wanted is Wanted.ENDED and (environment is None or environment.state in ENDED)
        try:
            made = preview.environment_id is not None or preview.written.begun
            if not gone and (made or (preview.fault and preview.wanted is Wanted.ALIVE)):
                name = None if placed is None or elsewhere(preview, placed) else status_name(placed.name)
                self._write(preview, rule, what, name)
        except (ForgeUnavailable, ForgeRefused, NotFound) as error:
            gives_up = (
                over and isinstance(error, ForgeRefused | NotFound) and preview.written.failures >= _MOST_ATTEMPTS
            )
            if not gives_up:
                self._put_off(preview, error)
                return
            log.warning("previews.not_told", preview=preview_id, reason=error.message)
        if over:
            self._close(preview)

    def _told(self, tx: Transaction, preview: Preview, environment: Environment | None) -> Told:
        address = ""
        if environment is not None and environment.state not in ENDED:
            address = address_of(environment.outputs, self._addresses(tx, environment.id))
        return told(preview, environment, address, preview.end_at)

    def _write(self, preview: Preview, rule: PreviewRule, what: Told, own_name: str | None) -> None:
        """`own_name`: of the statuses of its trigger; None: that is gone, or for something else by now.

        Then what was begun is ended under the name that it has, as the new one may be somebody else's here; and nothing
        is begun, whatever the rule says.
        """
        forge = self._forges.of(preview.webhook)
        written = preview.written
        name = _status_name(written) if own_name is None else own_name
        comments = rule.comment if own_name is not None else bool(written.comment)
        states = rule.status if own_name is not None else bool(written.status_sha)
        if comments and written.comment != what.comment:
            if not written.comment:
                written = self._wrote(preview, written, comment=_BEGUN)
            comment_id = forge.put_comment(
                preview.repository, preview.number, written.comment_id, what.comment, marker(preview)
            )
            self._at("commented")
            written = self._wrote(preview, written, comment_id=comment_id, comment=what.comment)
            if written.comment_id != comment_id:
                forge.remove_comment(preview.repository, preview.number, comment_id)
        sha = preview.applied_sha or written.status_sha or preview.head_sha
        status = f"{what.state} {what.status} {what.address}"
        known = (written.status_sha, _status_name(written), written.status)
        if states and sha and known != (sha, name, status):
            if not written.status_sha:
                written = self._wrote(preview, written, status_sha=sha, status_name=name, status=_BEGUN)
            self._end_status(forge, preview, written, sha, name)
            forge.set_status(preview.repository, sha, name, what.state, what.status, what.address)
            self._at("stated")
            self._wrote(preview, written, status_sha=sha, status=status, status_name=name)

    def _end_status(self, forge: Forge, preview: Preview, written: Written, sha: str, name: str) -> None:
        """Leaves no status behind that waits for something, or that nobody writes any more."""
        before, old = written.status_sha, _status_name(written)
        if before and old != name:
            forge.set_status(preview.repository, before, old, "success", f"It is told as {name} now")
        elif before and before != sha and written.status.startswith("pending"):
            forge.set_status(preview.repository, before, old, "success", "A newer commit took its place")

    def _wrote(self, preview: Preview, written: Written, **values: str) -> Written:
        """Notes what was written. `written`: what was noted when this process began to write.

        The comment that another process has made meanwhile stays the one of the preview.
        """
        now = written.model_copy(update={**values, "failures": 0})
        with self._storage.write() as tx:
            current = tx.previews.get(preview.id)
            if current is None:
                return now
            noted, again = current.written, dict[str, datetime | None]()
            if noted != written:
                again = {"look_at": self._clock(), "closed_at": None}
                if noted.comment_id not in ("", written.comment_id):
                    now = now.model_copy(update={"comment_id": noted.comment_id, "comment": noted.comment})
            tx.previews.change(preview.id, written=now, **again)
        return now

    def _close(self, preview: Preview) -> None:
        now = self._clock()
        with self._storage.write() as tx:
            current = tx.previews.get(preview.id)
            # An event, or another look, may have come since; then it isn't over. While the pull request is open it may
            # get a preview yet, unless the trigger is for another repository: there it is wanted for another one.
            if current is None or current.look_at is not None or current.wanted is Wanted.ALIVE:
                return
            seen, placed = current.seen.pull, tx.triggers.get(current.trigger_id)
            if seen is not None and seen.open and placed is not None and not elsewhere(current, placed):
                return
            tx.previews.change(preview.id, closed_at=now)

    def _put_off(self, preview: Preview, error: CalvinverseError) -> None:
        now = self._clock()
        grown = min(_LEAST_PAUSE * 2 ** min(preview.written.failures, 10), LONGEST_PAUSE)
        again = now + max(asked_to_wait(error), grown)
        with self._storage.write() as tx:
            current = tx.previews.get(preview.id)
            if current is None:
                return
            look_at = again if current.look_at is None else min(current.look_at, again)
            written = current.written.model_copy(update={"failures": current.written.failures + 1})
            tx.previews.change(preview.id, written=written, fault=fault_of(error), look_at=look_at)


def _status_name(written: Written) -> str:
    return written.status_name or FIRST_STATUS_NAME
