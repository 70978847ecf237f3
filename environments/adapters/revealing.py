"""Secrets and the CA for people: read from OpenBao when asked for, never kept."""

from collections.abc import Mapping

from environments.adapters.vault import Vault
from environments.domain.errors import BackendError, ForeignResource, NotFound
from environments.domain.references import SecretReference
from environments.executors.marks import MARK


class Revealing:
    """See `Secrets` and `Authority` in `environments.service.reading`."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def read_secrets(self, references: Mapping[str, SecretReference]) -> dict[str, str]:
        """The values. A secret that bears another environment's mark, or none, is not read out."""
        return {name: self._read(reference) for name, reference in references.items()}

    def _read(self, reference: SecretReference) -> str:
        found = self._vault.secrets.kept(reference.path)
        if found is None or reference.key not in found.data:
            raise NotFound(f"There is no secret {reference.path}#{reference.key} in OpenBao any more.")
        if found.metadata.get(MARK) != reference.environment:
            raise ForeignResource(f"The secret {reference.path} in OpenBao doesn't belong to this environment.")
        return str(found.data[reference.key])

    def ca_chain(self) -> str:
        """PEM. Raises `BackendError`."""
        chain = self._vault.pki.chain()
        if not chain.strip():
            raise BackendError("OpenBao has no CA at the mount pki.", hint="Run `doit deploy`, which sets it up.")
        return chain
