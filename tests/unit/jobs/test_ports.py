"""Ports of a deployment that stands beside another one."""

import pytest

from environments.domain.errors import InvalidInput
from environments.providers.local_cluster.agents.ports import Ports
from jobs.ports import SIZE, block


def test_a_block_has_a_port_for_everything_and_none_twice() -> None:
    found = block(12000)
    ports = Ports.model_validate(found.agents)
    single = [port for name, port in found.agents.items() if isinstance(port, int) and "dynamic" not in name]
    single += [found.service, found.database, found.edge, found.ui]
    assert len(set(single)) == len(single) == 13
    assert all(12000 <= port < ports.first_dynamic for port in single)
    assert ports.last_dynamic == 12000 + SIZE - 1
    assert ports.last_dynamic - ports.first_dynamic == 79
    assert set(found.agents) == set(Ports.model_fields)


@pytest.mark.parametrize("first", [0, 80, 1023, 65500, 70000, -1])
def test_a_block_that_can_not_be_is_refused(first: int) -> None:
    with pytest.raises(InvalidInput, match="block of 100 ports"):
        block(first)
