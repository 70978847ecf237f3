"""`edge.entrypoint`: what a template may say, and what is published, planned and taken away."""

from collections.abc import Mapping
from typing import Any

import pytest

from environments.domain.environment import ResourceRef
from environments.domain.errors import ForeignResource, InvalidName, NotAllowedNow, StepFailed, StepTimeout
from environments.domain.plan import Action
from environments.providers.edge.certificates import role_name
from environments.providers.edge.entry_points import EdgeEntryPoints
from environments.service.inspecting import template_faults
from environments.steps.base import Owner, Presence
from tests.support.step_harness import ALPHA, JOB, Run, StepHarness, bundle

KIND = "edge.entrypoint"
PUBLIC = {"services": {"web": {"access": "everybody"}}}
JOB_OPTIONS = {"file": "web.nomad.hcl", "variables": {"text": "x", "count": 1}}
ROUTE, ROLE = "alpha/web", "pki/sign/alpha--edge"

TEMPLATE = """
[template]
name = "t"
[[steps]]
name = "app"
uses = "nomad.job"
with = {{ file = "web.nomad.hcl", variables = {{ text = "x", count = 1 }} }}
[[steps]]
name = "entry-points"
uses = "edge.entrypoint"
needs = {needs}
with = {{ services = {{ {services} }} }}
"""


@pytest.fixture
def world() -> StepHarness:
    """With a job that runs."""
    world = StepHarness()
    world.apply("nomad.job", JOB_OPTIONS, step="app")
    return world


def faults(services: Mapping[str, Any], needs: str = '["app"]') -> list[str]:
    """What is wrong with a template that has these entry points."""
    written = ", ".join(f'"{name}" = {{ access = "{access}" }}' for name, access in services.items())
    text = TEMPLATE.format(needs=needs, services=written)
    options = {"services": {name: {"access": access} for name, access in services.items()}}
    found = EdgeEntryPoints.check(options, bundle({"template.toml": text, "web.nomad.hcl": JOB}))
    return [str(fault) for fault in found]


def test_a_template_with_an_entry_point_is_fine() -> None:
    assert faults({"web": "everybody"}) == []
    assert faults({"web": "nobody"}) == []


def test_nobody_may_use_a_service_unless_the_template_says_so(world: StepHarness) -> None:
    found = world.apply(KIND, {"services": {"web": {}}})
    assert found == {"services": {"web": {"access": "nobody", "url": None, "subdomain_url": None}}}
    assert world.entry_points.published() == []
    assert world.resources(KIND, {"services": {"web": {}}}) == []
    assert world.pki.role(role_name("alpha")) is None


@pytest.mark.parametrize("access", ["people", "*", ""])
def test_other_access_is_a_fault(access: str) -> None:
    assert any("access" in fault for fault in faults({"web": access}))


def test_a_service_that_no_step_makes_is_a_fault() -> None:
    (fault,) = faults({"wep": "everybody"})
    assert "no step makes a service 'wep'" in fault
    assert "web" in fault


def test_a_step_that_would_be_removed_after_the_job_is_a_fault() -> None:
    (fault,) = faults({"web": "everybody"}, needs="[]")
    assert "doesn't need the step 'app', which makes the service 'web'" in fault


def test_a_need_that_is_no_step_is_told_as_such() -> None:
    text = TEMPLATE.format(needs='["app", "nothing"]', services='"web" = { access = "everybody" }')
    found = template_faults(bundle({"template.toml": text, "web.nomad.hcl": JOB}), {KIND: EdgeEntryPoints})
    assert any("needs 'nothing', which is no step" in fault.message for fault in found)
    assert not any("doesn't need the step" in fault.message for fault in found)


def test_a_name_that_is_too_long_is_a_fault_when_the_template_is_pushed() -> None:
    long = "w" * 61
    text = TEMPLATE.format(needs='["app"]', services=f'"{long}" = {{ access = "everybody" }}')
    job = JOB.replace("--web", f"--{long}")
    options = {"services": {long: {"access": "everybody"}}}
    (fault,) = EdgeEntryPoints.check(options, bundle({"template.toml": text, "web.nomad.hcl": job}))
    assert "a label of a host name has at most 63" in fault.message


def test_a_name_that_is_too_long_with_its_environment_is_refused(world: StepHarness) -> None:
    options = {"services": {"w" * 50: {"access": "everybody"}}}
    owner = Owner("env-2", "a" * 20)
    with pytest.raises(InvalidName, match="72 characters"):
        world.apply(KIND, options, owner=owner)
    assert world.entry_points.published() == []


def test_it_publishes_the_service_and_says_its_addresses(world: StepHarness) -> None:
    assert world.apply(KIND, PUBLIC) == {
        "services": {
            "web": {
                "access": "everybody",
                "url": "https://web--alpha.apps.example.org",
                "subdomain_url": "https://web.alpha.apps.example.org",
            }
        }
    }
    assert [(one.environment_id, one.service) for one in world.entry_points.published()] == [("env-1", "web")]
    role = world.pki.role("alpha--edge")
    assert role is not None
    assert role["allowed_domains"] == ["*--alpha.apps.example.org", "*.alpha.apps.example.org"]
    assert role["ou"] == ["calvinverse edge env-1"]


def test_what_it_makes_is_known_before_and_the_route_goes_first(world: StepHarness) -> None:
    assert [item.ref for item in world.resources(KIND, PUBLIC)] == [
        ResourceRef(kind="edge.certificate", address=ROLE),
        ResourceRef(kind="edge.route", address=ROUTE),
    ]


def test_a_plan_says_what_would_be_published_and_then_nothing(world: StepHarness) -> None:
    planned = world.plan(KIND, PUBLIC)
    assert [(one.action, one.kind, one.address) for one in planned] == [
        (Action.CREATE, "edge.certificate", ROLE),
        (Action.CREATE, "edge.route", ROUTE),
    ]
    world.apply(KIND, PUBLIC)
    assert world.plan(KIND, PUBLIC) == []


def test_without_a_domain_it_says_what_an_admin_has_to_do() -> None:
    world = StepHarness(domain="")
    world.apply("nomad.job", JOB_OPTIONS, step="app")
    with pytest.raises(NotAllowedNow) as caught:
        world.apply(KIND, PUBLIC)
    assert "--entry-domain" in caught.value.hint
    assert world.apply(KIND, {"services": {"web": {}}})["services"]["web"]["url"] is None


def test_a_namespace_of_others_is_not_published() -> None:
    world = StepHarness()
    world.nomad.write_namespace("alpha", "", {})
    with pytest.raises(StepFailed, match="There is no namespace"):
        world.apply(KIND, PUBLIC)
    assert world.entry_points.published() == []


def test_a_role_of_others_is_left_alone(world: StepHarness) -> None:
    world.pki.write_role("alpha--edge", {"ou": ["calvinverse edge env-9"]})
    with pytest.raises(ForeignResource):
        world.apply(KIND, PUBLIC)
    with pytest.raises(ForeignResource):
        world.plan(KIND, PUBLIC)
    assert world.presence("edge.certificate", ROLE) is Presence.FOREIGN
    world.destroy("edge.certificate", ROLE)
    assert world.pki.role("alpha--edge") is not None


def test_it_waits_until_every_edge_serves_it(world: StepHarness) -> None:
    world.entry_points.stuck = True
    with pytest.raises(StepTimeout, match="An edge has not taken the entry points over"):
        world.apply(KIND, PUBLIC, Run(limit=0.3))
    world.entry_points.live = 0
    with pytest.raises(StepTimeout, match="No edge asks for entry points"):
        world.apply(KIND, PUBLIC, Run(limit=0.3))


def test_destroying_waits_until_no_edge_serves_it(world: StepHarness) -> None:
    world.apply(KIND, PUBLIC)
    world.entry_points.stuck = True
    with pytest.raises(StepTimeout):
        world.destroy("edge.route", ROUTE, Run(limit=0.3))
    # Nothing is published any more, and yet it is there.
    assert world.entry_points.published() == []
    assert world.presence("edge.route", ROUTE) is Presence.OURS
    world.entry_points.stuck = False
    world.entry_points.withdraw("env-1", "web")
    world.destroy("edge.route", ROUTE)
    assert world.presence("edge.route", ROUTE) is Presence.ABSENT


def test_an_edge_that_is_gone_does_not_keep_a_route(world: StepHarness) -> None:
    world.apply(KIND, PUBLIC)
    world.entry_points.stuck = True
    world.entry_points.live = 0
    world.destroy("edge.route", ROUTE)
    assert world.presence("edge.route", ROUTE) is Presence.ABSENT


def test_destroying_revokes_what_was_signed_after_the_role_is_gone(world: StepHarness) -> None:
    world.apply(KIND, PUBLIC)
    world.pki.issue("alpha--edge")
    assert world.presence("edge.certificate", ROLE) is Presence.OURS
    world.destroy("edge.certificate", ROLE)
    assert world.pki.role("alpha--edge") is None
    assert world.pki.unrevoked() == []
    assert world.presence("edge.certificate", ROLE) is Presence.ABSENT


def test_certificates_of_another_environment_stay(world: StepHarness) -> None:
    world.apply(KIND, PUBLIC)
    world.pki.issue("alpha--edge")
    world.destroy("edge.certificate", ROLE, owner=Owner("env-9", ALPHA.name))
    assert len(world.pki.unrevoked()) == 1


def test_a_service_without_a_healthy_instance_is_published_after_a_moment(world: StepHarness) -> None:
    for instance in world.consul.instances("alpha--web")[1]:
        world.consul.deregister(instance)
    run = Run(limit=60.0)
    world.apply(KIND, PUBLIC, run)
    assert run.lines == ["no instance is healthy at a dynamic port, so people see the status 503: web"]
    assert world.entry_points.published() != []
