"""Ports of a deployment that stands beside another one."""

import pytest

from environments.domain.errors import InvalidInput
from environments.providers.local_cluster.agents.ports import Ports
from jobs import edge, web_page
from jobs.ports import SERVICE_PORT, SIZE, USUAL, USUAL_DATABASE, block


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


def test_what_is_checked_before_a_deployment_is_what_agents_use() -> None:
    assert Ports().model_dump(include=set(USUAL)) == USUAL
    assert set(USUAL) | {"first_dynamic", "last_dynamic"} == set(Ports.model_fields)


@pytest.mark.parametrize(("one", "other"), [(12000, None), (12000, 12100), (21000, 20900)])
def test_two_deployments_share_no_port(one: int, other: int | None) -> None:
    """Not with each other, and not with one at the usual ports."""

    def of(first: int | None) -> set[object]:
        agents = USUAL if first is None else block(first).agents
        own = (
            {SERVICE_PORT, USUAL_DATABASE, edge.PORT, web_page.PORT}
            if first is None
            else {block(first).service, block(first).database, block(first).edge, block(first).ui}
        )
        dynamic = set() if first is None else set(range(first + SIZE - 80, first + SIZE))
        return own | dynamic | {port for port in agents.values() if isinstance(port, int)}

    assert not of(one) & of(other)


@pytest.mark.parametrize("first", [0, 80, 1023, 65500, 70000, -1])
def test_a_block_that_can_not_be_is_refused(first: int) -> None:
    with pytest.raises(InvalidInput, match="block of 100 ports"):
        block(first)
