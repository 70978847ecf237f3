"""`opentofu.module` on real tofu and real providers: what it makes, shows, takes away, and what it says if it can't."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from environments.domain.environment import ResourceRef
from environments.domain.errors import (
    BackendError,
    BackendUnavailable,
    Cancelled,
    InvalidTemplate,
    LeaseLost,
    MachineError,
    StepFailed,
)
from environments.domain.plan import Action
from environments.domain.template import Bundle
from environments.providers.opentofu.folders import WorkFolders
from environments.providers.opentofu.installation import Installation
from environments.providers.opentofu.module import OpenTofuModule, OpenTofuModuleOptions
from environments.providers.opentofu.ports import IssuedCredentials
from environments.providers.opentofu.prepared import Prepared
from environments.providers.opentofu.removal import ModuleResourceHandler, ModuleStateHandler
from environments.providers.opentofu.runner import OpenTofu
from environments.steps.base import Owner, Presence, StepContext
from images.places import CHECKOUT
from images.toolchain import provider_mirror, require
from tests.fakes.counting_server import CountingServer
from tests.fakes.state_server import StateServer
from tests.support.opentofu_harness import (
    ALPHA,
    MODULE,
    PASSPHRASE,
    STEP,
    WORKER,
    FixedBroker,
    Site,
    StoppableRun,
    context,
    environ,
    thing,
    wait_until,
)

PLACE = ("env-alpha", "things")


@pytest.fixture
def things() -> Iterator[CountingServer]:
    with CountingServer() as server:
        yield server


@pytest.fixture
def served() -> Iterator[StateServer]:
    with StateServer() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, things: CountingServer, served: StateServer) -> Site:
    return Site(tmp_path, things.address, served.states)


def test_a_module_is_made_changed_and_taken_away(site: Site, things: CountingServer, served: StateServer) -> None:
    run = StoppableRun()
    assert site.apply(["a", "b"], run) == {"ids": ["a", "b"]}
    assert sorted(things.objects()) == ["a", "b"]
    inner = ["time_static.made", thing("a"), thing("b")]
    assert set(run.intended) == {
        ResourceRef(kind="opentofu.resource", address=f"alpha/things/{address}") for address in inner
    }
    assert site.recorded() == frozenset(inner)
    assert f"{thing('a')}: creating" in run.lines
    assert site.apply(["a", "c"], run, variables={"note": "second"}) == {"ids": ["a", "c"]}
    assert things.objects() == {name: {"id": name, "note": "second"} for name in ("a", "c")}
    assert things.created == {"a": 1, "b": 1, "c": 1}
    # What was taken away is no longer expected to be there.
    assert ResourceRef(kind="opentofu.resource", address=f"alpha/things/{thing('b')}") not in run.intended
    handler = ModuleResourceHandler(site.executor.modules)
    address = f"alpha/things/{thing('a')}"
    assert handler.observe(address, ALPHA).presence is Presence.OURS
    handler.destroy(address, ALPHA, run)
    assert things.objects() == {}
    assert handler.observe(address, ALPHA).presence is Presence.ABSENT
    assert ModuleStateHandler(site.executor.modules).observe("alpha/things", ALPHA).presence is Presence.ABSENT
    assert served.states.states == {}
    assert site.backend.load(ALPHA, STEP) is None
    assert site.leftovers() == []


def test_a_plan_is_what_apply_does(site: Site, things: CountingServer) -> None:
    first = site.executor.plan(context(things.address, ["a"]), StoppableRun())
    assert [(change.address, change.action) for change in first] == [
        (f"alpha/things/{thing('a')}", Action.CREATE),
        ("alpha/things/time_static.made", Action.CREATE),
    ]
    assert things.seen == []
    assert site.keys.keys == {}
    assert site.executor.plan(context(things.address, ["a"]), StoppableRun()) == first
    site.apply(["a"])
    assert site.executor.plan(context(things.address, ["a"]), StoppableRun()) == []
    changed = site.executor.plan(context(things.address, ["a"], variables={"note": "second"}), StoppableRun())
    assert [(change.address, change.action) for change in changed] == [(f"alpha/things/{thing('a')}", Action.CHANGE)]
    assert 'data: {"id":"a","note":"first"} → {"id":"a","note":"second"}' in changed[0].details
    swapped = site.executor.plan(context(things.address, ["b"]), StoppableRun())
    assert [(change.address, change.action) for change in swapped] == [
        (f"alpha/things/{thing('a')}", Action.DESTROY),
        (f"alpha/things/{thing('b')}", Action.CREATE),
    ]
    things.remove("a")
    drifted = site.executor.plan(context(things.address, ["a"]), StoppableRun())
    assert [change.action for change in drifted] == [Action.CREATE]
    assert "was removed outside of Calvinverse" in drifted[0].details
    assert site.leftovers() == []


def test_applying_again_changes_nothing(site: Site, things: CountingServer) -> None:
    first = site.apply(["a"])
    before = things.asked["POST", "a"]
    run = StoppableRun()
    assert site.apply(["a"], run) == first
    assert things.asked["POST", "a"] == before
    assert [line for line in run.lines if "creat" in line] == []


def test_state_and_plans_are_encrypted_and_secrets_are_told_to_nobody(
    site: Site, things: CountingServer, served: StateServer
) -> None:
    run = StoppableRun()
    things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, ["a"], run)
        things.wait_until_asked("POST", "a")
        password = next(iter(served.states.passwords))
        for process in site.processes():
            arguments = Path(f"/proc/{process}/cmdline").read_bytes().decode()
            given = environ(process)
            assert not any(word in arguments for word in (password, PASSPHRASE, site.keys.key(ALPHA)))
            assert PASSPHRASE not in str(given)
            assert site.keys.key(ALPHA) not in str(given)
            assert not {"CALVINVERSE_STATE", "VAULT_TOKEN", "USER"} & set(given)
        (work,) = (site.base / "work" / ALPHA.id / STEP).glob("run-*")
        assert work.stat().st_mode & 0o777 == 0o700
        for file in work.iterdir():
            if file.is_file():
                assert PASSPHRASE.encode() not in file.read_bytes()
        things.release()
        outputs = applied.result()
    assert outputs == {"ids": ["a"]}
    told = "\n".join(run.lines)
    assert not any(word in told for word in (password, PASSPHRASE, site.keys.key(ALPHA)))
    assert "not given on, because they are sensitive: passphrase" in told
    for state in served.states.states[PLACE].versions:
        assert PASSPHRASE.encode() not in state
        assert "encrypted_data" in json.loads(state)


def test_without_encryption_the_state_is_plain(site: Site, served: StateServer) -> None:
    site.apply(["a"], encryption=False)
    assert PASSPHRASE.encode() in served.states.states[PLACE].versions[-1]
    assert thing("a") in site.recorded()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            'resource "restapi_object" "x" {\n  path = "/objects"\n  data = "{}"\n  nonsense = 1\n}',
            "Unsupported argument",
        ),
        ('output "x" {\n  value = var.missing\n}', "Reference to undeclared input variable"),
        ('output "x" {\n', "Unclosed configuration block"),
    ],
)
def test_a_wrong_module_is_named_with_file_and_line(site: Site, things: CountingServer, text: str, says: str) -> None:
    with pytest.raises(InvalidTemplate, match=says) as caught:
        site.apply([], module=f"{MODULE}{text}")
    assert "main.tf:" in caught.value.message
    assert things.objects() == {}
    assert site.leftovers() == []


def test_a_provider_that_nobody_has_is_named_with_a_remedy(site: Site) -> None:
    module = MODULE.replace("Mastercard/restapi", "example.invalid/nobody/restapi")
    with pytest.raises(MachineError, match="nobody/restapi") as caught:
        site.apply([], module=module)
    assert "providers" in caught.value.hint


def case(name: str) -> StepContext:
    """The module of a template of the cases."""
    content = (CHECKOUT / "tests/cases/templates" / name / "mod/main.tf").read_bytes()
    return StepContext(ALPHA, STEP, OpenTofuModuleOptions(folder="mod"), Bundle(files={"mod/main.tf": content}))


def test_a_module_that_talks_like_tofu_is_told_in_its_own_words(site: Site) -> None:
    with pytest.raises(StepFailed) as caught:
        site.executor.apply(case("tfdecrypt"), StoppableRun())
    assert caught.value.message == (
        "tofu plan failed: main.tf:10: Resource precondition failed:"
        " decryption failed: the archive has another password."
    )


def test_a_state_that_another_key_encrypted_is_told_as_such(site: Site) -> None:
    site.apply(["a"])
    site.keys.keys[ALPHA.id] = base64.b64encode(b"k" * 32).decode()
    with pytest.raises(BackendError, match="state can't be decrypted"):
        site.recorded()
    for _ in range(2):  # by `init`, and by `plan` when `init` has left everything ready
        with pytest.raises(BackendError, match="state can't be decrypted") as caught:
            site.apply(["a"])
        assert "OpenBao" in caught.value.hint


def test_null_outputs_are_null(site: Site) -> None:
    for _ in range(2):
        assert site.executor.apply(case("tfnull"), StoppableRun()) == {"some": "x", "nothing": None}
    run = StoppableRun()
    null = 'output "nothing" {\n  value = null\n}\n'
    hidden = 'output "hidden" {\n  value     = null\n  sensitive = true\n}\n'
    for text in (null + hidden, 'output "nothing" {\n  value = "y"\n}\n', null):
        files = Bundle(files={"mod/main.tf": text.encode()})
        step = StepContext(ALPHA, STEP, OpenTofuModuleOptions(folder="mod", outputs=["nothing"]), files)
        assert site.executor.apply(step, run) == {"nothing": "y" if '"y"' in text else None}
    assert site.executor.apply(replace(step, options=OpenTofuModuleOptions(folder="mod")), run) == {"nothing": None}


def test_a_module_with_nothing_but_null_leaves_a_state(site: Site, served: StateServer) -> None:
    files = Bundle(files={"mod/main.tf": b'output "nothing" {\n  value = null\n}\n'})
    step = StepContext(ALPHA, STEP, OpenTofuModuleOptions(folder="mod"), files)
    assert site.executor.apply(step, StoppableRun()) == {"nothing": None}
    assert served.states.read(PLACE) is not None


def test_what_a_provider_says_reaches_people(site: Site, things: CountingServer) -> None:
    things.failing["b"] = 500
    run = StoppableRun()
    with pytest.raises(StepFailed, match="500") as caught:
        site.apply(["a", "b"], run)
    assert thing("b") in caught.value.message
    assert sorted(things.objects()) == ["a"]
    assert any(line.startswith(f"{thing('b')}: creating failed") for line in run.lines)
    # It ended by itself, so nothing is in flight: what failed was not made, and destroying need not make it.
    assert site.in_flight() == frozenset()
    ModuleStateHandler(site.executor.modules).destroy("alpha/things", ALPHA, run)
    assert things.objects() == {}


TELLTALE = """
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
variable "server" { type = string }
variable "names" { type = list(string) }
variable "passphrase" { type = string }
resource "time_static" "made" {}
resource "terraform_data" "tells" {
  provisioner "local-exec" {
    command = <<-EOT
      COMMAND
      exit 3
    EOT
  }
}
"""

TELLING = {
    "env | grep VAULT_TOKEN": "VAULT_TOKEN=***",
    "env >&2": "***",
    "env | grep -E 'TOKEN|PASSWORD' | base64 -w0": "***",
    'printf \'%s:%s\' "$TF_HTTP_USERNAME" "$TF_HTTP_PASSWORD" | base64 -w0': "***",
    "for f in /proc/$PPID/fd/*; do case $(readlink $f) in */memfd*) cat $f;; esac; done": '"encryption_key": "***"',
    "printf '\\033[31mred\\033[0m\\033]0;title\\007 %s' \"$VAULT_TOKEN\"": "red ***",
    'echo "https://ada:$VAULT_TOKEN@host/ Authorization: Bearer other"': "https://***@host/ Authorization: Bearer ***",
}


@pytest.mark.parametrize("command", TELLING)
def test_a_module_that_prints_all_that_it_was_given_tells_nobody(site: Site, command: str) -> None:
    """Neither in the log, nor in the failure, nor in the details for machines."""
    token = "lent+token/of a module="
    issued = IssuedCredentials({"VAULT_TOKEN": token, "VAULT_ADDR": "http://127.0.0.1:1"}, secrets=(token,))
    site.executor = OpenTofuModule(site.tofu, site.backend, site.keys, site.backend, FixedBroker(issued))
    run = StoppableRun()
    with pytest.raises(StepFailed) as caught:
        site.apply([], run, module=TELLTALE.replace("COMMAND", command), credentials=["openbao"])
    # What it ran is part of what tofu says; the rest is what that printed.
    assert TELLING[command] in caught.value.message.partition("Output: ")[2]
    said = "\n".join([*run.lines, caught.value.message, caught.value.hint, json.dumps(caught.value.details)])
    access = site.backend.open(ALPHA, STEP, WORKER)
    for secret in (token, access.password, site.keys.key(ALPHA)):
        assert secret not in said
        for before in ("", "x", "xx"):
            assert base64.b64encode(f"{before}{secret}".encode()).decode()[4:-6] not in said, (before, secret)
    assert all(character.isprintable() or character == "\n" for character in said)


def test_a_cancel_lets_tofu_record_what_it_does(site: Site, things: CountingServer) -> None:
    run = StoppableRun()
    things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, ["a", "b"], run)
        things.wait_until_asked("POST", "a")
        run.reason = Cancelled("Somebody asked to cancel.")
        wait_until(lambda: "tofu is asked to stop: Somebody asked to cancel." in run.lines, "tofu is told")
        things.release()
        with pytest.raises(Cancelled):
            applied.result()
    assert site.processes() == {}
    assert thing("a") in site.recorded()
    assert site.in_flight() == frozenset()
    assert site.leftovers() == []


def test_a_forced_cancel_does_not_wait(site: Site, things: CountingServer) -> None:
    run = StoppableRun()
    things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, ["a"], run)
        things.wait_until_asked("POST", "a")
        run.reason = Cancelled("Somebody asked to cancel.", details={"forced": True})
        with pytest.raises(Cancelled):
            applied.result()
        assert site.processes() == {}
        things.release()
    # It was made, nobody has recorded it, and it is not forgotten.
    assert thing("a") in site.in_flight()
    ModuleStateHandler(site.executor.modules).destroy("alpha/things", ALPHA, StoppableRun())
    assert things.objects() == {}
    assert things.created == {"a": 1}


def test_a_state_that_the_service_does_not_take_is_kept_and_taken_up(
    site: Site, things: CountingServer, served: StateServer
) -> None:
    site.apply(["a"])
    served.broken = True
    with pytest.raises(BackendUnavailable):
        site.apply(["a", "b"])
    assert len(served.states.states[PLACE].aside) == 1
    served.broken = False
    run = StoppableRun()
    site.apply(["a", "b"], run)
    assert "saved the state that an earlier run could not save" in run.lines
    assert things.asked["POST", "b"] == 1
    assert site.recorded() == {"time_static.made", thing("a"), thing("b")}


def test_a_late_write_of_somebody_who_lost_the_environment_is_kept_aside(
    site: Site, things: CountingServer, served: StateServer
) -> None:
    run = StoppableRun()
    things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, ["a"], run)
        things.wait_until_asked("POST", "a")
        served.states.holder = type(WORKER)("dep-2", "worker-9", 1)
        run.reason = LeaseLost("Another worker has taken over this deployment.")
        things.release()
        with pytest.raises(LeaseLost):
            applied.result()
    assert served.states.read(PLACE) is None
    assert served.states.states[PLACE].aside


def test_two_at_once_share_mirror_and_cache(site: Site, things: CountingServer) -> None:
    owners = [Owner(f"env-{number}", f"number-{number}") for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(site.apply, [f"{owner.name}-a"], StoppableRun(), owner=owner, variables={"note": owner.name})
            for owner in owners
        ]
        assert [found.result() for found in done] == [{"ids": [f"{owner.name}-a"]} for owner in owners]
    assert things.duplicates() == []


def test_what_init_left_ready_is_used_again_until_it_does_not_fit(site: Site, served: StateServer) -> None:
    site.apply(["a"])
    kept = sorted((site.base / "prepared").iterdir())
    assert kept
    before = len(served.requests)
    site.apply(["a", "b"])
    warm = served.requests[before:]
    assert sorted((site.base / "prepared").iterdir()) == kept
    for folder in kept:
        for link in (folder / ".terraform").rglob("*"):
            if link.is_symlink():
                link.unlink()
    site.apply(["a", "b", "c"])
    assert site.recorded() >= {thing("a"), thing("b"), thing("c")}
    # One request more: `init` asks for the state as well.
    assert len(warm) < len(served.requests[before + len(warm) :])


def test_terraform_is_refused_where_encryption_is_wanted(site: Site, things: CountingServer, tmp_path: Path) -> None:
    from environments.providers.opentofu.installation import Installation

    fake = tmp_path / "terraform"
    fake.write_text("#!/bin/sh\necho Terraform v1.13.3\n")
    fake.chmod(0o755)
    installation = Installation(str(fake), None, tmp_path)
    with pytest.raises(MachineError, match="can't encrypt the state"):
        installation.program(encrypted=True)
    assert installation.program(encrypted=False) == fake
    fake.write_text("#!/bin/sh\necho OpenTofu v1.9.0 # older\n")
    with pytest.raises(MachineError, match=r"OpenTofu v1\.9\.0"):
        installation.program(encrypted=True)
    with pytest.raises(MachineError, match="no program 'nowhere'"):
        Installation("nowhere", None, tmp_path).program(encrypted=True)


def test_many_plans_at_once_run_few_tofus(site: Site, things: CountingServer, tmp_path: Path) -> None:
    site.apply(["a"])
    site.executor = OpenTofuModule(
        OpenTofu(
            Installation(str(require("tofu")["tofu"]), provider_mirror(), tmp_path / "providers"),
            WorkFolders(tmp_path / "work"),
            Prepared(tmp_path / "prepared"),
            at_once=2,
        ),
        site.backend,
        site.keys,
        site.backend,
    )
    most = 0
    with ThreadPoolExecutor(10) as pool:
        asked = [
            pool.submit(site.executor.plan, context(site.things, ["a", f"b{number}"]), StoppableRun())
            for number in range(10)
        ]
        while not all(found.done() for found in asked):
            most = max(most, len(_folders(site.tofus())))
        for number, found in enumerate(asked):
            assert [change.address for change in found.result()] == [f"alpha/things/{thing(f'b{number}')}"]
    assert most == 1  # one place of two is kept for what changes the world


def _folders(processes: list[int]) -> set[Path]:
    """Where they work; one that ends meanwhile is nowhere. A program that tofu is about to start looks like tofu."""
    found = set()
    for process in processes:
        with suppress(OSError):
            found.add(Path(f"/proc/{process}/cwd").readlink())
    return found
