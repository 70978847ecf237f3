"""Which ports of a node an allocation has, and which of them Nomad chose."""

from environments.providers.nomad.answers import given_ports
from environments.providers.nomad.ports import GivenPort


def test_dynamic_ports_are_told_from_those_that_the_job_chose() -> None:
    shared = {
        "Networks": [
            {
                "DynamicPorts": [{"Label": "http", "Value": 20100, "To": 8080}],
                "ReservedPorts": [{"Label": "nomad", "Value": 4646, "To": 0}],
            }
        ],
        "Ports": [
            {"Label": "http", "Value": 20100, "To": 8080, "HostIP": "192.0.2.7"},
            {"Label": "nomad", "Value": 4646, "To": 0, "HostIP": "192.0.2.7"},
            # Another port of the same label, which only claims to be that one.
            {"Label": "http", "Value": 8500, "To": 8080, "HostIP": "127.0.0.1"},
        ],
    }
    assert given_ports({"AllocatedResources": {"Shared": shared}}) == [
        GivenPort("192.0.2.7", 20100, dynamic=True),
        GivenPort("192.0.2.7", 4646, dynamic=False),
        GivenPort("127.0.0.1", 8500, dynamic=False),
    ]


def test_an_allocation_without_ports_has_none() -> None:
    assert given_ports({}) == []
    assert given_ports({"AllocatedResources": None}) == []
    assert given_ports({"AllocatedResources": {"Shared": {"Networks": None, "Ports": None}}}) == []
