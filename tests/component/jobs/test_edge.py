"""The port that the edge is to have, on a machine where somebody may have it."""

import socket
from datetime import UTC, datetime

import pytest

from environments.domain.errors import PortTaken
from jobs.edge import EdgeChoice, check_edge_port, edge_parameters


def test_a_port_that_somebody_has_is_refused_before_anything_changes() -> None:
    now = datetime.now(UTC)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        wanted = edge_parameters(EdgeChoice(port=port), "sha256:1", None, now)
        with pytest.raises(PortTaken) as refused:
            check_edge_port(wanted, None)
        assert str(port) in refused.value.message
        assert "--listen" in refused.value.hint
        assert "--no-edge" in refused.value.hint
        # Then it is the edge itself.
        check_edge_port(wanted, wanted)
        check_edge_port(edge_parameters(EdgeChoice(off=True), None, wanted, now), None)
