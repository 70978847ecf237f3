"""Who may reach the state of an OpenTofu module: credentials that follow from the service's own key.

Each is made for one run of one step. Nothing secret is stored: the user name says for whom it was made, and the
password is the HMAC over that.
"""

import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote, unquote

from environments.domain.errors import Unauthenticated

READ_ONLY = "read-only"
"""Begins the user name of who may look at the state and do nothing else."""

READ_ONLY_LASTS = timedelta(hours=1)
"""How long such a credential is good. Each run of tofu gets one, and none that only looks takes longer: a plan has ten
minutes, a look two, and both may have to wait for their turn.
"""

_NUMBER = re.compile(r"[0-9]{1,9}")
_SECONDS = re.compile(r"[0-9]{1,11}")

PLAIN = "plain."
"""Begins the user name of who writes states that aren't encrypted, because their step says so."""

SECRET_LABEL = "calvinverse: passwords for states of modules"
"""What the key of the passwords is derived from the service's key with."""


class StateHolder(NamedTuple):
    """Who carries out a deployment: the worker, under the lease with that epoch."""

    deployment: str
    worker: str
    epoch: int


class Credential(NamedTuple):
    """What OpenTofu shows (basic authentication) to reach one state."""

    username: str
    password: str


@dataclass(frozen=True)
class StateCaller:
    """Who asks for which state; `holder` None: for reading only. `encrypted`: whether the state has to be.

    `opened` counts the credentials of a holder, each made for one run of OpenTofu: they are good while the deployment
    is held. `until` is when one for reading ends, in seconds since 1970 (POSIX).
    """

    environment_id: str
    step: str
    holder: StateHolder | None
    encrypted: bool = True
    opened: int = 0
    until: int = 0


def reader(environment_id: str, step: str, now: datetime) -> StateCaller:
    """Who may read that state for a while from now on."""
    return StateCaller(environment_id, step, None, until=int((now + READ_ONLY_LASTS).timestamp()))


def make_credential(caller: StateCaller, key: bytes) -> Credential:
    """The credential of who asks, by the service's key for it."""
    return Credential(_username(caller), _password(caller, key))


def check_credential(environment_id: str, step: str, shown: Credential, key: bytes, now: datetime) -> StateCaller:
    """Who shows this credential for the state of that step, by the service's clock. Raises `Unauthenticated`."""
    caller = _read_username(environment_id, step, shown.username)
    if not hmac.compare_digest(_password(caller, key).encode(), shown.password.encode()):
        raise _unknown()
    if caller.holder is None and now >= datetime.fromtimestamp(caller.until, UTC):
        raise Unauthenticated(
            "The credential for reading the state is over.", hint="Each run of OpenTofu gets a credential of its own."
        )
    return caller


def _password(caller: StateCaller, key: bytes) -> str:
    holder = None if caller.holder is None else list(caller.holder)
    text = json.dumps([caller.environment_id, caller.step, holder, caller.encrypted, caller.opened, caller.until])
    return hmac.new(key, text.encode(), sha256).hexdigest()


def _username(caller: StateCaller) -> str:
    """`<deployment>.<worker>.<epoch>.<opened>`; a worker's name may hold anything, and a user name no colon.

    For reading only: `read-only.<until>`.
    """
    if caller.holder is None:
        return f"{READ_ONLY}.{caller.until}"
    deployment, worker, epoch = caller.holder
    return f"{'' if caller.encrypted else PLAIN}{deployment}.{quote(worker, safe='')}.{epoch}.{caller.opened}"


def _read_username(environment_id: str, step: str, username: str) -> StateCaller:
    kind, _, until = username.partition(".")
    if kind == READ_ONLY and _SECONDS.fullmatch(until):
        return StateCaller(environment_id, step, None, until=int(until))
    deployment, _, rest = username.removeprefix(PLAIN).partition(".")
    worker, *numbers = rest.rsplit(".", 2)
    if not deployment or not worker or len(numbers) != 2 or not all(map(_NUMBER.fullmatch, numbers)):
        raise _unknown()
    epoch, opened = map(int, numbers)
    holder = StateHolder(deployment, unquote(worker), epoch)
    return StateCaller(environment_id, step, holder, not username.startswith(PLAIN), opened)


def _unknown() -> Unauthenticated:
    return Unauthenticated(
        "The credential is not one for this state.", hint="OpenTofu gets its credential from the step that runs it."
    )
