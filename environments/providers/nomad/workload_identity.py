"""The identities of an environment's jobs in OpenBao: tokens with their leases, an entity and its aliases.

Nomad 1.10 never revokes the tokens of workloads, and OpenBao never deletes entities.
"""

from typing import ClassVar

from environments.domain.counting import counted
from environments.domain.environment import ResourceRef
from environments.providers.nomad.access_ports import Identities, Identity
from environments.providers.nomad.namespace import whose_namespace
from environments.providers.nomad.ports import NomadApi
from environments.steps.base import Intended, Observation, Owner, Presence, StepRun
from environments.steps.marks import ABSENT

IDENTITY_KIND = "vault.identity"
TOKEN_PATH = "token"
"""The auth path of tokens for the places of one environment. The entity's alias there is the environment's name."""

AUTH_PATH = "jwt-nomad"
"""The auth path at which workloads log in. An entity's alias there is the job's namespace (`user_claim`)."""


def end_identity(identities: Identities, auth_path: str, name: str, run: StepRun) -> Identity:
    """Revokes the tokens of a name, then removes its entities; returns what existed."""
    found = identities.find(auth_path, name)
    for accessor in found.accessors:
        run.before_effect()
        identities.revoke(accessor)
    for entity in found.entities:
        run.before_effect()
        identities.remove_entity(entity)
    return found


def issuing_resource(owner: Owner) -> Intended:
    """The resource in the inventory for tokens for an environment's secrets or modules."""
    return Intended(ResourceRef(kind=IDENTITY_KIND, address=f"{TOKEN_PATH}/{owner.name}"), shared=True, rank=34)


class IdentityHandler:
    """Observes and removes the identity of an environment's jobs (`jwt-nomad/<name>`) or its tokens (`token/<name>`).

    An identity has no mark: it is foreign while a foreign namespace has that name.
    """

    kind: ClassVar[str] = IDENTITY_KIND

    def __init__(self, identities: Identities, nomad: NomadApi) -> None:
        self._identities = identities
        self._nomad = nomad

    def observe(self, address: str, owner: Owner) -> Observation:
        """Counts entities and tokens."""
        auth_path, name = address.split("/")
        found = self._identities.find(auth_path, name)
        if not found.entities and not found.accessors:
            return ABSENT
        entities = len(found.entities)
        detail = f"{entities} entit{'y' if entities == 1 else 'ies'}, {counted(len(found.accessors), 'token')}"
        return Observation(Presence.FOREIGN if self._foreign(name, owner) else Presence.OURS, detail)

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Revokes the tokens, then removes the entities."""
        auth_path, name = address.split("/")
        if not self._foreign(name, owner):
            end_identity(self._identities, auth_path, name, run)

    def _foreign(self, namespace: str, owner: Owner) -> bool:
        metadata = self._nomad.namespace(namespace)
        return metadata is not None and whose_namespace(metadata, owner) is Presence.FOREIGN
