"""What OpenTofu gives: modules, whose states the service keeps."""

from environments.providers.local_cluster.agent_step import AGENT_KIND
from environments.providers.opentofu.credentials import ClusterCredentials
from environments.providers.opentofu.keys import ModuleKeyHandler, VaultModuleKeys
from environments.providers.opentofu.module import OpenTofuModule
from environments.providers.opentofu.ports import CredentialBroker
from environments.providers.opentofu.removal import ModuleResourceHandler, ModuleStateHandler
from environments.providers.parts import Parts
from environments.steps.registry import KnownStepKind, Provided

STEP_KINDS: tuple[KnownStepKind, ...] = (OpenTofuModule,)


def make_broker(parts: Parts) -> CredentialBroker:
    """The broker that issues credentials of the cluster to modules."""
    from environments.providers.opentofu.places import ConnectedPlaces

    where = ConnectedPlaces(parts.connections).where
    vault = parts.vault
    return ClusterCredentials(
        parts.consul, parts.consul, parts.nomad_access, vault.logins, vault.secrets, parts.places, where
    )


def provide(parts: Parts) -> Provided:
    """See `environments.providers.parts`."""
    from environments.providers.opentofu.folders import WorkFolders
    from environments.providers.opentofu.installation import Installation
    from environments.providers.opentofu.prepared import Prepared
    from environments.providers.opentofu.runner import OpenTofu
    from environments.providers.opentofu.served_states import SealedRunRecords, ServedStates

    settings, folder = parts.settings, parts.settings.data_folder / "opentofu"
    installation = Installation(settings.tofu, settings.providers, folder / "providers")
    tofu = OpenTofu(installation, WorkFolders(folder / "work"), Prepared(folder / "prepared"), settings.modules_at_once)
    keys = VaultModuleKeys(parts.vault.secrets)
    backend, records = ServedStates(parts.states, parts.state_address), SealedRunRecords(parts.states, keys)
    executor = OpenTofuModule(tofu, backend, keys, records, make_broker(parts))
    key_handler = ModuleKeyHandler(parts.vault.secrets)
    return Provided(
        executors=[executor],
        handlers=[ModuleStateHandler(executor.modules), ModuleResourceHandler(executor.modules), key_handler],
        hosted_by={key_handler.kind: (AGENT_KIND, "openbao")},
    )
