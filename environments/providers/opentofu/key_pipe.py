"""Asking for a state and handing one in as tofu would: `tofu state push` reads no encrypted ones."""

import json
import secrets
import ssl

import httpx2

from environments.domain.errors import BackendError, BackendUnavailable
from environments.providers.opentofu.ports import StateAccess

_LIMIT = 30.0
_LOOK_LIMIT = 5.0
_JSON = {"Content-Type": "application/json"}


def hand_in(access: StateAccess, state: bytes) -> None:
    """Makes a state the current one, under the lock. Raises `BackendUnavailable`, `BackendError`."""
    lock = secrets.token_hex(16)
    info = json.dumps({"ID": lock, "Operation": "reconcile", "Who": "calvinverse"}).encode()
    with _client(access, _LIMIT) as client:
        _send(client, "LOCK", access.address, info)
        try:
            _send(client, "POST", f"{access.address}?ID={lock}", state)
        finally:
            _send(client, "UNLOCK", access.address, info)


def state_answer(access: StateAccess) -> int | None:
    """The status of the answer to who reads the state; None when there is no answer."""
    try:
        with _client(access, _LOOK_LIMIT) as client:
            return client.get(access.address).status_code
    except (httpx2.HTTPError, ssl.SSLError):
        return None


def _client(access: StateAccess, limit: float) -> httpx2.Client:
    verify: ssl.SSLContext | bool = access.address.startswith("https:")
    if verify and access.ca:
        verify = ssl.create_default_context(cadata=access.ca)
    user = (access.username, access.password)
    return httpx2.Client(auth=user, verify=verify, timeout=limit, trust_env=False, headers=_JSON)


def _send(client: httpx2.Client, method: str, address: str, content: bytes) -> None:
    try:
        answer = client.request(method, address, content=content)
    except httpx2.HTTPError as error:
        raise BackendUnavailable(f"The module's state can't be reached to be handed in: {error}.") from error
    if answer.status_code == 423 or answer.status_code >= 500:
        raise BackendUnavailable(f"The module's state is locked or away: {method} was answered {answer.status_code}.")
    if not answer.is_success:
        raise BackendError(f"The service does not take the module's state: {method} was answered {answer.status_code}.")
