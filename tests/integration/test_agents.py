"""The local cluster's agents through starts, crashes, reboots and removal, on the real binaries."""

import os
import random
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.domain.errors import BackendDenied, BackendUnavailable, InvalidInput, MachineError, PortTaken
from environments.private_files import write_private
from environments.providers.backend.connections import Connections
from environments.providers.local_cluster.agents import leftovers, processes
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.patience import wait_for
from environments.providers.local_cluster.agents.ports import Ports
from environments.providers.local_cluster.trust.cluster import Trust
from images.toolchain import require
from tests.support.claimed_ports import claim_ports
from tests.support.cluster import Cluster, start_cluster
from tests.support.workloads import Backends, environment, prepare, run_job

NAMES = ["consul", "openbao", "nomad"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster to be ill-treated."""
    cluster = start_cluster(tmp_path_factory.mktemp("agents"))
    yield cluster
    cluster.close()


def _assert_usable(agents: LocalAgents) -> None:
    assert [(status.name, status.healthy, status.detail) for status in agents.observe()] == [
        (name, True, "") for name in NAMES
    ]
    backends = Backends(agents.connections)
    with environment(backends, "usable"):
        found = backends.vault.call("GET", "/v1/secret/data/environments/usable/app")
        assert found["data"]["data"] == {"password": "pw-usable"}


def test_it_starts_from_nothing_and_says_how_it_is(own: Cluster) -> None:
    _assert_usable(own.agents)
    consul, openbao, nomad = own.agents.observe()
    assert [status.version[:2] for status in (consul, openbao, nomad)] == ["1.", "2.", "1."]
    assert all(status.pid and status.address.startswith("https://127.0.0.1:") for status in (consul, openbao, nomad))


def test_starting_again_changes_nothing_and_is_fast(own: Cluster) -> None:
    before = [status.pid for status in own.agents.observe()]
    began = time.monotonic()
    own.agents.start()
    assert time.monotonic() - began < 60
    assert [status.pid for status in own.agents.observe()] == before


def test_nobody_else_can_read_what_is_kept(own: Cluster) -> None:
    """Folders 0700 and files 0600; what Nomad lays out for its tasks, and jobs build, is below a closed folder."""
    data, builds = own.agents.nomad.data, own.agents.nomad.builds
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in (data, builds)} == {0o700}
    ours = [path for path in own.state.rglob("*") if path != builds and data not in path.parents]
    open_ones = [path for path in ours if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert open_ones == []


def test_no_root_token_is_left(own: Cluster) -> None:
    chosen = own.agents.site.chosen
    for agent, token in ((own.agents.consul, chosen.consul_bootstrap), (own.agents.nomad, chosen.nomad_bootstrap)):
        with pytest.raises(BackendDenied):
            agent.caller(token).call("GET", "/v1/acl/token/self")
    assert "root_token" not in own.agents.openbao.recovery_file.read_text()
    accessors = own.agents.openbao.admin().call("GET", "/v1/auth/token/accessors?list=true")["data"]["keys"]
    for accessor in accessors:
        body = {"accessor": accessor}
        token_data = own.agents.openbao.admin().call("POST", "/v1/auth/token/lookup-accessor", body)["data"]
        assert "root" not in token_data["policies"]


def test_without_a_token_nothing_is_allowed(own: Cluster) -> None:
    with pytest.raises(BackendDenied):
        own.agents.consul.caller().call("GET", "/v1/kv/environments/usable/message")
    with pytest.raises(BackendDenied):
        own.agents.nomad.caller().call("GET", "/v1/jobs")
    with pytest.raises(BackendDenied):
        own.agents.openbao.caller().call("GET", "/v1/sys/mounts")


def test_the_connections_file_leads_to_all(own: Cluster) -> None:
    connections = Connections.load(own.agents.site.connections_file)
    assert connections.caller("nomad").call("GET", "/v1/acl/token/self")["Type"] == "management"
    assert connections.caller("consul").call("GET", "/v1/acl/token/self")["Policies"][0]["Name"] == "global-management"
    assert connections.caller("vault").call("GET", "/v1/auth/token/lookup-self")["data"]["ttl"] > 365 * 86400
    assert connections.issuing_ca_file
    assert connections.issuing_ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")


def test_agents_do_not_see_our_environment(own: Cluster) -> None:
    for status in own.agents.observe():
        content = Path(f"/proc/{status.pid}/environ").read_bytes()
        names = {entry.partition(b"=")[0].decode() for entry in content.split(b"\0") if entry}
        assert {name for name in names if not name.startswith("SUPERVISOR_")} <= {"PATH", "HOME", "LANG", "DOCKER_HOST"}


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_agent_comes_back_by_itself(own: Cluster, name: str) -> None:
    agent = own.agents.agent(name)
    before = agent.pid()
    assert before
    os.kill(before, signal.SIGKILL)
    assert wait_for(lambda: agent.pid() not in (None, before), 60)
    assert wait_for(lambda: agent.observe().healthy, 120), agent.observe()


def test_jobs_outlive_a_reboot_of_the_agents(own: Cluster) -> None:
    """SIGKILL of all agents and of supervisord; a start finds the job again, running and not restarted."""
    backends = Backends(own.connections)
    with environment(backends, "lasting"):
        job = run_job(backends, "lasting")
        _kill_everything(own.agents)
        assert [status.pid for status in own.agents.observe()] == [None, None, None]

        LocalAgents(own.state, require("consul", "bao", "nomad")).start()

        _assert_usable(own.agents)
        allocation = backends.nomad.call("GET", f"/v1/allocation/{job.allocation}?namespace=lasting")
        assert allocation["ClientStatus"] == "running"
        assert allocation["TaskStates"]["app"]["Restarts"] == 0


def test_a_killed_supervisord_is_replaced(own: Cluster) -> None:
    """The agents it left behind run on without a keeper; a start takes them back under one."""
    for pid in processes.started_with(str(own.agents.supervisor.config)):
        os.kill(pid, signal.SIGKILL)
    own.agents.start()
    assert own.agents.supervisor.answers()
    for agent in own.agents.all():
        assert len(processes.started_with(str(agent.config))) == 1
    _assert_usable(own.agents)


def test_admin_tokens_that_were_cut_off_are_made_again(own: Cluster) -> None:
    """Also one that Nomad chose, and a file of connections that holds nothing."""
    for agent in own.agents.all():
        agent.token_file.write_text(agent.token_file.read_text()[:8])
    own.agents.site.connections_file.write_text("[]")
    own.agents.start()
    _assert_usable(own.agents)


def test_other_ports_are_refused_for_an_existing_cluster(own: Cluster) -> None:
    with pytest.raises(InvalidInput, match="other ports"):
        LocalAgents(own.state, require("consul", "bao", "nomad"), Ports(consul_http=1))


def test_a_taken_port_is_named_with_who_has_it(tmp_path: Path) -> None:
    ports, _claim = claim_ports()
    agents = LocalAgents(tmp_path, require("consul", "bao", "nomad"), ports)
    with socket.create_server(("127.0.0.1", ports.consul_http)), pytest.raises(PortTaken) as caught:
        agents.consul.start()
    assert str(ports.consul_http) in caught.value.message
    assert f"({os.getpid()})" in caught.value.message
    assert caught.value.details["setting"] == "consul_http"
    assert "--first-port" in caught.value.hint
    agents.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seconds", ["0", "1.5"])
def test_an_agent_that_cannot_run_says_why(tmp_path: Path, seconds: str) -> None:
    """Whether it ends at once, or after it has run for a moment, as on a busy machine."""
    broken = tmp_path / "consul"
    broken.write_text(f"#!/bin/sh\necho this machine is haunted\nsleep {seconds}\nexit 1\n")
    broken.chmod(0o755)
    binaries = {**require("bao", "nomad"), "consul": broken}
    ports, _claim = claim_ports()
    agents = LocalAgents(tmp_path / "state", binaries, ports)
    try:
        with pytest.raises(BackendUnavailable, match="ends again and again") as caught:
            agents.consul.start()
        assert "this machine is haunted" in caught.value.hint
    finally:
        agents.remove()


STARTER = """
import sys
from pathlib import Path
from environments.providers.local_cluster.agents.local import LocalAgents
from images.toolchain import require
LocalAgents(Path(sys.argv[1]), require("consul", "bao", "nomad")).start()
"""


def test_a_start_that_is_killed_again_and_again_converges(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    state = tmp_path / "state"
    ports, _claim = claim_ports()
    agents = LocalAgents(state, require("consul", "bao", "nomad"), ports)
    try:
        for _ in range(3):
            with subprocess.Popen([sys.executable, "-c", STARTER, str(state)]) as starter:
                time.sleep(moments.uniform(0.5, 3.5))
                starter.kill()
        agents.start()
        Trust(agents.connections).apply()
        _assert_usable(agents)
    finally:
        agents.remove()


def test_an_initialisation_whose_answer_got_lost_begins_again(tmp_path: Path) -> None:
    ports, _claim = claim_ports()
    agents = LocalAgents(tmp_path, require("consul", "bao", "nomad"), ports)
    openbao = agents.openbao
    try:
        openbao.start()
        openbao.recovery_file.unlink()
        with pytest.raises(MachineError, match="recovery key"):
            openbao.start()  # it was finished: its data are never thrown away
        openbao.unfinished_mark.write_text("as if killed between the call and the answer")
        openbao.start()
        assert openbao.observe().healthy
        assert openbao.recovery_file.exists()
        assert not openbao.unfinished_mark.exists()
    finally:
        agents.remove()


@pytest.mark.parametrize("killed", [False, True], ids=["running", "after SIGKILL of everything"])
def test_removing_leaves_nothing(tmp_path: Path, killed: bool) -> None:
    cluster = start_cluster(tmp_path)
    backends = Backends(cluster.connections)
    agents = cluster.agents
    prepare(backends, "leaver")
    run_job(backends, "leaver")
    containers = leftovers.containers_of(agents.nomad.data)
    assert containers
    assert leftovers.mounts_below(agents.nomad.data)
    if killed:
        _kill_everything(agents)

    agents.remove()

    assert list(cluster.state.iterdir()) == []
    assert leftovers.containers_of(agents.nomad.data) == []
    assert leftovers.mounts_below(cluster.state) == []
    assert leftovers.cgroup_folders(agents.nomad.cgroup) == []
    assert processes.holding_files_below(cluster.state) == []
    mentioning = [
        pid for pid, words in processes.command_lines() if any(str(tmp_path).encode() in word for word in words)
    ]
    assert mentioning == []
    cluster.close()


def _kill_everything(agents: LocalAgents) -> None:
    """As if the machine had lost its power, but for the containers."""
    for pid in processes.started_with(str(agents.supervisor.config)):
        os.kill(pid, signal.SIGKILL)
    for agent in agents.all():
        for pid in processes.started_with(str(agent.config)):
            os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not any(agent.pid() for agent in agents.all()), 60)


def test_a_moved_state_folder_starts_again_and_is_removed_without_a_start(tmp_path: Path) -> None:
    """By paths that mean something to shells, supervisord and URLs; another way to the folder changes nothing."""
    cluster = start_cluster(tmp_path / "it's $HOME ${x} 50% ünï")
    agents = cluster.agents
    try:
        backends = Backends(cluster.connections)
        prepare(backends, "mover")
        job = run_job(backends, "mover")
        pids = [agent.pid() for agent in agents.all()]
        (tmp_path / "link").symlink_to(cluster.state)
        assert [agent.pid() for agent in LocalAgents(tmp_path / "link", {}).all()] == pids

        copy = tmp_path / "copy"
        for file in ("agents/supervisor/supervisord.conf", "credentials/cluster.json", "credentials/place.json"):
            write_private(copy / file, (cluster.state / file).read_text())

        moved = cluster.state.rename(tmp_path / "50% {{y}}")
        with pytest.raises(MachineError, match="one of them is a copy of the other"):
            LocalAgents(copy, {}).remove()
        agents = LocalAgents(moved, agents.site.binaries, infra_image=agents.site.infra_image)
        agents.start()

        _assert_usable(agents)
        nomad = agents.connections.caller("nomad")
        path = f"/v1/allocation/{job.allocation}?namespace=mover"
        assert wait_for(lambda: nomad.call("GET", path)["ClientStatus"] == "running", 60)
        assert [path.name for path in cluster.state.parent.iterdir()] == []

        last = moved.rename(tmp_path / "last")
        agents = LocalAgents(last, {})
        agents.remove()
        assert list(last.iterdir()) == []
        assert leftovers.mounts_below(tmp_path) == []
        assert processes.holding_files_below(tmp_path) == []
        lines = processes.command_lines()
        assert [pid for pid, words in lines if any(str(tmp_path).encode() in word for word in words)] == []
    finally:
        agents.remove()
        cluster.close()
