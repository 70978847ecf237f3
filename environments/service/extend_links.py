"""Links in warnings that extend an environment: whoever has one needs no token.

A link names one environment and one deadline as it was set at one time, and is signed with a key of the service
(HMAC-SHA256, RFC 2104). It is of no use once that deadline has moved, also if it moves back, once somebody has used a
link for it, or when its time is over.
"""

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from environments.domain.environment import Environment
from environments.domain.lifecycle import ENDED, State
from environments.service.authorization import LINK
from environments.service.deadlines import read_template
from environments.service.extending import check_extendable, move_deadline
from environments.service.storage.transaction import Storage, Transaction
from environments.service.storage.warnings import QueuedWarning

KEY_LABEL = "calvinverse: links that extend environments"
"""The label with which the key is derived from the service's own."""

PATH = "/extend"

_LONGEST = 400
"""Characters of a token."""

_SHORTEST_EXTENSION = timedelta(minutes=1)
"""What is less than that isn't offered."""


class Outcome(StrEnum):
    """What a link is good for."""

    OFFERED = "offered"
    EXTENDED = "extended"
    MOVED = "moved"
    USED = "used"
    EXPIRED = "expired"
    LEAVING = "leaving"
    AT_MAXIMUM = "at_maximum"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class LinkAnswer:
    """What to tell who opened a link. `name` and the moments (UTC) are known unless the outcome is `UNKNOWN`.

    `new_deadline` is the one that the link sets, or has set; `deadline` the present one.
    """

    outcome: Outcome
    name: str = ""
    deadline: datetime | None = None
    new_deadline: datetime | None = None


@dataclass(frozen=True)
class Link:
    """What a token says, once its signature is checked."""

    warning_id: str
    environment_id: str
    deadline: datetime
    expires: datetime


class ExtendLinks:
    """Makes links, and does what they are good for."""

    def __init__(
        self,
        storage: Storage,
        key: Callable[[], bytes],
        clock: Callable[[], datetime],
        address: str,
        grace: timedelta,
    ) -> None:
        """`address`: that of the service as people reach it; empty: there are no links."""
        self._storage = storage
        self._key = key
        self._clock = clock
        self._address = address.rstrip("/")
        self._grace = grace

    def make(self, warning: QueuedWarning, now: datetime) -> str:
        """The address of a link; empty if the service doesn't know its own.

        It is good until the environment has waited for its last warning as long as it may, at most.
        """
        if not self._address:
            return ""
        expires = max(warning.deadline, now) + self._grace
        moments = (moment.isoformat() for moment in (warning.deadline, expires))
        text = "|".join((warning.id, warning.environment_id, *moments)).encode()
        return f"{self._address}{PATH}?token={_encoded(text)}.{_encoded(self._sign(text))}"

    def read(self, token: str) -> Link | None:
        """What a token says; None: the service didn't sign it. Asks no database."""
        text, _, signature = token.partition(".")
        if len(token) > _LONGEST:
            return None
        try:
            said, shown = _decoded(text), _decoded(signature)
        except (binascii.Error, ValueError):
            return None
        if not hmac.compare_digest(shown, self._sign(said)):
            return None
        warning_id, environment_id, deadline, expires = said.decode().split("|")
        return Link(warning_id, environment_id, datetime.fromisoformat(deadline), datetime.fromisoformat(expires))

    def look(self, link: Link) -> LinkAnswer:
        """What the link is good for; changes nothing."""
        with self._storage.read() as tx:
            return self._look(tx, link, self._clock())[0]

    def use(self, link: Link) -> LinkAnswer:
        """Extends the environment, once."""
        now = self._clock()
        with self._storage.write() as tx:
            answer, environment = self._look(tx, link, now)
            if answer.outcome is not Outcome.OFFERED or environment is None or answer.new_deadline is None:
                return answer
            check_extendable(tx, LINK, environment)
            warning = tx.warnings.get(link.warning_id)
            sent = f" sent by {warning.channel}" if warning is not None else ""
            to = f" to {warning.recipient}" if warning is not None and warning.recipient else ""
            tx.warnings.use_link(environment.id, environment.deadline_moves, now)
            tx.warnings.replace(environment.id, "the deadline moved")
            after = move_deadline(tx, environment, answer.new_deadline, f"the link{sent}{to}", now)
            return LinkAnswer(Outcome.EXTENDED, environment.name, after.deadline, answer.new_deadline)

    def _look(self, tx: Transaction, link: Link, now: datetime) -> tuple[LinkAnswer, Environment | None]:
        environment = tx.environments.get(link.environment_id)
        if environment is None or environment.managed_by is not None:
            return LinkAnswer(Outcome.UNKNOWN), None
        outcome, wanted = self._judge(tx, environment, link, now)
        return LinkAnswer(outcome, environment.name, environment.deadline, wanted), environment

    def _judge(
        self, tx: Transaction, environment: Environment, link: Link, now: datetime
    ) -> tuple[Outcome, datetime | None]:
        if environment.state in ENDED or environment.state in (State.DESTROYING, State.DESTROY_FAILED):
            return Outcome.LEAVING, None
        warning = tx.warnings.get(link.warning_id)
        if warning is not None and warning.link_used_at is not None:
            return Outcome.USED, None
        moved = warning is None or warning.deadline_moves != environment.deadline_moves
        if moved or environment.deadline is None or environment.deadline != link.deadline:
            return Outcome.MOVED, None
        if link.expires <= now:
            return Outcome.EXPIRED, None
        template = read_template(tx, environment)
        if template is None:
            return Outcome.EXPIRED, None
        wanted = max(environment.deadline, now) + template.lifetime.extension
        if environment.maximum_deadline is not None:
            wanted = min(wanted, environment.maximum_deadline)
        if wanted - environment.deadline < _SHORTEST_EXTENSION:
            return Outcome.AT_MAXIMUM, None
        return Outcome.OFFERED, wanted

    def _sign(self, text: bytes) -> bytes:
        return hmac.new(self._key(), text, sha256).digest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
