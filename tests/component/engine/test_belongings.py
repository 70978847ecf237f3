"""What is an environment's: all that its jobs can read and write, whoever put it there and whatever mark it has lost.

The whole engine with the real step kinds on twins in memory.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.commands import CreateEnvironment, MakePlan
from environments.domain.environment import Drift, Environment
from environments.domain.errors import BackendError
from environments.domain.lifecycle import DeploymentKind, ResourceStatus, State
from environments.domain.template import make_bundle
from environments.engine.abandoned import AbandonedObserver
from environments.engine.observe import BackendObserver
from environments.engine.plan import BackendPlanner
from environments.providers.consul.ports import CONFIG_KINDS, ConfigEntry, Instance, Policy, Put, Remove, RemoveTree
from environments.service.drift import Drifting
from environments.steps.marks import MARK
from tests.component.engine.test_services import HEAD, JOB, SERVICE, Cluster
from tests.support.engine_harness import ADMIN
from tests.support.step_harness import StepHarness

KEYS = "environments/alpha/"
TINY = """
[template]
name = "tiny"
[[steps]]
name = "settings"
uses = "consul.kv"
with = { keys = { message = "hi" } }
"""
ONLY_A_JOB = """
[template]
name = "services"
[[steps]]
name = "web"
uses = "nomad.job"
with = { file = "web.nomad.hcl", variables = { count = 1 } }
"""


class Scene(Cluster):
    """A service on a cluster in memory, with three templates: of keys, of a job, and of everything."""

    def open(self) -> None:
        """Also observes drift, and what was abandoned."""
        super().open()
        tools = self.make_registry()
        planner = BackendPlanner(self.database, tools)
        self.drifting = Drifting(self.database, BackendObserver(self.database, tools, planner, self.clock), self.clock)
        self.after = AbandonedObserver(self.database, tools, self.clock)

    def push_all(self) -> None:
        """Makes the templates known."""
        job = JOB.replace("NAME", "web").encode()
        for name, text in {"tiny": TINY, "only-a-job": ONLY_A_JOB, "whole": HEAD + SERVICE.format("web", 1)}.items():
            text = text.replace('name = "services"', f'name = "{name}"')
            self.catalogue.push(ADMIN, make_bundle({"template.toml": text.encode(), "web.nomad.hcl": job}))

    def make(self, template: str, *states: State) -> Environment:
        """The environment `alpha`, once it is ready, or in one of these states."""
        parameters = {"pin": "1234"} if template == "whole" else {}
        self.requests.create(ADMIN, CreateEnvironment(name="alpha", template=template, parameters=parameters))
        return self.reaches(*(states or (State.READY,)))

    def reaches(self, *states: State) -> Environment:
        """The environment, which must end in one of these states."""
        ends = (State.READY, State.FAILED, State.DESTROYED, State.DESTROY_FAILED)
        found = self.wait_for(*ends, name="alpha")
        assert found.state in states, found.failure
        return found

    def destroy(self, *states: State) -> Environment:
        """The environment, once it is destroyed, or in one of these states."""
        self.requests.destroy(ADMIN, "alpha")
        return self.reaches(*(states or (State.DESTROYED,)))

    def observe_drift(self) -> Drift:
        """What an observation for drift finds now."""
        drift = self.drifting.observe(ADMIN, "alpha").drift
        assert drift is not None
        return drift

    def told(self) -> set[tuple[str, str]]:
        """Kind and address of everything that differs or is unexpected."""
        drift = self.observe_drift()
        assert drift.troubles == {}
        changes = {(change.kind, change.address) for step in drift.steps for change in step.changes}
        return changes | {(found.kind, found.address) for found in drift.unexpected}

    def repair(self) -> Environment:
        """The environment after a repair, which must succeed."""
        self.ends_well(self.recovery.repair(ADMIN, "alpha").deployment_id)
        return self.environment("alpha")

    def everything(self) -> dict[str, Any]:
        """Whatever is in places of the name `alpha`; empty when nothing is."""
        world = self.cluster
        policy = world.consul.policy("env-alpha")
        logins = world.logins.find("jwt-nomad", "alpha")
        found = {
            "keys": world.consul.keys(KEYS),
            "policy": policy,
            "tokens": world.consul.tokens(policy.id) if policy else [],
            "services": world.consul.services("alpha--"),
            "configuration": world.consul.configured("alpha--"),
            "namespace": world.nomad.namespace("alpha"),
            "jobs": world.nomad.jobs("alpha"),
            "variables": world.nomad.variables("alpha"),
            "volumes": world.nomad.volumes("alpha"),
            "secrets": world.secrets.paths(KEYS),
            "role": world.pki.role("alpha"),
            "leases": world.pki.leases("alpha"),
            "logins": [*logins.entities, *logins.accessors],
        }
        return {kind: what for kind, what in found.items() if what}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "data")
    scene.push_all()
    scene.worker.start()
    yield scene
    scene.stop()


# --- what is there before ---

STRANGERS: dict[str, tuple[str, Callable[[StepHarness], object], Callable[[StepHarness], object]]] = {
    "secret": (
        "nothing",
        lambda world: world.secrets.write(f"{KEYS}nothing", {"k": "of the first owner"}, 0),
        lambda world: world.secrets.remove(f"{KEYS}nothing"),
    ),
    "key": (
        "deep/key",
        lambda world: world.consul.commit([Put(f"{KEYS}deep/key", b"1")]),
        lambda world: world.consul.commit([Remove(f"{KEYS}deep/key")]),
    ),
    "service": (
        "alpha--ghost",
        lambda world: world.consul.register(Instance("i", "alpha--ghost", "node", "127.0.0.1", 1)),
        lambda world: world.consul.deregister(Instance("i", "alpha--ghost", "node", "127.0.0.1", 1)),
    ),
    "configuration": (
        "service-resolver 'alpha--ghost'",
        lambda world: world.consul.configure(ConfigEntry("service-resolver", "alpha--ghost")),
        lambda world: world.consul.unconfigure(ConfigEntry("service-resolver", "alpha--ghost")),
    ),
    "namespace": (
        "namespace",
        lambda world: world.nomad.write_namespace("alpha", "", {}),
        lambda world: world.nomad.remove_namespace("alpha"),
    ),
    "policy": (
        "policy",
        lambda world: world.consul.create_policy("env-alpha", "by hand", {}),
        lambda world: world.consul.remove_policy(world.consul.policy("env-alpha").id),  # type: ignore[union-attr]
    ),
    "role": (
        "PKI role",
        lambda world: world.pki.write_role("alpha", {"ou": ["by hand"], "ttl": 60}),
        lambda world: world.pki.remove_role("alpha"),
    ),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_foreign_things_in_its_places_are_named_and_neither_read_nor_removed(scene: Scene, what: str) -> None:
    named, put, remove = STRANGERS[what]
    put(scene.cluster)
    before = scene.everything()
    failure = scene.make("only-a-job", State.FAILED).failure
    assert failure is not None
    assert failure.code == "foreign_resource"
    assert named in failure.message
    assert "choose another name" in failure.hint.lower()
    assert scene.cluster.nomad.registrations == 0, "no job has run that could have read it"
    scene.destroy()
    assert scene.everything() == before
    scene.make("only-a-job", State.FAILED)
    remove(scene.cluster)
    scene.ends_well(scene.requests.retry(ADMIN, "alpha").deployment_id)
    scene.destroy()
    assert scene.everything() == {}


@pytest.mark.parametrize("what", ["secret", "key"])
def test_a_plan_says_so_before_anything_is_made(scene: Scene, what: str) -> None:
    named, put, _ = STRANGERS[what]
    put(scene.cluster)
    request = MakePlan(kind=DeploymentKind.CREATE, template="only-a-job")
    with pytest.raises(Exception, match=named):
        scene.planning.plan(ADMIN, "alpha", request)


def test_logins_of_an_earlier_owner_of_the_name_are_ended_before_a_job_runs(scene: Scene) -> None:
    scene.cluster.logins.log_in("jwt-nomad", "alpha")
    scene.make("only-a-job")
    assert "logins" not in scene.everything()
    scene.cluster.logins.log_in("jwt-nomad", "alpha")
    scene.repair()
    assert "logins" in scene.everything(), "those of its own jobs are left alone"
    scene.destroy()
    assert scene.everything() == {}


# --- what comes while it lives ---


def _plant(world: StepHarness) -> None:
    """What people and apps leave in the places of a running environment."""
    world.secrets.write(f"{KEYS}nothing", {"k": "of the first owner"}, 0)
    world.secrets.mark(f"{KEYS}a/b/c", {"somebody": "else"})
    world.consul.commit([Put(f"{KEYS}by/an/app", b"1")])
    world.nomad.write_variable("alpha", "nomad/jobs/web", {"a": "b"})
    world.nomad.write_volume("alpha", "vol-1")
    job = world.nomad.job("alpha", "web")
    assert job is not None
    world.nomad.register("alpha", {**job, "ID": "by hand", "Meta": {}}, 0)
    world.consul.register(Instance("i", "alpha--odd", "node", "127.0.0.1", 1, (), {MARK: "env-another"}))
    for kind in CONFIG_KINDS:
        world.consul.configure(ConfigEntry(kind, "alpha--web"))
    world.pki.write_role("alpha", {"ou": ["by hand"], "ttl": 60})
    world.pki.issue("alpha")
    world.logins.log_in("jwt-nomad", "alpha")
    world.consul.log_in("env-alpha")


def test_everything_that_its_jobs_could_read_goes_with_it(scene: Scene) -> None:
    scene.make("only-a-job")
    _plant(scene.cluster)
    assert {
        ("vault.secret", f"secret/{KEYS}nothing"),
        ("vault.secret", f"secret/{KEYS}a/b/c"),
        ("consul.kv", f"{KEYS}by/an/app"),
        ("vault.pki-role", "pki/roles/alpha"),
        ("consul.service", "alpha--odd"),
        *(("consul.config-entry", f"{kind}/alpha--web") for kind in CONFIG_KINDS),
    } <= {(found.kind, found.address) for found in scene.observe_drift().unexpected}
    planned = scene.plan(DeploymentKind.DESTROY)
    assert ("vault.pki-role", "pki/roles/alpha") in {
        (change.kind, change.address) for step in planned.steps for change in step.changes
    }
    scene.destroy()
    assert scene.everything() == {}
    scene.make("only-a-job")
    assert scene.everything()["secrets"] == [f"{KEYS}.owner"]


def test_what_one_step_brings_is_no_strangers_for_the_next(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job, or a module, registers services by itself, without a mark."""
    two = ONLY_A_JOB.replace('name = "services"', 'name = "two"') + (
        '[[steps]]\nname = "next"\nuses = "nomad.job"\nneeds = ["web"]\n'
        'with = { file = "next.nomad.hcl", variables = { count = 1 } }\n'
    )
    files = {"template.toml": two, "web.nomad.hcl": JOB.replace("NAME", "web")}
    files["next.nomad.hcl"] = JOB.replace("NAME", "next")
    scene.catalogue.push(ADMIN, make_bundle({path: text.encode() for path, text in files.items()}))
    world, register = scene.cluster, scene.cluster.nomad.register

    def registering(*values: Any) -> str:
        world.consul.register(Instance("own", "alpha--own", "node", "127.0.0.1", 1))
        world.secrets.write(f"{KEYS}own/{world.nomad.registrations}", {}, 0)
        return register(*values)

    monkeypatch.setattr(world.nomad, "register", registering)
    scene.make("two")
    scene.destroy()
    assert scene.everything() == {}


ODD = [
    "a/../../beta/x",
    "..",
    "%2e%2e/x",
    "a b",
    "ü/☃",
    "new\nline",
    "\x1b[31m",
    "x" * 400,
    "/".join("d" * 200),
    "?a=b#c",
]


def test_thousands_of_things_with_odd_names_go_too(scene: Scene) -> None:
    scene.make("only-a-job")
    world = scene.cluster
    for name in [*ODD, *(f"many/{number}" for number in range(1500))]:
        world.secrets.write(KEYS + name, {"k": "v"}, 0)
        world.consul.commit([Put(KEYS + name, b"1")])
        world.consul.register(Instance(f"i/{name}", f"alpha--{name}", "node", "127.0.0.1", 1))
        world.consul.configure(ConfigEntry("service-defaults", f"alpha--{name}"))
    world.consul.configure(ConfigEntry("service-defaults", "alpha-b--web"))
    world.secrets.write("environments/beta/x", {"k": "another's"}, 0)
    world.consul.commit([Put("environments/beta/x", b"1")])
    scene.destroy()
    assert scene.everything() == {}
    assert world.secrets.paths("environments/beta/") == ["environments/beta/x"]
    assert world.consul.keys("environments/beta/") == ["environments/beta/x"]
    assert world.consul.configured("alpha-b--") == [ConfigEntry("service-defaults", "alpha-b--web")]


def test_configuration_that_can_not_be_removed_is_named_and_keeps_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.make("only-a-job")
    world, remove = scene.cluster, scene.cluster.consul.unconfigure
    for name in ("a", "b", "c"):
        world.consul.configure(ConfigEntry("service-resolver", f"alpha--{name}"))

    def refuse(entry: ConfigEntry) -> None:
        if entry.name == "alpha--b":
            raise BackendError("Another entry needs it.")
        remove(entry)

    with monkeypatch.context() as stubborn:
        stubborn.setattr(world.consul, "unconfigure", refuse)
        failed = scene.destroy(State.DESTROY_FAILED).failure
    assert failed is not None
    assert "service-resolver 'alpha--b'" in failed.message
    assert scene.everything()["configuration"] == [ConfigEntry("service-resolver", "alpha--b")]
    scene.destroy()
    assert scene.everything() == {}


def test_secrets_that_can_not_be_removed_are_named_and_do_not_go_on_for_ever(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.make("only-a-job")
    scene.cluster.secrets.write(f"{KEYS}sticky", {}, 0)
    with monkeypatch.context() as stubborn:
        stubborn.setattr(scene.cluster.secrets, "remove", lambda path: None)
        failure = scene.destroy(State.DESTROY_FAILED).failure
    assert failure is not None
    assert "sticky" in failure.message
    scene.ends_well(scene.requests.retry(ADMIN, "alpha").deployment_id)
    assert scene.everything() == {}


# --- marks that are lost ---


def test_an_emptied_prefix_with_a_new_key_is_drift_and_is_repaired_and_destroyed(scene: Scene) -> None:
    scene.make("tiny")
    scene.cluster.consul.commit([RemoveTree(KEYS)])
    scene.cluster.consul.commit([Put(f"{KEYS}state", b"written by the app")])
    assert scene.told() == {
        ("consul.kv", KEYS),
        ("consul.kv", f"{KEYS}message"),
        ("consul.kv", f"{KEYS}state"),
    }
    scene.repair()
    assert set(scene.cluster.consul.keys(KEYS)) == {f"{KEYS}.owner", f"{KEYS}message", f"{KEYS}state"}
    assert scene.told() == {("consul.kv", f"{KEYS}state")}
    scene.cluster.consul.commit([Remove(f"{KEYS}.owner")])
    scene.destroy()
    assert scene.everything() == {}
    scene.make("tiny")


def test_it_is_destroyed_without_a_repair_as_well(scene: Scene) -> None:
    scene.make("tiny")
    scene.cluster.consul.commit([RemoveTree(KEYS)])
    scene.cluster.consul.commit([Put(f"{KEYS}state", b"written by the app")])
    scene.destroy()
    assert scene.everything() == {}


def _policy(world: StepHarness, description: str) -> None:
    policy = world.consul.policy("env-alpha")
    assert policy is not None
    world.consul.update_policy(Policy(policy.id, policy.name, description, policy.rules))


def _role(world: StepHarness, unit: str) -> None:
    world.pki.write_role("alpha", {"ou": [unit] if unit else []})


def _job(world: StepHarness, mark: dict[str, str]) -> None:
    job = world.nomad.job("alpha", "web")
    assert job is not None
    world.nomad.register("alpha", {**job, "Meta": mark}, job["JobModifyIndex"])


def _metadata(mark: str) -> dict[str, str]:
    return {MARK: mark} if mark else {}


MARKS: dict[str, tuple[tuple[str, str], Callable[[StepHarness, str], object]]] = {
    "prefix": (
        ("consul.kv", KEYS),
        lambda world, mark: world.consul.commit(
            [Put(f"{KEYS}.owner", mark.encode()) if mark else Remove(f"{KEYS}.owner")]
        ),
    ),
    "policy": (
        ("consul.policy", "env-alpha"),
        lambda world, mark: _policy(world, f"calvinverse environment {mark}" if mark else ""),
    ),
    "namespace": (
        ("nomad.namespace", "alpha"),
        lambda world, mark: world.nomad.write_namespace("alpha", "", _metadata(mark)),
    ),
    "secret": (
        ("vault.secret", f"secret/{KEYS}password"),
        lambda world, mark: world.secrets.mark(f"{KEYS}password", _metadata(mark)),
    ),
    "role": (
        ("vault.pki-role", "pki/roles/alpha"),
        lambda world, mark: _role(world, f"calvinverse {mark}" if mark else ""),
    ),
    "job": (("nomad.job", "alpha/web"), lambda world, mark: _job(world, _metadata(mark))),
}
FOLDER: Callable[[StepHarness, str], object] = lambda world, mark: (  # noqa: E731 - beside those above
    world.secrets.mark(f"{KEYS}.owner", _metadata(mark)) if mark else world.secrets.remove(f"{KEYS}.owner")
)


@pytest.mark.parametrize("mark", ["", "somebody was here"])
@pytest.mark.parametrize("what", MARKS)
def test_a_mark_that_is_lost_is_drift_that_a_repair_puts_right(scene: Scene, what: str, mark: str) -> None:
    told, spoil = MARKS[what]
    scene.make("whole")
    spoil(scene.cluster, mark)
    assert told in scene.told()
    scene.repair()
    assert scene.told() == set()
    spoil(scene.cluster, mark)
    scene.destroy()
    assert scene.everything() == {}


@pytest.mark.parametrize("mark", ["", "somebody was here"])
def test_all_marks_may_be_lost(scene: Scene, mark: str) -> None:
    scene.make("whole")
    for spoil in (FOLDER, *(spoil for _, spoil in MARKS.values())):
        spoil(scene.cluster, mark)
    scene.cluster.secrets.write(f"{KEYS}unmarked", {"k": "v"}, 0)
    scene.destroy()
    assert scene.everything() == {}


@pytest.mark.parametrize("what", ["folder", "prefix", "policy", "namespace", "role"])
def test_a_mark_of_another_environment_is_never_destroyed_and_nobody_says_that_nothing_is_left(
    scene: Scene, what: str
) -> None:
    spoil = FOLDER if what == "folder" else MARKS[what][1]
    environment = scene.make("whole")
    spoil(scene.cluster, "env-another")
    assert scene.observe_drift().troubles or scene.observe_drift().unexpected or what == "folder"
    failure = scene.destroy(State.DESTROY_FAILED).failure
    assert failure is not None
    assert "Still there" in failure.message
    assert "env-another" in failure.message
    assert "mark" in failure.hint
    assert {
        "folder": "secrets",
        "prefix": "keys",
        "policy": "policy",
        "namespace": "namespace",
        "role": "role",
    }[what] in scene.everything()
    spoil(scene.cluster, environment.id)
    scene.ends_well(scene.requests.retry(ADMIN, "alpha").deployment_id)
    assert scene.everything() == {}


# --- what was given up ---


def test_a_name_stays_reserved_while_a_job_that_was_given_up_may_run(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BackendError("The node is away.")

    environment = scene.make("only-a-job")
    with monkeypatch.context() as stubborn:
        stubborn.setattr(scene.cluster.nomad, "deregister", refuse)
        scene.destroy(State.DESTROY_FAILED)
        scene.recovery.abandon(ADMIN, "alpha", reason="the node is away")
    with pytest.raises(Exception, match="is reserved"):
        scene.make("only-a-job")
    scene.clock.ahead = timedelta(minutes=11)
    assert scene.after.observe_due() == ["alpha"]
    world = scene.cluster
    # Somebody removes what was given up; a secret that nobody has written down is there as well.
    world.nomad.deregister("alpha", "web", purge=True)
    world.nomad.remove_namespace("alpha")
    world.secrets.write(f"{KEYS}by-hand", {"k": "of the first owner"}, 0)
    scene.recovery.abandon(ADMIN, "alpha", reason="observe again")
    assert scene.after.observe_due() == ["alpha"]
    with scene.database.read() as tx:
        left = {found.kind for found in tx.inventory.of(environment.id) if found.status is ResourceStatus.ABANDONED}
    assert "nomad.job" not in left
    with pytest.raises(Exception, match="is reserved"):
        scene.make("only-a-job")
    policy = world.consul.policy("env-alpha")
    if policy is not None:
        world.consul.remove_policy(policy.id)
    world.consul.commit([RemoveTree(KEYS)])
    for path in world.secrets.paths(KEYS):
        world.secrets.remove(path)
    scene.recovery.abandon(ADMIN, "alpha", reason="observe again")
    assert scene.after.observe_due() == ["alpha"]
    assert scene.everything() == {}
    scene.make("only-a-job")
