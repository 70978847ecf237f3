"""The meta environment: made, killed in the middle of its hand-over, made again, repaired, removed."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

import pytest

from environments.client import connect
from environments.context import stored_context
from environments.domain.errors import ManagedOutside
from environments.domain.lifecycle import State
from environments.providers.local_cluster.trust.cluster import Trust
from environments.stores.database import open_database
from environments.wire.environments import CreateRequest
from images.process_records import end_recorded
from jobs.deploy import Existing
from jobs.places import Places
from jobs.status import status_lines
from tests.e2e.test_crash import SEED
from tests.support import images_here
from tests.support.busy import patient
from tests.support.claimed_ports import claim_ports
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker, describe
from tests.support.deployment import existing_parts, until
from tests.support.service_process import free_port

DEPLOY = """
import json, sys
from pathlib import Path
from environments.wire.images import PublishImageRequest
from images.interrupts import handle_signals
from images.toolchain import require
from jobs.deploy import Existing, DeployRequest, deploy
from jobs.edge import EdgeChoice
from jobs.places import Places
wish = json.loads(sys.argv[1])
wish["existing"] = [Existing(*part) for part in wish["existing"]]
wish["images"] = {name: PublishImageRequest(**image) for name, image in wish["images"].items()}
wish["edge"] = EdgeChoice(port=wish["edge"]) if "edge" in wish["images"] else EdgeChoice(off=True)
handle_signals()
deploy(Places(Path(wish.pop("state"))), DeployRequest(binaries=require("consul", "bao", "nomad"), **wish), print)
"""

CRASHES = max(2, int(os.environ.get("CALVINVERSE_CRASHES", "8")) // 4)


class Machine:
    """A state folder, and the ports of the cluster in it."""

    def __init__(
        self, state: Path, existing: Sequence[Existing] = (), names: Sequence[str] = ("web", "edge", "ui")
    ) -> None:
        """`names`: of the images to publish, with `edge` and `ui` for those parts."""
        self.where = Places(state)
        ports, self._claim = claim_ports()
        image = images_here.reference("provisioning")
        images = {name: {"reference": images_here.reference(name), "channel": "qa"} for name in names}
        self._wish = json.dumps(
            {
                "state": str(state),
                "image": image,
                "infra_image": images_here.reference("pause"),
                "images": images,
                "ports": ports.model_dump(mode="json"),
                "port": free_port(),
                "edge": free_port(),
                "ui_port": free_port(),
                "existing": [astuple(part) for part in existing],
            }
        )
        state.mkdir(mode=0o700)

    def deploy(self) -> subprocess.Popen[str]:
        """Begins to deploy, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", DEPLOY, self._wish],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def deployed(self) -> str:
        """Deploys to the end; what was said."""
        process = self.deploy()
        try:
            said, _ = process.communicate(timeout=patient(240))
        finally:
            process.kill()
        assert process.returncode == 0, said
        return said

    def kill_local_service(self) -> None:
        """Kills the local service of a deploy that was killed: both die when a machine does."""
        end_recorded(self.where.local_process, 0.0)

    def owners(self) -> list[str]:
        """Who owns `meta`: a database in which it is not managed by somebody else."""
        found = []
        for name, folder in (("local", self.where.local), ("deployed", self.where.state / "volumes")):
            databases = [folder] if name == "local" else [path.parent for path in folder.rglob("calvinverse.sqlite")]
            for path in databases:
                if (path / "calvinverse.sqlite").exists() and _owns(path):
                    found.append(name)
        return found

    def remove(self) -> None:
        """Undeploys, whatever there is."""
        from jobs.undeploy import undeploy

        undeploy(self.where, print, force=True)


def _owns(folder: Path) -> bool:
    """Reads a database, a copy of it if a service has it open."""
    with tempfile.TemporaryDirectory() as copy:
        _copy_whole(folder, Path(copy))
        database = open_database(Path(copy))
        try:
            with database.read() as tx:
                meta = tx.environments.named("meta")
        finally:
            database.close()
    return meta is not None and meta.state is not State.DESTROYED and meta.managed_by is None


def _copy_whole(folder: Path, copy: Path) -> None:
    """Copies a database that nobody changes meanwhile: between two of its files, a migration may have gone on."""

    def files() -> dict[Path, tuple[int, int]]:
        found = {path: path.stat() for path in folder.glob("calvinverse.sqlite*") if path.suffix != ".sqlite-shm"}
        return {path: (status.st_mtime_ns, status.st_size) for path, status in found.items()}

    def copied() -> bool:
        try:
            for earlier in copy.iterdir():
                earlier.unlink()
            before = files()
            for path in before:
                shutil.copy(path, copy)
            return files() == before
        except FileNotFoundError:  # the last one who closes it removes what is beside it
            return False

    until(copied)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "state")
    yield machine
    machine.remove()


def test_crash_at_random_moments_of_deploy_leaves_one_owner(machine: Machine) -> None:
    print(f"seed {SEED}, {CRASHES} crashes")
    dice = random.Random(SEED)
    began = time.monotonic()
    machine.deployed()
    seconds = time.monotonic() - began
    machine.remove()
    for number in range(CRASHES):
        where = f"seed {SEED}, crash {number}"
        process = machine.deploy()
        # The last ones in the hand-over itself, which comes at the end.
        offset = dice.uniform(0, seconds) if number % 2 else seconds - dice.uniform(0, 1.5)
        time.sleep(max(offset, 0))
        process.kill()
        machine.kill_local_service()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
        assert machine.owners() in ([], ["local"]), where
        machine.deployed()
        assert machine.owners() == ["local"], where
    context = stored_context(machine.where.state)
    assert context is not None
    with connect(context) as client:
        metas = [view for view in client.environments() if view.name == "meta"]
        assert len(metas) == 1
        assert metas[0].managed_by is not None
        with pytest.raises(ManagedOutside) as refused:
            client.destroy("meta")
        assert "doit undeploy" in refused.value.hint


def test_deploy_makes_environments_and_undeploy_leaves_nothing(machine: Machine) -> None:
    machine.deployed()
    context = stored_context(machine.where.state)
    assert context is not None
    assert context.behind_edge is not None
    assert [line.health[0] for line in status_lines(machine.where)] == ["✓"] * 9
    modes = {path.stat().st_mode & 0o077 for path in machine.where.state.iterdir() if path.suffix == ".json"}
    assert modes == {0}
    assert machine.where.state.stat().st_mode & 0o077 == 0
    with connect(context) as client:
        assert client.image("web").reference == images_here.reference("web")
        client.create(CreateRequest(name="demo", template="web"))
        end = time.monotonic() + 60
        while client.environment("demo").state not in (State.READY, State.FAILED):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert client.environment("demo").state is State.READY
    assert "Checking the meta environment." in machine.deployed()  # again: nothing is lost
    with connect(context) as client:
        assert client.environment("demo").state is State.READY

    from environments.domain.errors import Conflict
    from jobs.undeploy import undeploy

    with pytest.raises(Conflict) as refused:
        undeploy(machine.where, print)
    assert "demo" in refused.value.message
    assert undeploy(machine.where, print, destroy_environments=True)
    state = str(machine.where.state)
    assert not [line for line in Path("/proc/mounts").read_text().splitlines() if state in line]
    assert not [folder for folder in Path("/proc").iterdir() if folder.name.isdigit() and state in _command(folder)]
    left = [path for path in machine.where.state.iterdir() if path.name != "deploy.lock"]
    assert left == []


def _command(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_existing_clusters_are_used_as_they_are(cluster: Cluster, taker: Taker, tmp_path: Path) -> None:
    before = taker.take()
    machine = Machine(tmp_path / "state", existing_parts(cluster.connections))
    consul = cluster.connections.caller("consul")
    consul.call("DELETE", "/v1/acl/auth-method/calvinverse-manager")
    try:
        process = machine.deploy()
        said, _ = process.communicate(timeout=120)
        assert process.returncode != 0
        assert "is used as it is" in said
        assert "calvinverse-manager" in said
        assert "lacks" in said
    finally:
        Trust(cluster.connections).apply()
    machine.deployed()
    context = stored_context(machine.where.state)
    assert context is not None
    with connect(context) as client:
        assert client.readiness().problems == {}
    machine.remove()
    left = taker.left_since(before)
    left.pop("consul tokens", None)  # the manager's own login ends with its hour
    left.pop("openbao tokens", None)
    # So do the entities stay that belong to no environment: of the service, which has logged in for the edge's
    # authority, and of the web page, which has logged in for its certificate.
    vault = cluster.connections.caller("vault")
    aliases = [
        vault.call("GET", f"/v1/identity/entity-alias/id/{alias}")["data"] for alias in left.pop("openbao aliases", [])
    ]
    assert sorted(left.pop("openbao entities", [])) == sorted(alias["canonical_id"] for alias in aliases)
    ours = ("global:meta:provisioning:", "global:meta:ui:")
    assert [alias for alias in aliases if not alias["name"].startswith(ours)] == []
    assert left == {}, describe(left)
