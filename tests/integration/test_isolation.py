"""Isolation of jobs on a real Nomad: who reaches whom, through restarts and flushed rules, and what is left afterwards.

The tests of this file run in their order: the last ones end allocations and remove the isolation.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from environments.cni import plugin_folder
from environments.providers.local_cluster.isolation import keeping
from environments.providers.local_cluster.isolation.model import OUTGOING
from environments.providers.local_cluster.isolation.records import Records
from tests.support.isolated_node import BRIDGE, GATEWAY, JOB_PORT, Job, Node, isolated_node
from tests.support.namespaces import (
    ELSEWHERE,
    LIMIT,
    METADATA,
    NEIGHBOUR,
    NEIGHBOUR_GATEWAY,
    NODE,
    OPEN_PORT,
    run,
    wait_for,
)

_SWITCH_ON = """
import sys
from pathlib import Path
from environments.cni import plugin_folder
from environments.providers.local_cluster.isolation import keeping
from environments.providers.local_cluster.isolation.model import Network
print(keeping.switch_on(Path(sys.argv[1]), Network(sys.argv[2], published=len(sys.argv) > 3), plugin_folder()))
"""
_CALL = """
import sys
from pathlib import Path
from environments.providers.local_cluster.isolation import keeping
print(getattr(keeping, sys.argv[1])(Path(sys.argv[2])))
"""

OTHERS = """*filter
:FORWARD DROP [0:0]
:THEIRS - [0:0]
-A FORWARD -j THEIRS
-A THEIRS -i wg0 -j DROP
COMMIT
*mangle
:THEIRS - [0:0]
-A FORWARD -j THEIRS
-A FORWARD -i wg0 -j ACCEPT
-A INPUT -i wg0 -j ACCEPT
-A THEIRS -p tcp -m tcp --dport 9 -j DROP
COMMIT
*nat
-A POSTROUTING -o wg0 -j MASQUERADE
COMMIT
"""
"""Rules that somebody else has on the node; like Docker's, they drop what nobody accepts."""


@dataclass
class Isolated:
    """The node, its isolation, and jobs of two environments that always run."""

    node: Node
    folder: Path
    others: dict[str, list[str]]
    one: Job
    two: Job
    foreign: Job

    def switch_on(self, *published: str) -> str:
        return self.node.inside(sys.executable, "-c", _SWITCH_ON, str(self.folder), BRIDGE, *published).strip()

    def call(self, function: str) -> str:
        return self.node.inside(sys.executable, "-c", _CALL, function, str(self.folder)).strip()

    def rules(self) -> list[str]:
        return [line for program in ("iptables-save", "ip6tables-save") for line in self.node.saved(program)]


@pytest.fixture(scope="module")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Isolated]:
    folder = tmp_path_factory.mktemp("isolation")
    with isolated_node(folder) as node:
        node.inside("iptables-restore", "--noflush", text=OTHERS)
        others = {program: node.saved(program) for program in ("iptables-save", "ip6tables-save")}
        # Where other programs need it off, the switch for all bridges is off.
        for switch in ("iptables", "ip6tables"):
            node.inside("sysctl", "-q", f"net.bridge.bridge-nf-call-{switch}=0")
        found_isolated = Isolated(node, folder / "records", others, *[Job("", "", "", "", 0)] * 3)
        plugins = found_isolated.switch_on()
        node.plugins = f"{plugins}:{plugin_folder()}"
        node.start_nomad()
        found_isolated.one = node.start("blue", "one")
        found_isolated.two = node.start("blue", "two")
        found_isolated.foreign = node.start("green", "one")
        yield found_isolated


def _unreached(isolated: Isolated, *jobs: Job) -> list[str]:
    """Everything that a job of another environment must not reach."""
    addresses = [GATEWAY, NODE, NEIGHBOUR_GATEWAY]
    return [
        *(f"{job.address}:{JOB_PORT}" for job in jobs),
        *(f"{address}:{job.port}" for address in addresses for job in jobs),
        *(f"{address}:{port}" for address in addresses for port in (OPEN_PORT, 4646, 4647, 4648)),
        *(f"127.0.0.1:{port}" for port in (OPEN_PORT, 4646, *(job.port for job in jobs))),
        f"{METADATA}:{OPEN_PORT}",
        f"{NEIGHBOUR}:{OPEN_PORT}",
    ]


def _assert_isolated(isolated: Isolated) -> None:
    node, one, two, foreign = isolated.node, isolated.one, isolated.two, isolated.foreign
    for source, target in ((one, two), (two, one)):
        node.until_reached(f"{target.address}:{JOB_PORT}", source)
        node.until_reached(f"{GATEWAY}:{target.port}", source)

    def reached(source: Job, jobs: Sequence[Job]) -> list[str]:
        targets = _unreached(isolated, *jobs)
        found = node.reached(targets, source)
        node.until_reached(f"{ELSEWHERE}:{OPEN_PORT}", source)
        return [target for target, is_reached in zip(targets, found, strict=True) if is_reached]

    with ThreadPoolExecutor() as pool:  # a refused connection takes its whole time limit
        assert list(pool.map(reached, (foreign, one), ((one, two), (foreign,)))) == [[], []]


def test_jobs_reach_their_own_environment_and_nothing_of_another(isolated: Isolated) -> None:
    """By address and by ports of the node: jobs, programs that listen on all addresses, metadata, other bridges."""
    _assert_isolated(isolated)


def test_other_machines_and_other_bridges_reach_no_job(isolated: Isolated) -> None:
    """Nomad's own rules let them: also a port that is published on the loopback interface is open to the network."""
    node, one = isolated.node, isolated.one
    for source, gateway in (("elsewhere", NODE), ("neighbour", NEIGHBOUR_GATEWAY)):
        assert node.reached([f"{one.address}:{JOB_PORT}", f"{gateway}:{one.port}"], source) == [False, False]
    node.until_reached(f"127.0.0.1:{one.port}")


def test_the_rules_are_what_refuses_and_come_back_before_those_of_others(isolated: Isolated) -> None:
    """Everything that the tests above refuse answers while somebody accepts it before our rules."""
    node, one, foreign = isolated.node, isolated.one, isolated.foreign
    before = isolated.rules()
    for chain in ("INPUT", "FORWARD"):
        node.inside("iptables", "-t", "mangle", "-I", chain, "-j", "ACCEPT")
    for target in (
        f"{foreign.address}:{JOB_PORT}",
        *(f"{address}:{port}" for address in (GATEWAY, NODE) for port in (foreign.port, OPEN_PORT)),
        f"{METADATA}:{OPEN_PORT}",
        f"{NEIGHBOUR}:{OPEN_PORT}",
        f"{NEIGHBOUR_GATEWAY}:{OPEN_PORT}",
    ):
        node.until_reached(target, one)
    for source, gateway in (("elsewhere", NODE), ("neighbour", NEIGHBOUR_GATEWAY)):
        node.until_reached(f"{one.address}:{JOB_PORT}", source)
        node.until_reached(f"{gateway}:{one.port}", source)
    assert isolated.call("renew") == "True"
    _assert_isolated(isolated)
    for chain in ("INPUT", "FORWARD"):
        node.inside("iptables", "-t", "mangle", "-D", chain, "-j", "ACCEPT")
    assert isolated.rules() == before
    assert isolated.call("renew") == "False"


_LISTEN_IPV6 = """
import socket
with socket.create_server(("::", 8006), family=socket.AF_INET6) as server:
    while True:
        server.accept()[0].sendall(b"HTTP")
"""
_REACH_IPV6 = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1] + "%eth0", 8006), timeout=5) as found:
        print("reached" if found.recv(4) == b"HTTP" else "refused")
except OSError:
    print("refused")
"""


def _switch_on_ipv6(node: Node, job: Job) -> str:
    """Docker gives containers no addresses of IPv6; this does, as their settings would. Returns the one of the link."""
    run(*node.in_network_of(job, "sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0"))

    def found() -> str:
        said = run(*node.in_network_of(job, "ip", "-j", "-6", "address", "show", "dev", "eth0", "scope", "link"))
        entries = [entry for link in json.loads(said) for entry in link.get("addr_info", ())]
        return next((str(entry["local"]) for entry in entries if not entry.get("tentative")), "")

    return str(wait_for(f"{job.name} has an address of IPv6", found))


def test_jobs_that_have_ipv6_reach_nothing_by_it(isolated: Isolated) -> None:
    """Neither those of their own environment nor the node; while others accept it before our rules, all answer."""
    node, one, foreign = isolated.node, isolated.one, isolated.foreign
    addresses = [_switch_on_ipv6(node, job) for job in (isolated.two, foreign)]
    _switch_on_ipv6(node, one)
    said = node.inside("ip", "-j", "-6", "address", "show", "dev", BRIDGE, "scope", "link")
    addresses += [entry["local"] for link in json.loads(said) for entry in link.get("addr_info", ())]
    assert len(addresses) == 3
    command = (sys.executable, "-c", _LISTEN_IPV6)
    started = [node.in_network_of(job, *command) for job in (isolated.two, foreign)] + [node.entered("node", command)]
    listeners = [subprocess.Popen(each, cwd="/", stderr=subprocess.DEVNULL) for each in started]

    def reached() -> list[str]:
        probe = (sys.executable, "-c", _REACH_IPV6)
        return [run(*node.in_network_of(one, *probe, address)).strip() for address in addresses]

    try:
        for chain in ("INPUT", "FORWARD"):
            node.inside("ip6tables", "-t", "mangle", "-I", chain, "-j", "ACCEPT")
        wait_for("all answer while somebody accepts IPv6", lambda: reached() == ["reached"] * 3)
        for chain in ("INPUT", "FORWARD"):
            node.inside("ip6tables", "-t", "mangle", "-D", chain, "-j", "ACCEPT")
        assert reached() == ["refused"] * 3
    finally:
        for listener in listeners:
            listener.kill()
            listener.wait(timeout=LIMIT)


def test_rules_that_somebody_flushed_are_renewed(isolated: Isolated) -> None:
    before = isolated.rules()
    ours = [line[1:].split()[0] for line in isolated.node.saved() if line.startswith(":CALV-")]
    for chain in ours:
        isolated.node.inside("iptables", "-t", "mangle", "-F", chain)
    assert isolated.rules() != before
    with isolated.node.running(sys.executable, "-m", keeping.__name__, str(isolated.folder / "network.json")):
        wait_for("the rules are renewed", lambda: isolated.rules() == before)


def test_allocations_that_start_at_the_same_moment_all_get_their_rules(isolated: Isolated) -> None:
    node, records = isolated.node, Records(isolated.folder)
    before = isolated.rules()
    node.submit("blue", "many", count=6)

    def addresses() -> list[str]:
        ids = {each["ID"] for each in node.allocations("blue", "many") if each["ClientStatus"] == "running"}
        found = [str(each.address) for each in records.allocations() if each.id in ids]
        return found if len(found) == 6 else []

    targets = [f"{address}:{JOB_PORT}" for address in wait_for("all six run", addresses)]
    wait_for("all six are reached", lambda: node.reached(targets, isolated.one) == [True] * 6)
    assert node.reached(targets, isolated.foreign) == [False] * 6
    node.api("DELETE", "/v1/job/many?namespace=blue&purge=true")
    wait_for("the rules of all six go with them", lambda: isolated.rules() == before)


def test_an_allocation_that_is_not_known_reaches_nothing(isolated: Isolated) -> None:
    """What would happen between the start of an allocation and a rule for it, if the rule came later."""
    node, two = isolated.node, isolated.two
    records = Records(isolated.folder)
    (known,) = [each for each in records.allocations() if each.id == two.allocation]
    records.discard(two.allocation)
    isolated.call("renew")
    targets = [f"{isolated.one.address}:{JOB_PORT}", f"{ELSEWHERE}:{OPEN_PORT}", f"{GATEWAY}:{OPEN_PORT}"]
    assert node.reached(targets, two) == [False] * 3
    assert node.reached([f"{two.address}:{JOB_PORT}"], isolated.one) == [False]
    records.add(known)
    isolated.call("renew")
    node.until_reached(f"{two.address}:{JOB_PORT}", isolated.one)
    node.until_reached(f"{ELSEWHERE}:{OPEN_PORT}", two)


def test_outgoing_connections_go_where_the_job_file_says(isolated: Isolated) -> None:
    node, target = isolated.node, f"{ELSEWHERE}:{OPEN_PORT}"
    closed = node.start("blue", "closed", {OUTGOING: "none"})
    listed = node.start("blue", "listed", {OUTGOING: f"tcp:{ELSEWHERE}:{OPEN_PORT},udp:192.0.2.0/24:53"})
    other = node.start("blue", "other", {OUTGOING: f"tcp:{ELSEWHERE}:{OPEN_PORT + 1}"})
    node.until_reached(target, listed)
    assert [node.reached([target], job) for job in (closed, other)] == [[False], [False]]
    for job in (closed, listed, other):
        node.until_reached(f"{isolated.one.address}:{JOB_PORT}", job)
        node.stop(job)


def test_a_job_that_says_that_it_is_of_another_environment_gains_nothing(isolated: Isolated) -> None:
    node, one = isolated.node, isolated.one
    liar = node.start("green", "liar", {"NOMAD_NAMESPACE": "blue", "NOMAD_ALLOC_ID": one.allocation})
    node.until_reached(f"{isolated.foreign.address}:{JOB_PORT}", liar)
    assert node.reached([f"{one.address}:{JOB_PORT}", f"{GATEWAY}:{one.port}"], liar) == [False, False]
    node.stop(liar)


def test_a_job_whose_outgoing_connections_cannot_be_read_does_not_start(isolated: Isolated) -> None:
    node = isolated.node
    node.submit("green", "wrong", {OUTGOING: "sometimes"})

    def failed() -> str:
        for short in node.allocations("green", "wrong"):
            if short["ClientStatus"] == "failed":
                return json.dumps(short["TaskStates"])
        return ""

    assert "'sometimes' is no destination of outgoing connections" in wait_for("the job fails", failed)
    node.api("DELETE", "/v1/job/wrong?namespace=green&purge=true")


def test_published_ports_reach_other_machines_only_where_that_is_wanted(isolated: Isolated) -> None:
    node, one = isolated.node, isolated.one
    isolated.switch_on("published")
    node.until_reached(f"{NODE}:{one.port}", "elsewhere")
    assert node.reached([f"{one.address}:{JOB_PORT}"], "elsewhere") == [False]
    isolated.switch_on()
    assert node.reached([f"{NODE}:{one.port}"], "elsewhere") == [False]


def test_isolation_outlasts_a_crash_of_nomad(isolated: Isolated) -> None:
    node = isolated.node
    before = isolated.rules()
    node.kill_nomad()
    _assert_isolated(isolated)
    node.start_nomad()
    assert isolated.rules() == before
    _assert_isolated(isolated)
    three = node.start("blue", "three")
    node.until_reached(f"{three.address}:{JOB_PORT}", isolated.one)
    assert node.reached([f"{three.address}:{JOB_PORT}"], isolated.foreign) == [False]
    node.stop(three)
    wait_for("the rules of the allocation go with it", lambda: isolated.rules() == before)


def test_rules_of_others_stay_as_they_are(isolated: Isolated) -> None:
    """Those from before, the way they were, with what Nomad and CNI added in chains of their own."""
    now = isolated.node.saved(without="CALV-")
    assert [line for line in isolated.others["iptables-save"] if line not in now] == []
    assert isolated.node.saved("ip6tables-save", without="CALV-") == isolated.others["ip6tables-save"]


def test_nothing_is_left_when_it_is_switched_off(isolated: Isolated) -> None:
    node = isolated.node
    expected = node.saved(without="CALV-")
    assert isolated.call("switch_off") == "None"
    assert node.saved() == expected
    assert node.saved("ip6tables-save") == isolated.others["ip6tables-save"]
    assert not isolated.folder.exists()
    isolated.call("switch_off")


def test_jobs_that_run_when_it_is_switched_on_keep_their_connections(tmp_path: Path) -> None:
    """An older deployment connects them without the plugin; they are isolated from then on, and not cut off."""
    with isolated_node(tmp_path) as node:
        node.plugins = str(plugin_folder())
        node.start_nomad()
        one, two = node.start("blue", "one"), node.start("blue", "two", {OUTGOING: "none"})
        foreign = node.start("green", "one")
        node.until_reached(f"{foreign.address}:{JOB_PORT}", one)
        isolated = Isolated(node, tmp_path / "records", {}, one, two, foreign)
        plugins = isolated.switch_on()
        known = {each.id: (each.environment, each.outgoing) for each in Records(isolated.folder).allocations()}
        assert {job.allocation: known[job.allocation] for job in (one, two, foreign)} == {
            one.allocation: ("blue", None),
            two.allocation: ("blue", ()),
            foreign.allocation: ("green", None),
        }

        def assert_kept() -> None:
            node.until_reached(f"{two.address}:{JOB_PORT}", one)
            node.until_reached(f"{one.address}:{JOB_PORT}", two)
            node.until_reached(f"{ELSEWHERE}:{OPEN_PORT}", one)
            node.until_reached(f"127.0.0.1:{foreign.port}")
            assert node.reached([f"{ELSEWHERE}:{OPEN_PORT}"], two) == [False]
            assert node.reached([f"{one.address}:{JOB_PORT}", f"{GATEWAY}:{one.port}"], foreign) == [False, False]

        assert_kept()
        # One that Nomad starts before it is started again is recorded by then.
        late = node.start("blue", "late")
        assert node.reached([f"{one.address}:{JOB_PORT}"], late) == [False]
        node.kill_nomad()
        isolated.call("adopt")
        node.plugins = f"{plugins}:{plugin_folder()}"
        node.start_nomad()
        assert_kept()
        node.until_reached(f"{one.address}:{JOB_PORT}", late)
        new = node.start("green", "new")
        node.until_reached(f"{foreign.address}:{JOB_PORT}", new)
        assert node.reached([f"{one.address}:{JOB_PORT}"], new) == [False]
        for job in (one, two, late, foreign, new):
            node.stop(job)
        ours = {job.allocation for job in (one, two, late, foreign, new)}
        wait_for(
            "their records go with them",
            lambda: not ours & {each.id for each in Records(isolated.folder).allocations()},
        )
        isolated.call("switch_off")
