"""What modules are issued, for how long, and that nothing of it stays: on twins in memory."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from environments.domain.environment import ResourceRef
from environments.domain.errors import (
    BackendUnavailable,
    CalvinverseError,
    ForeignResource,
    Interrupted,
    MachineError,
    StepFailed,
)
from environments.domain.plan import Change
from environments.domain.template import make_bundle
from environments.engine.progress import PlanRun
from environments.providers.consul.access import PolicyHandler, TokensHandler
from environments.providers.consul.ports import Policy, Put
from environments.providers.consul.prefix import PrefixHandler
from environments.providers.consul.services import ServicesHandler
from environments.providers.job_places.claims import ClaimedPlaces
from environments.providers.nomad.access import NomadPolicyHandler, NomadTokensHandler
from environments.providers.nomad.access_ports import NomadPolicy
from environments.providers.nomad.namespace import NamespaceHandler
from environments.providers.nomad.workload_identity import IdentityHandler
from environments.providers.opentofu.credentials import ClusterCredentials, Where
from environments.providers.opentofu.module import OpenTofuModule
from environments.providers.opentofu.ports import CredentialPart, IssuedCredentials, Module, Place
from environments.providers.opentofu.removal import ModuleStateHandler
from environments.providers.opentofu.run_record import RunRecord
from environments.providers.vault.folder import FolderHandler
from environments.providers.vault.secret import SecretHandler
from environments.steps.base import Owner, Presence, ResourceHandler, StepRun
from environments.steps.marks import MARK, mark
from tests.fakes.backends.consul import MemoryConsul
from tests.fakes.backends.nomad import MemoryNomad
from tests.fakes.backends.nomad_access import MemoryNomadAcl
from tests.fakes.backends.vault import MemoryLogins, MemoryPki, MemorySecrets
from tests.fakes.inline_executor import InlineExecutor
from tests.support.step_harness import Run
from tests.unit.providers.opentofu.test_module import ALPHA, PLACE, FakeTofu, Harness

ALL: tuple[CredentialPart, ...] = ("consul", "nomad", "openbao")
POLICY = "env-alpha--module"


class Cluster:
    """The three parts in memory, and a broker on them."""

    def __init__(self) -> None:
        self.consul = MemoryConsul()
        self.nomad = MemoryNomad(self.consul)
        self.acl = MemoryNomadAcl()
        self.logins = MemoryLogins()
        self.secrets = MemorySecrets()
        pki = MemoryPki()
        places = ClaimedPlaces(
            self.nomad, self.consul, self.consul, self.consul, self.secrets, pki, self.logins, InlineExecutor
        )
        self.broker = ClusterCredentials(
            self.consul, self.consul, self.acl, self.logins, self.secrets, places, self._where
        )
        handlers: list[ResourceHandler] = [
            PrefixHandler(self.consul),
            PolicyHandler(self.consul),
            TokensHandler(self.consul),
            NamespaceHandler(self.nomad),
            NomadPolicyHandler(self.acl),
            NomadTokensHandler(self.acl),
            IdentityHandler(self.logins, self.nomad),
            SecretHandler(self.secrets),
            FolderHandler(self.secrets, InlineExecutor),
            ServicesHandler(self.consul),
        ]
        self.handlers = {handler.kind: handler for handler in handlers}

    def tokens(self) -> list[int]:
        """How many there are, by part."""
        policy = self.consul.policy(POLICY)
        return [
            len(self.consul.tokens(policy.id)) if policy else 0,
            len(self.acl.tokens(POLICY)),
            len(self.logins.find("token", "alpha").accessors),
        ]

    def left(self) -> list[ResourceRef]:
        """What of the broker's resources is there."""
        refs = [item.ref for item in self.broker.resources(ALPHA, ALL)]
        return [ref for ref in refs if self.presence(ref) is not Presence.ABSENT]

    def presence(self, ref: ResourceRef) -> Presence:
        """Of one of them."""
        return self.handlers[ref.kind].observe(ref.address, ALPHA).presence

    def destroy(self) -> None:
        """As the engine does it: in reverse order of ranks."""
        for item in sorted(self.broker.resources(ALPHA, ALL), key=lambda item: -item.rank):
            self.handlers[item.ref.kind].destroy(item.ref.address, ALPHA, Run())

    @staticmethod
    def _where(part: CredentialPart) -> Where:
        return Where(f"https://{part}:1", "PEM" if part == "nomad" else "")


class CredentialTofu(FakeTofu):
    """Remembers what it was issued, and observes what is good meanwhile."""

    def __init__(self, harness: Harness, cluster: Cluster) -> None:
        super().__init__(harness.states)
        self.credentials: list[IssuedCredentials] = []
        self.good: list[list[int]] = []
        self._cluster = cluster

    def apply(self, place: Place, module: Module, run: StepRun, *args: Any, **named: Any) -> Any:
        """Like any."""
        self._look(place)
        return super().apply(place, module, run, *args, **named)

    def plan(self, place: Place, module: Module, run: StepRun) -> Sequence[Change]:
        """Like any."""
        self._look(place)
        return super().plan(place, module, run)

    def destroy(self, place: Place, module: Module, run: StepRun, *args: Any, **named: Any) -> None:
        """Like any."""
        self._look(place)
        super().destroy(place, module, run, *args, **named)

    def _look(self, place: Place) -> None:
        self.credentials.append(place.credentials)
        self.good.append(self._cluster.tokens())


class WithBroker(Harness):
    """The executor with a broker."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.recording = CredentialTofu(self, self.cluster)
        self.executor = OpenTofuModule(self.recording, self.states, self.keys, self.states, self.cluster.broker)
        self.state = ModuleStateHandler(self.executor.modules)


@pytest.fixture
def harness() -> WithBroker:
    return WithBroker()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_what_is_lent_is_good_for_one_block_and_told_to_tofu_alone(cluster: Cluster) -> None:
    run = Run()
    with cluster.broker.issue(ALPHA, ALL, 300, run) as issued:
        assert cluster.tokens() == [1, 1, 1]
        assert {name for name in issued.variables if issued.variables[name] not in issued.secrets} == {
            "CONSUL_HTTP_ADDR",
            "NOMAD_ADDR",
            "NOMAD_NAMESPACE",
            "TERRAFORM_VAULT_SKIP_CHILD_TOKEN",
            "VAULT_ADDR",
        }
        assert (issued.variables["NOMAD_ADDR"], issued.variables["NOMAD_NAMESPACE"]) == ("https://nomad:1", "alpha")
        assert issued.certificates == {"NOMAD_CACERT": "PEM"}
        tokens = {issued.variables[name] for name in ("CONSUL_HTTP_TOKEN", "NOMAD_TOKEN", "VAULT_TOKEN")}
        assert (len(tokens), set(issued.secrets)) == (3, tokens)
        assert not any(token in f"{issued!r} {run.lines}" for token in tokens)
    assert cluster.tokens() == [0, 0, 0]


def test_rights_are_the_environments_own(cluster: Cluster) -> None:
    with cluster.broker.issue(ALPHA, ALL, 300, Run()):
        pass
    consul, nomad = cluster.consul.policy(POLICY), cluster.acl.policy(POLICY)
    assert consul is not None
    assert nomad is not None
    assert consul.rules == {
        "key_prefix": {"environments/alpha/": {"policy": "write"}},
        "service_prefix": {"alpha--": {"policy": "write"}, "": {"policy": "read"}},
        "node_prefix": {"": {"policy": "read"}},
    }
    assert nomad.rules.startswith('{"namespace": {"alpha": ')
    assert "host_volume" not in nomad.rules


@pytest.mark.parametrize(("asked", "given"), [(1.0, 60), (-5.0, 60), (300.7, 300), (90_000.0, 3600)])
def test_a_credential_ends_with_the_step_but_within_an_hour(cluster: Cluster, asked: float, given: int) -> None:
    with cluster.broker.issue(ALPHA, ["nomad"], asked, Run()):
        ((name, _, seconds),) = cluster.acl.issued.values()
    assert (name, seconds) == ("calvinverse environment env-1", given)


@pytest.mark.parametrize("reason", [StepFailed("no"), Interrupted("The worker stops."), KeyboardInterrupt()])
def test_credentials_end_whatever_ends_their_use(cluster: Cluster, reason: BaseException) -> None:
    seen = []

    def use() -> None:
        with cluster.broker.issue(ALPHA, ALL, 300, Run()):
            seen.append(cluster.tokens())
            raise reason

    with pytest.raises(type(reason)):
        use()
    assert seen == [[1, 1, 1]]
    assert cluster.tokens() == [0, 0, 0]


@pytest.mark.parametrize("effect", range(1, 9))
def test_an_interruption_while_lending_leaves_no_credential_and_a_destroy_takes_the_rest(
    cluster: Cluster, effect: int
) -> None:
    with pytest.raises(Interrupted), cluster.broker.issue(ALPHA, ALL, 300, Run(stop_at=effect)):
        raise AssertionError
    assert cluster.tokens() == [0, 0, 0]
    cluster.destroy()
    assert cluster.left() == []


def test_a_credential_of_a_killed_worker_goes_with_the_environment(cluster: Cluster) -> None:
    issued = cluster.broker.issue(ALPHA, ALL, 300, Run())
    issued.__enter__()
    cluster.consul.commit([Put("environments/alpha/by-the-module", b"1")])
    cluster.secrets.write("environments/alpha/by-the-module", {"a": "b"}, 0)
    cluster.secrets.mark("environments/alpha/of-a-step", mark(ALPHA))
    cluster.secrets.mark("environments/alpha-b/of-another", {})
    assert len(cluster.left()) == 10
    cluster.destroy()
    assert cluster.tokens() == [0, 0, 0]
    assert cluster.left() == []
    assert cluster.consul.tree("environments/alpha/") == {}
    assert cluster.secrets.paths("environments/") == ["environments/alpha-b/of-another"]


def test_a_credential_that_cannot_be_revoked_is_told_and_what_was_done_counts(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(accessor: str) -> None:
        raise BackendUnavailable("Nomad is away.")

    monkeypatch.setattr(cluster.acl, "remove_token", away)
    run = Run()
    with cluster.broker.issue(ALPHA, ALL, 300, run):
        pass
    assert cluster.tokens() == [0, 1, 0]
    assert run.lines == [
        "the module's credential for Nomad could not be revoked and ends by itself within 300 s: Nomad is away."
    ]


def _strange_folder(cluster: Cluster) -> None:
    cluster.consul.commit([Put("environments/alpha/theirs", b"1")])


def _strange_consul_policy(cluster: Cluster) -> None:
    cluster.consul.create_policy(POLICY, "theirs", {})


def _strange_nomad_policy(cluster: Cluster) -> None:
    cluster.acl.write_policy(NomadPolicy(POLICY, "theirs", ""))


def _strange_secret(cluster: Cluster) -> None:
    cluster.secrets.mark("environments/alpha/theirs", {})


def _strange_namespace(cluster: Cluster) -> None:
    cluster.nomad.write_namespace("alpha", "", {MARK: "env-2"})


@pytest.mark.parametrize(
    "spoil", [_strange_folder, _strange_consul_policy, _strange_nomad_policy, _strange_namespace, _strange_secret]
)
def test_what_belongs_to_others_is_neither_used_nor_destroyed(
    cluster: Cluster, spoil: Callable[[Cluster], None]
) -> None:
    spoil(cluster)
    with pytest.raises(ForeignResource):
        cluster.broker.missing(ALPHA, ALL)
    with pytest.raises(ForeignResource), cluster.broker.issue(ALPHA, ALL, 300, Run()):
        raise AssertionError
    assert cluster.tokens() == [0, 0, 0]
    cluster.destroy()
    assert [cluster.presence(ref) for ref in cluster.left()] == [Presence.FOREIGN]


def test_changed_rules_are_told_and_mended(cluster: Cluster) -> None:
    with cluster.broker.issue(ALPHA, ALL, 300, Run()):
        pass
    assert cluster.broker.missing(ALPHA, ALL) == []
    policy = cluster.consul.policy(POLICY)
    assert policy is not None
    cluster.consul.update_policy(Policy(policy.id, policy.name, policy.description, {}))
    cluster.acl.write_policy(NomadPolicy(POLICY, "calvinverse environment env-1", "{}"))
    assert [(found.kind, found.action.value) for found in cluster.broker.missing(ALPHA, ALL)] == [
        ("consul.policy", "change"),
        ("nomad.policy", "change"),
    ]
    with cluster.broker.issue(ALPHA, ALL, 300, Run()):
        pass
    assert cluster.broker.missing(ALPHA, ALL) == []


def test_all_that_issuing_makes_is_known_beforehand_and_shared(harness: WithBroker) -> None:
    found = harness.executor.resources(harness.context(credentials=list(ALL)))
    assert [(item.ref.kind, item.ref.address) for item in found if item.shared] == [
        ("vault.module_key", "alpha"),
        ("consul.kv", "environments/alpha/"),
        ("consul.policy", POLICY),
        ("consul.tokens", POLICY),
        ("consul.services", "alpha--"),
        ("vault.folder", "secret/environments/alpha/"),
        ("nomad.namespace", "alpha"),
        ("consul.policy", "env-alpha"),
        ("consul.tokens", "env-alpha"),
        ("vault.identity", "jwt-nomad/alpha"),
        ("nomad.policy", POLICY),
        ("nomad.tokens", POLICY),
        ("vault.secret", "secret/environments/alpha/.owner"),
        ("vault.identity", "token/alpha"),
    ]


def test_each_use_of_tofu_has_its_own_credentials_and_a_destroy_too(harness: WithBroker) -> None:
    harness.apply(credentials=["nomad", "consul", "nomad"])
    harness.executor.plan(harness.context(credentials=["nomad", "consul"]), Run())
    harness.state.destroy("alpha/net", ALPHA, Run())
    assert harness.recording.good == [[1, 1, 0]] * 3
    assert len({issued.variables["NOMAD_TOKEN"] for issued in harness.recording.credentials}) == 3
    assert harness.cluster.tokens() == [0, 0, 0]


@pytest.mark.parametrize("reason", [StepFailed("no"), Interrupted("The worker stops.")])
def test_a_failed_apply_ends_its_credentials(harness: WithBroker, reason: CalvinverseError) -> None:
    harness.recording.fails = reason
    with pytest.raises(type(reason)):
        harness.apply(credentials=list(ALL))
    assert harness.recording.good == [[1, 1, 1]]
    assert harness.cluster.tokens() == [0, 0, 0]


def test_a_module_without_the_option_gets_nothing(harness: WithBroker) -> None:
    harness.apply()
    harness.executor.plan(harness.context(), Run())
    harness.state.destroy("alpha/net", ALPHA, Run())
    assert harness.recording.credentials == [IssuedCredentials()] * 3
    assert harness.cluster.left() == []


def test_a_plan_makes_nothing_to_issue_credentials(harness: WithBroker) -> None:
    run = Run()
    found = harness.executor.plan(harness.context(credentials=list(ALL)), run)
    assert [told.kind for told in found] == [
        "consul.kv",
        "consul.policy",
        "nomad.namespace",
        "consul.policy",
        "nomad.policy",
        "vault.folder",
        "vault.identity",
        "opentofu.state",
    ]
    assert run.effects == 0
    assert harness.recording.credentials == []
    assert harness.cluster.left() == []


def test_a_caller_that_only_reads_gets_credentials_and_claims_nothing(cluster: Cluster) -> None:
    with cluster.broker.issue(ALPHA, ALL, 300, Run()):
        pass
    with cluster.broker.issue(ALPHA, ALL, 300, PlanRun(60)) as issued:
        assert issued.variables["NOMAD_TOKEN"]


def test_a_plan_of_a_first_apply_is_the_same_whatever_other_steps_or_a_killed_run_issued(
    harness: WithBroker,
) -> None:
    context = harness.context(credentials=["consul"])
    shown = harness.executor.plan(context, Run())
    with harness.cluster.broker.issue(ALPHA, ["consul"], 300, Run()):
        pass
    assert harness.executor.plan(context, Run()) == shown[-1:]
    harness.recording.dies = True
    with pytest.raises(BackendUnavailable):
        harness.apply(credentials=["consul"])
    (resumed,) = harness.executor.plan(context, Run())
    assert (resumed.kind, resumed.address) == ("opentofu.state", "alpha/net")
    harness.recording.dies = False
    harness.apply(credentials=["consul"])
    assert [told.kind for told in harness.executor.plan(context, Run())] == ["opentofu.resource"]
    more = harness.executor.plan(harness.context(credentials=["consul", "nomad"]), Run())
    assert [told.kind for told in more] == [
        "nomad.namespace",
        "consul.policy",
        "nomad.policy",
        "opentofu.state",
    ]


def test_what_a_killed_run_may_have_made_is_recorded_with_the_credentials_of_then(harness: WithBroker) -> None:
    harness.recording.dies = True
    with pytest.raises(BackendUnavailable):
        harness.apply(credentials=["consul"])
    harness.recording.dies = False
    harness.apply(variables={"size": 2})
    assert harness.recording.good == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_a_run_record_of_before_credentials_can_be_read(harness: WithBroker) -> None:
    harness.apply()
    content = harness.states.records[PLACE].replace(b', "credentials": []', b"")
    assert b"credentials" not in content
    assert RunRecord.load(content).module.credentials == ()


def test_other_parts_are_refused(harness: WithBroker) -> None:
    files = {
        **harness.context().bundle.files,
        "template.toml": b'[template]\nname = "x"\n[[steps]]\nname = "a"\nuses = "b"\n',
    }
    assert harness.executor.check({"folder": "net", "credentials": ["docker"]}, make_bundle(files))


def test_a_service_without_a_cluster_says_so() -> None:
    harness = Harness()
    with pytest.raises(MachineError, match="no cluster"):
        harness.apply(credentials=["consul"])


def test_another_owners_tokens_are_not_ours(cluster: Cluster) -> None:
    with cluster.broker.issue(ALPHA, ["nomad"], 300, Run()):
        handler = cluster.handlers["nomad.tokens"]
        assert handler.observe(POLICY, ALPHA).detail == "1 token"
        other = Owner("env-2", "alpha")
        assert handler.observe(POLICY, other).presence is Presence.FOREIGN
        handler.destroy(POLICY, other, Run())
        assert cluster.tokens() == [0, 1, 0]
