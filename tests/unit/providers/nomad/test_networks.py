"""Which network a job may have: one of its own, unless its template declares its node's."""

from typing import Any

import pytest

from environments.domain.errors import InvalidJob, StepFailed
from environments.providers.nomad.answers import lacks_bridge
from environments.providers.nomad.group_networks import group_network_faults, outgoing_faults
from environments.providers.nomad.ports import Evaluation
from environments.providers.nomad.rules import adopt
from environments.steps.base import Owner
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tree import parse
from tests.support.step_harness import StepHarness

ALPHA = Owner("env-1", "alpha")


def task(name: str = "web", driver: str = "docker", **config: Any) -> dict[str, Any]:
    return {"Name": name, "Driver": driver, "Config": {"image": "x", **config}}


def job(*tasks: dict[str, Any], **group: Any) -> dict[str, Any]:
    return {"ID": "web", "TaskGroups": [{"Name": "web", "Tasks": list(tasks) or [task()], **group}]}


def network(mode: str) -> list[dict[str, Any]]:
    return [{"Mode": mode}]


def connected(**connect: Any) -> list[dict[str, Any]]:
    return [{"Name": "alpha--web", "Connect": connect}]


@pytest.mark.parametrize(
    "good",
    [
        job(Networks=network("bridge")),
        job(Networks=network("none")),
        job(task(network_mode=""), Networks=network("bridge")),
        job(task(network_mode="none")),
        job(task(network_mode="none"), Networks=network("")),
        job(task(network_mode="none"), Networks=network("bridge")),
        job(task(driver="exec"), Networks=network("bridge")),
        job({**task(), "Resources": {"Networks": network("bridge")}}, Networks=network("bridge")),
        job(Services=connected(SidecarTask={"Config": {}}), Networks=network("bridge")),
        job(Services=connected(Gateway={"Ingress": {}}), Networks=network("bridge")),
    ],
    ids=str,
)
def test_a_job_with_a_network_of_its_own_is_taken(good: dict[str, Any]) -> None:
    assert adopt(good, "web", ALPHA)["Namespace"] == "alpha"


NONE = "group 'web' has no network of its own"
SIDECAR = {"Name": "envoy", "Config": {"network_mode": "host"}}

LEAVING = [
    (job(task(network_mode="host")), "task 'web' asks for network_mode 'host'"),
    (job(task(network_mode="HOST")), "task 'web' asks for network_mode 'HOST'"),
    (job(task(network_mode="bridge"), Networks=network("bridge")), "task 'web' asks for network_mode 'bridge'"),
    (job(task(network_mode="container:victim")), "task 'web' asks for network_mode 'container:victim'"),
    (job(task(network_mode="${NOMAD_META_x}")), "asks for network_mode '${NOMAD_META_x}'"),
    (job(task(), {**task("log", network_mode="host"), "Lifecycle": {"Hook": "prestart", "Sidecar": True}}), "'log'"),
    (job(Networks=network("host")), "group 'web' has the network mode 'host'"),
    (job(Networks=network("cni/macvlan")), "group 'web' has the network mode 'cni/macvlan'"),
    (job(Networks=network("Bridge")), "group 'web' has the network mode 'Bridge'"),
    (job(Networks=[*network("bridge"), *network("host")]), "group 'web' has the network mode 'host'"),
    (job(), NONE),
    (job(Networks=network("")), NONE),
    (job(Networks=[*network("bridge"), *network("")]), NONE),
    (job(task(network_mode="none"), task("b")), NONE),
    (job(task(network_mode="${NOMAD_META_x}"), task("b", network_mode="none")), NONE),
    (job(task(driver="exec", network_mode="none")), NONE),
    (job(task(driver="raw_exec")), NONE),
    (job({**task(), "Resources": {"Networks": network("host")}}), "task 'web' has the network mode 'host'"),
    (job(Services=connected(SidecarTask=SIDECAR), Networks=network("none")), "sidecar of service 'alpha--web' asks"),
    (job({**task(), "Services": connected(SidecarTask=SIDECAR)}), "the sidecar of service 'alpha--web' asks"),
    (job(task(network_mode="none"), Services=connected(SidecarTask={"Config": {}})), NONE),
    (job(task(network_mode="none"), Services=connected(Gateway={"Ingress": {}})), NONE),
]  # fmt: skip


@pytest.mark.parametrize(("leaving", "said"), LEAVING, ids=[said for _, said in LEAVING])
def test_a_job_that_leaves_it_is_refused_unless_its_template_declares_that(leaving: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        adopt(leaving, "web", ALPHA)
    assert said in caught.value.message
    assert 'its template doesn\'t declare network = "host"' in caught.value.message
    assert adopt(leaving, "web", ALPHA, host_network=True)
    assert adopt(leaving, "web", ALPHA, trusted=True)


def listing(**arguments: str) -> dict[str, Any]:
    return job(Networks=[{"Mode": "bridge", "CNI": {"Args": arguments}}])


@pytest.mark.parametrize("value", ["all", "none", "tcp:192.0.2.0/24:443,udp:198.51.100.7:5000-5010"])
def test_a_job_says_where_it_connects_to(value: str) -> None:
    assert adopt(listing(CALVINVERSE_OUTGOING=value, other="x"), "web", ALPHA)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"CALVINVERSE_OUTGOING": "sometimes"}, "group 'web': 'sometimes' is no destination of outgoing connections"),
        ({"CALVINVERSE_OUTGOING": "tcp:example.org:443"}, "Write all, none, or a list such as tcp:192.0.2.0/24:443"),
        ({"CALVINVERSE_OUTGOING": "${meta.x}"}, "'${meta.x}' is no destination"),
        ({"CALVINVERSE_OUTGOING": "none;X=1"}, "'none;X=1' is no destination"),
        ({"CALVINVERSE_OUTGOINGS": "none"}, "There is no argument 'CALVINVERSE_OUTGOINGS' of CNI"),
    ],
)
def test_a_job_that_says_it_wrongly_is_refused(arguments: dict[str, str], said: str) -> None:
    """Also one of a template that declares its node's network: some of its groups may have their own."""
    for trusted, host_network in ((False, False), (False, True), (True, False)):
        with pytest.raises(InvalidJob) as caught:
            adopt(listing(**arguments), "web", ALPHA, trusted=trusted, host_network=host_network)
        assert said in caught.value.message


FILE = """job "app" {
  group "app" {
    network {
      mode = "bridge"
      cni {
        args = {
          %s
        }
      }
    }
    task "app" {
      driver = "docker"
    }
  }
}
"""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('CALVINVERSE_OUTGOING = "none"', ""),
        ('"CALVINVERSE_OUTGOING" : "tcp:192.0.2.0/24:443", other = "x"', ""),
        ("CALVINVERSE_OUTGOING = var.outgoing", ""),
        ('CALVINVERSE_OUTGOING = "tcp:${var.address}:443"', ""),
        ('other = "CALVINVERSE_OUTGOINGS = 1"', ""),
        ('CALVINVERSE_OUTGOING = "no"', "'no' is no destination of outgoing connections: it has another form"),
        ('other = "x", "CALVINVERSE_OUTGOING" = ""', "'' is no destination of outgoing connections"),
        ('CALVINVERSE_OUTGOINGS = "none"', "There is no argument 'CALVINVERSE_OUTGOINGS' of CNI"),
        ("CALVINVERSE_OUTGOINGS = var.x", "There is no argument 'CALVINVERSE_OUTGOINGS' of CNI"),
    ],
)
def test_the_check_of_a_template_says_it_with_the_line_and_what_to_write(line: str, message: str) -> None:
    found = list(outgoing_faults(Source("app.hcl", parse(FILE % line))))
    assert [(fault.line, bool(fault.suggestion)) for fault in found] == ([(7, True)] if message else [])
    assert all(fault.message.startswith(message) for fault in found)


GROUP = """job "app" {
  group "app" {
    %s
    task "app" {
      driver = "docker"
      config {
        %s
      }
    }
  }
}
"""


@pytest.mark.parametrize(
    ("network", "config", "refused"),
    [
        ("", "", True),
        ("", 'network_mode = "host"', True),
        ("", 'network_mode = "none"', False),
        ("", "network_mode = var.mode", False),
        ('network {\n mode = "bridge"\n }', "", False),
        ("network {\n mode = var.mode\n }", "", False),
        ("network {\n }", "", True),
        ('network {\n mode = ""\n }', "", True),
        ("network {\n }", 'network_mode = "none"', False),
        ('dynamic "network" {\n for_each = [1]\n content {}\n }', "", False),
    ],
)
def test_the_check_of_a_template_finds_groups_that_share_a_network_with_others(
    network: str, config: str, refused: bool
) -> None:
    """What an expression decides is asked again of the job that Nomad has parsed."""
    found = list(group_network_faults(Source("app.hcl", parse(GROUP % (network, config)))))
    said = [(fault.line, fault.warning, "bridge" in fault.suggestion) for fault in found]
    assert said == [(2, False, True)] * refused


@pytest.mark.parametrize(
    ("filtered", "lacks"),
    [
        ({"missing network": 2}, True),
        ({"${attr.plugins.cni.version.bridge} semver >= 0.4.0": 2}, True),
        ({"missing network": 1, "${attr.plugins.cni.version.portmap} semver >= 0.4.0": 1}, True),
        ({"missing network": 1}, False),
        ({"missing drivers": 2}, False),
        ({}, False),
    ],
)
def test_a_group_lacks_networks_if_no_node_has_them(filtered: dict[str, int], lacks: bool) -> None:
    assert lacks_bridge({"NodesEvaluated": 2, "ConstraintFiltered": filtered}) is lacks
    assert not lacks_bridge({})


def test_a_job_that_no_node_can_give_a_network_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever time it has: waiting brings no plugins."""
    world = StepHarness()
    never = Evaluation("complete", "", {"web": "1 node lacks what it asks for"}, frozenset(), frozenset({"web"}))
    monkeypatch.setattr(world.nomad, "evaluation", lambda *_: never)
    monkeypatch.setattr(world.nomad, "allocations", lambda *_, **__: (1, []))
    with pytest.raises(StepFailed, match="Group 'web' of job 'web' asks for a network of its own") as caught:
        world.apply("nomad.job", {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 1}})
    assert "calvinverse doctor" in caught.value.hint


@pytest.mark.parametrize("name", ["IP", "MAC", "GATEWAY"])
def test_no_job_chooses_the_address_that_it_gets(name: str) -> None:
    with pytest.raises(InvalidJob, match=f"The argument '{name}' of CNI chooses an address"):
        adopt(listing(**{name: "172.26.64.2"}), "web", ALPHA, trusted=True)
