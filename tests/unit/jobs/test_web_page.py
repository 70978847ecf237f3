"""The web page of a deployment: it is there where an edge is, with an image and a port of its own."""

from typing import Any

import pytest

from environments.domain.errors import InvalidInput, PortTaken
from environments.providers.local_cluster.trust.names import UI_NAME
from images.errors import ImageNotBuilt
from jobs import web_page
from jobs.web_page import check_web_page_port, web_page_parameters

IMAGE = "sha256:" + "a" * 64
ON, OFF = {"edge": True}, {"edge": False}


@pytest.fixture(autouse=True)
def _free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only port 9999 is taken."""
    monkeypatch.setattr(web_page, "taken", lambda port: "it is taken" if port == 9999 else None)


def test_without_an_edge_there_is_none() -> None:
    assert web_page_parameters(OFF, None, None, None, None) == {}
    assert web_page_parameters(OFF, IMAGE, None, {"ui_port": 8401}, None) == {}


@pytest.mark.parametrize(
    ("service", "before", "port", "chosen"),
    [
        (None, None, None, 8401),
        (8400, None, None, 8401),
        (12009, None, 12012, 12012),
        # A deployment that had its ports before there was a web page.
        (None, {"port": 8400}, None, 8401),
        (None, {"port": 12009}, None, 12012),
        # What was chosen once stays.
        (None, {"port": 8400, "ui_port": 8500}, None, 8500),
        (None, {"port": 8400, "ui_port": 9999}, 8600, 9999),
    ],
)
def test_it_has_a_port_beside_the_service(
    service: int | None, before: dict[str, Any] | None, port: int | None, chosen: int
) -> None:
    assert web_page_parameters(ON, IMAGE, service, before, port) == {"ui_image": IMAGE, "ui_port": chosen}


def test_a_missing_image_and_a_port_of_somebody_else_are_named_before_anything_changes() -> None:
    with pytest.raises(ImageNotBuilt) as missing:
        web_page_parameters(ON, None, None, None, None)
    assert "doit build:ui" in missing.value.hint
    with pytest.raises(PortTaken, match="9999: it is taken"):
        check_web_page_port(web_page_parameters(ON, IMAGE, None, {"port": 9996}, None), {"port": 9996})
    check_web_page_port(web_page_parameters(OFF, None, None, None, None), None)


def test_its_port_can_be_chosen_at_any_time_and_stays() -> None:
    moved = web_page_parameters(ON, IMAGE, None, {"port": 8400, "ui_port": 8401}, None, 8500)
    assert moved["ui_port"] == 8500
    assert web_page_parameters(ON, IMAGE, None, {"port": 8400, **moved}, None)["ui_port"] == 8500
    # Its own present port is none of somebody else.
    chosen = web_page_parameters(ON, IMAGE, None, {"ui_port": 8401}, None, 9999)
    check_web_page_port(chosen, {"ui_port": 9999})
    with pytest.raises(PortTaken, match="9999: it is taken"):
        check_web_page_port(chosen, {"ui_port": 8401})


@pytest.mark.parametrize(("edge", "port"), [(OFF, 8500), (ON, 0), (ON, 70000)])
def test_a_port_that_it_can_not_have_is_refused(edge: dict[str, Any], port: int) -> None:
    with pytest.raises(InvalidInput):
        web_page_parameters(edge, IMAGE, None, None, None, port)


def test_its_name_is_that_of_its_certificate() -> None:
    assert web_page.NAME == UI_NAME
