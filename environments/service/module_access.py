"""Credentials for the state of an OpenTofu module, derived from the service's own key.

Each credential is made for one run of one step. Nothing secret is stored: the user name says for whom the credential
was made, and the password is an HMAC over the user name.
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
"""The user name of a caller that may only read the state begins with this."""

READ_ONLY_LASTS = timedelta(hours=1)
"""How long such a credential is valid. Each run of tofu gets one. A run that only reads takes less time: a plan has ten
minutes, an observation two, and both may have to wait for other runs.
"""

_NUMBER = re.compile(r"[0-9]{1,9}")
_SECONDS = re.compile(r"[0-9]{1,11}")

PLAIN = "plain."
"""The user name of a caller that writes unencrypted states, as its step asks for, begins with this."""

SECRET_LABEL = "calvinverse: passwords for states of modules"
"""The label with which the key of the passwords is derived from the service's key."""


class StateHolder(NamedTuple):
    """The worker that carries out a deployment, under the lease with that epoch."""

    deployment: str
    worker: str
    epoch: int


class Credential(NamedTuple):
    """The user name and the password with which OpenTofu gets access to one state (basic authentication)."""

    username: str
    password: str


@dataclass(frozen=True)
class StateCaller:
    """A caller and the state that it may access; without `holder` it may only read. `encrypted`: the state must be.

    `opened` counts the credentials of a holder, each made for one run of OpenTofu; they are valid while the holder has
    the deployment. `until` is when a credential for reading expires, in seconds since 1970 (POSIX).
    """

    environment_id: str
    step: str
    holder: StateHolder | None
    encrypted: bool = True
    opened: int = 0
    until: int = 0


def reader(environment_id: str, step: str, now: datetime) -> StateCaller:
    """A caller that may read that state for `READ_ONLY_LASTS` from now on."""
    return StateCaller(environment_id, step, None, until=int((now + READ_ONLY_LASTS).timestamp()))


def make_credential(caller: StateCaller, key: bytes) -> Credential:
    """The credential of the caller; `key` is derived from the service's key."""
    return Credential(_username(caller), _password(caller, key))


def check_credential(environment_id: str, step: str, shown: Credential, key: bytes, now: datetime) -> StateCaller:
    """The caller that this credential belongs to, if it is valid for the state of that step.

    Raises `Unauthenticated`.
    """
    caller = _read_username(environment_id, step, shown.username)
    if not hmac.compare_digest(_password(caller, key).encode(), shown.password.encode()):
        raise _unknown()
    if caller.holder is None and now >= datetime.fromtimestamp(caller.until, UTC):
        raise Unauthenticated(
            "The credential for reading the state has expired.",
            hint="Each run of OpenTofu gets a credential of its own.",
        )
    return caller


def _password(caller: StateCaller, key: bytes) -> str:
    holder = None if caller.holder is None else list(caller.holder)
    text = json.dumps([caller.environment_id, caller.step, holder, caller.encrypted, caller.opened, caller.until])
    return hmac.new(key, text.encode(), sha256).hexdigest()


def _username(caller: StateCaller) -> str:
    """`<deployment>.<worker>.<epoch>.<opened>`.

    The worker's name is quoted, because a user name must not contain a colon. For a caller that may only read:
    `read-only.<until>`.
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
        "The credential is not valid for this state.", hint="OpenTofu gets its credential from the step that runs it."
    )
