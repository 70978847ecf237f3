"""The edge is off until somebody switches it on: then the template has its job, its secret and its certificate."""

from typing import Any

import pytest

from environments.domain.errors import CalvinverseError, InvalidInput
from environments.service.parameters import check_parameters
from environments.service.rendering import render
from images.errors import ImageNotBuilt
from jobs.edge import EdgeChoice, edge_parameters
from jobs.meta_template import meta_bundle

IMAGE = "sha256:" + "a" * 64
REQUIRED = {"image": IMAGE, "deployer": "ada", "deployer_token": "a:b"}


def variables(step: str, **parameters: Any) -> dict[str, Any]:
    """What a step gives to its job file."""
    template = meta_bundle(edge=parameters.get("edge", False)).template()
    known = {part: {"address": "http://127.0.0.1:1", "ca": ""} for part in ("consul", "openbao", "nomad")}
    names = {"parameters": check_parameters(template, {**REQUIRED, **parameters}), "steps": known}
    found: dict[str, Any] = render(template.step(step).options["variables"], names, step)
    return found


def test_without_it_nothing_in_the_template_is_of_the_edge() -> None:
    bundle = meta_bundle()
    assert not [name for name in bundle.files if "edge" in name]
    assert not [step.name for step in bundle.template().steps if "edge" in step.name]
    assert variables("provisioning")["edge"] is False


def test_with_it_the_template_is_the_same_and_more() -> None:
    without, with_it = meta_bundle().template(), meta_bundle(edge=True).template()
    assert with_it.steps[: len(without.steps)] == without.steps
    assert [step.name for step in with_it.steps[len(without.steps) :]] == ["edge-secret", "edge-certificate", "edge"]
    assert "edge.toml" not in meta_bundle(edge=True).files


def test_the_edge_is_told_where_to_listen_and_where_the_service_is() -> None:
    given = {"edge": True, "edge_image": IMAGE, "edge_host": "[::1]", "edge_port": 443, "port": 9000}
    assert variables("edge", **given, edge_address="calvinverse.example.org") == {
        "image": IMAGE,
        "host": "[::1]",
        "port": 443,
        "address": "calvinverse.example.org",
        "service_port": 9000,
    }
    assert variables("provisioning", **given)["edge"] is True


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_is_one(port: int) -> None:
    with pytest.raises(CalvinverseError, match="edge_port"):
        variables("edge", edge=True, edge_image=IMAGE, edge_port=port)


BEFORE = {"edge": True, "edge_host": "[::1]", "edge_port": 9443, "edge_address": "one.example.org"}


@pytest.mark.parametrize("before", [None, {}, {"edge": False}])
def test_it_is_off_until_somebody_chooses(before: dict[str, Any] | None) -> None:
    assert edge_parameters(EdgeChoice(), IMAGE, before) == {}
    assert edge_parameters(EdgeChoice(), None, before) == {}


def test_what_is_not_chosen_is_as_before_or_on_this_machine() -> None:
    on = {"edge": True, "edge_image": IMAGE}
    here = on | {"edge_host": "127.0.0.1", "edge_port": 8443, "edge_address": "calvinverse.localhost"}
    assert edge_parameters(EdgeChoice(address="calvinverse.localhost"), IMAGE, None) == here
    assert edge_parameters(EdgeChoice(), IMAGE, BEFORE) == BEFORE | {"edge_image": IMAGE}
    assert edge_parameters(EdgeChoice("127.0.0.1:9000"), IMAGE, BEFORE) == {
        **BEFORE,
        "edge_image": IMAGE,
        "edge_host": "127.0.0.1",
        "edge_port": 9000,
    }


@pytest.mark.parametrize(
    "listen",
    [
        "8443",
        ":8443",
        "localhost:8443",
        "::1:8443",
        "[127.0.0.1]:8443",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:x",
    ],
)
def test_what_is_no_place_to_listen_on_is_refused(listen: str) -> None:
    with pytest.raises(InvalidInput, match="can't listen") as refused:
        edge_parameters(EdgeChoice(listen), IMAGE, None)
    assert "8443" in refused.value.hint


@pytest.mark.parametrize(
    "address", ["localhost", "192.0.2.1", "Example.org", "example.org:443", "*.example.org", "a." * 200 + "org"]
)
def test_what_is_no_host_name_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="can't be the edge's address"):
        edge_parameters(EdgeChoice(address=address), IMAGE, None)


def test_a_port_that_needs_rights_is_refused_with_a_way_out() -> None:
    with pytest.raises(InvalidInput, match="without rights") as refused:
        edge_parameters(EdgeChoice("127.0.0.1:443"), IMAGE, None, 1024)
    assert "ip_unprivileged_port_start=443" in refused.value.hint
    assert edge_parameters(EdgeChoice("127.0.0.1:443"), IMAGE, None, 80)["edge_port"] == 443


def test_without_its_image_it_is_refused() -> None:
    with pytest.raises(ImageNotBuilt) as refused:
        edge_parameters(EdgeChoice("127.0.0.1:8443"), None, None)
    assert "doit build:edge" in refused.value.hint
