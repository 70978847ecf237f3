"""The client of OpenBao (or Vault), with hvac: secrets, the PKI mount, tokens and identities."""

from collections.abc import Callable

import hvac
import requests
from hvac import exceptions

from environments.providers.backend.connections import Connections, Endpoint
from environments.providers.backend.link import CALL_LIMIT, Fault, Link
from environments.providers.vault.logins_client import Logins
from environments.providers.vault.pki_client import Pki
from environments.providers.vault.secrets_client import Secrets

_STATUS: dict[type[exceptions.VaultError], int] = {
    exceptions.InvalidRequest: 400,
    exceptions.Unauthorized: 401,
    exceptions.Forbidden: 403,
    exceptions.InvalidPath: 404,
    exceptions.RateLimitExceeded: 429,
    exceptions.InternalServerError: 500,
    exceptions.VaultNotInitialized: 503,
    exceptions.BadGateway: 502,
    exceptions.VaultDown: 503,
}


class VaultClient:
    """The three ports to OpenBao: `secrets`, `pki` and `logins`."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        link: Link[hvac.Client] = Link("vault", connections, _build, _explain)
        self.logins = Logins(link)
        self.secrets = Secrets(link, self.logins)
        self.pki = Pki(link)


def _build(endpoint: Endpoint, token: str, session: requests.Session) -> hvac.Client:
    verify = str(endpoint.ca_file) if endpoint.ca_file else True
    return hvac.Client(url=endpoint.address, token=token, verify=verify, timeout=CALL_LIMIT, session=session)


def _explain(error: Exception) -> Fault | None:
    if not isinstance(error, exceptions.VaultError):
        return None
    return Fault(_STATUS.get(type(error), 500), str(error.args[0] or "") if error.args else "")
