"""Reads secrets and the CA from OpenBao when a person requests them; nothing is stored."""

from collections.abc import Mapping
from typing import Any

from environments.domain.environment import Environment
from environments.domain.errors import BackendError, ForeignResource, NotFound
from environments.domain.references import SecretReference
from environments.providers.vault.ports import VaultApi
from environments.steps.marks import MARK


class Revealing:
    """Implements `Secrets` and `Authority` of `environments.service.reading`."""

    def __init__(self, vault: VaultApi) -> None:
        self._vault = vault

    def read_secrets(self, environment: Environment, references: Mapping[str, SecretReference]) -> dict[str, Any]:
        """The values, read with a token for the environment's folder only.

        A secret with another environment's mark, or without a mark, is refused.
        """
        with self._vault.secrets.of(environment.name) as folder:
            found = {path: folder.kept(path) for path in {reference.path for reference in references.values()}}
        shown = {}
        for name, reference in references.items():
            kept = found[reference.path]
            if kept is None or reference.key not in kept.data:
                raise NotFound(f"There is no secret {reference.path}#{reference.key} in OpenBao any more.")
            if kept.metadata.get(MARK) != environment.id:
                raise ForeignResource(f"The secret {reference.path} in OpenBao doesn't belong to this environment.")
            shown[name] = kept.data[reference.key]
        return shown

    def ca_chain(self) -> str:
        """PEM. Raises `BackendError`."""
        chain = self._vault.pki.chain()
        if not chain.strip():
            raise BackendError("OpenBao has no CA at the mount pki.", hint="Run `doit deploy`, which sets it up.")
        return chain
