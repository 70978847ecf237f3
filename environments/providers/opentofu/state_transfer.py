"""Reads and saves a state as tofu would: `tofu state push` can't read encrypted ones."""

import json
import secrets
import ssl

import requests

from environments.domain.errors import BackendError, BackendUnavailable
from environments.providers.backend.bounded import bounded_session, trusting
from environments.providers.opentofu.ports import StateAccess

_LIMIT = 30.0
_READ_LIMIT = 5.0
_LARGEST = 64 * 1024
"""Bytes of an answer; only its status counts."""


def save_state(access: StateAccess, state: bytes) -> None:
    """Makes a state the current one, under the lock. Raises `BackendUnavailable`, `BackendError`."""
    lock = secrets.token_hex(16)
    info = json.dumps({"ID": lock, "Operation": "reconcile", "Who": "calvinverse"}).encode()
    with _session(access, _LIMIT) as session:
        _send(session, "LOCK", access.address, info)
        try:
            _send(session, "POST", f"{access.address}?ID={lock}", state)
        finally:
            _send(session, "UNLOCK", access.address, info)


def state_answer(access: StateAccess) -> int | None:
    """The status of the answer to a read of the state; None when there is no answer."""
    try:
        with _session(access, _READ_LIMIT) as session:
            return session.get(access.address).status_code
    except (requests.RequestException, ssl.SSLError):
        return None


def _session(access: StateAccess, seconds: float) -> requests.Session:
    context = None
    if access.address.startswith("https:"):
        context = ssl.create_default_context(cadata=access.ca) if access.ca else trusting()
    session = bounded_session(context=context, seconds=seconds, largest=_LARGEST, cut=True, keep=1)
    session.auth = (access.username, access.password)
    session.headers["Content-Type"] = "application/json"
    return session


def _send(session: requests.Session, method: str, address: str, content: bytes) -> None:
    try:
        answer = session.request(method, address, data=content)
    except requests.RequestException as error:
        raise BackendUnavailable(f"The module's state can't be saved: {error}.") from error
    if answer.status_code == 423 or answer.status_code >= 500:
        raise BackendUnavailable(f"The module's state is locked or away: {method} was answered {answer.status_code}.")
    if not 200 <= answer.status_code < 300:
        raise BackendError(f"The service does not take the module's state: {method} was answered {answer.status_code}.")
