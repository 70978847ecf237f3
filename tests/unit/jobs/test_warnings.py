"""Channels of warnings of a deployment: their file goes to OpenBao, and the service's job reads it there."""

from pathlib import Path

import pytest

from environments.domain.errors import InvalidInput
from jobs.meta_template import meta_bundle
from jobs.warnings import warning_parameters
from tests.unit.jobs.test_edge import variables

EDGE = {"edge_address": "calvinverse.example.org", "edge_port": 8443}
CHANNELS = "[slack]\nurl = 'https://hooks.slack.example/services/x'\n"


@pytest.fixture
def channels(tmp_path: Path) -> str:
    (tmp_path / "channels.toml").write_text(CHANNELS)
    return str(tmp_path / "channels.toml")


def test_without_channels_nothing_in_the_template_is_of_them() -> None:
    bundle = meta_bundle()
    assert "warnings.toml" not in bundle.files
    assert not [step.name for step in bundle.template().steps if "warning" in step.name]
    assert bundle.template().secret_parameters() == frozenset()
    found = variables("provisioning")
    assert (found["warnings"], found["external_address"]) == (False, "")


def test_with_channels_their_file_is_a_secret() -> None:
    template = meta_bundle(warnings=True).template()
    step = template.step("warning-channels")
    assert step.uses == "vault.secret"
    assert step.options == {"from_parameters": {"file": "warning_channels"}}
    assert template.secret_parameters() == {"warning_channels"}


def test_links_lead_to_the_edge() -> None:
    assert warning_parameters("", EDGE, None)["external_address"] == "https://calvinverse.example.org:8443"
    assert variables("provisioning", external_address="https://calvinverse.example.org:8443")["external_address"] == (
        "https://calvinverse.example.org:8443"
    )


def test_channels_stay_until_they_are_removed(channels: str) -> None:
    given = warning_parameters(channels, {}, None)
    assert given == {"external_address": "none", "warnings": True, "warning_channels": CHANNELS}
    assert warning_parameters("", {}, {"warnings": True}) == {"external_address": "none", "warnings": True}
    assert warning_parameters("none", {}, {"warnings": True}) == {"external_address": "none", "warnings": False}
    assert warning_parameters("", {}, {}) == {"external_address": "none", "warnings": False}


def test_a_file_that_can_not_be_used_is_refused_before_anything_is_changed(channels: str) -> None:
    Path(channels).write_text("[slack]\nurl = 'ftp://hidden'\n")
    with pytest.raises(InvalidInput) as refused:
        warning_parameters(channels, {}, None)
    assert "hidden" not in refused.value.message


def test_the_usual_port_is_left_out_of_the_address_as_browsers_do() -> None:
    edge = {"edge_address": "calvinverse.example.org", "edge_port": 443}
    assert warning_parameters("", edge, None)["external_address"] == "https://calvinverse.example.org"
