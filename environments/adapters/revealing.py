"""Secrets and the CA for people: read from OpenBao when asked for, never kept."""

from environments.adapters.vault import Vault
from environments.domain.errors import BackendError, NotFound


class Revealing:
    """See `Secrets` and `Authority` in `environments.service.reading`."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def read_secret(self, path: str, key: str) -> str:
        """The value. Raises `NotFound`, `BackendError`."""
        found = self._vault.secrets.read(path)
        if found is None or key not in found:
            raise NotFound(f"There is no secret {path}#{key} in OpenBao any more.")
        return str(found[key])

    def ca_chain(self) -> str:
        """PEM. Raises `BackendError`."""
        chain = self._vault.pki.chain()
        if not chain.strip():
            raise BackendError("OpenBao has no CA at the mount pki.", hint="Run `doit deploy`, which sets it up.")
        return chain
