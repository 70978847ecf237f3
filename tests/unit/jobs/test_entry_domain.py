"""The domain of entry points that a deployment has."""

from typing import Any

import pytest

from environments.domain.errors import InvalidInput
from jobs.entry_domain import entry_parameters, entry_warning

EDGE = {"edge": True, "edge_address": "calvinverse.example.org", "edge_port": 8443}
LOCAL = {**EDGE, "edge_address": "calvinverse.localhost"}


def test_without_an_edge_there_is_none() -> None:
    assert entry_parameters("", {"edge": False}, None) == {}
    assert entry_parameters("none", {"edge": False}, None) == {}
    with pytest.raises(InvalidInput, match="no edge"):
        entry_parameters("apps.example.org", {"edge": False}, None)


def test_a_fresh_machine_has_one_below_localhost() -> None:
    assert entry_parameters("", LOCAL, None) == {"entry_domain": "apps.localhost", "entry_port": 8443}


def test_elsewhere_there_is_none_until_somebody_chooses_it() -> None:
    assert entry_parameters("", EDGE, None) == {"entry_domain": "none"}
    assert entry_parameters("apps.example.net", EDGE, None) == {"entry_domain": "apps.example.net", "entry_port": 8443}


@pytest.mark.parametrize("before", ["apps.example.net", "none"])
def test_what_was_chosen_stays(before: str) -> None:
    for had in ({"edge": True}, {"edge": False, "edge_off": True}):
        assert entry_parameters("", LOCAL, {"entry_domain": before, **had})["entry_domain"] == before


def test_a_deployment_that_never_had_an_edge_has_chosen_none() -> None:
    before = {"edge": False, "entry_domain": "none"}
    assert entry_parameters("", LOCAL, before)["entry_domain"] == "apps.localhost"


def test_what_was_chosen_is_checked_against_a_new_address() -> None:
    edge: dict[str, Any] = {**EDGE, "edge_address": "apps.example.net"}
    with pytest.raises(InvalidInput, match="the address of the service"):
        entry_parameters("", edge, {"entry_domain": "apps.example.net"})


def test_a_shared_parent_is_warned_of() -> None:
    assert "set cookies for example.org" in entry_warning({**EDGE, "entry_domain": "apps.example.org"})
    assert entry_warning({**EDGE, "entry_domain": "apps.example.net"}) == ""
    assert entry_warning({**EDGE, "entry_domain": "none"}) == ""
    assert entry_warning({**LOCAL, "entry_domain": "apps.localhost"}) == ""
    assert entry_warning({}) == ""
