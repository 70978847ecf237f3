"""What the executors rely on in Nomad's access control."""

from collections.abc import Callable

import pytest

from environments.providers.backend.connections import Connections
from environments.providers.nomad.access import wanted_policy
from environments.providers.nomad.access_ports import NomadAccess, NomadPolicy
from environments.providers.nomad.acl_client import NomadAcl
from environments.steps.base import Owner
from tests.fakes.backends.nomad_access import MemoryNomadAcl


@pytest.fixture(params=["memory", "real"])
def acl(request: pytest.FixtureRequest, real: Callable[[], Connections]) -> NomadAccess:
    return MemoryNomadAcl() if request.param == "memory" else NomadAcl(real)


def test_a_policy_is_read_as_it_was_written_changed_and_removed(acl: NomadAccess, name: str) -> None:
    wanted = wanted_policy(f"env-{name}--module", Owner("env-1", name))
    assert acl.policy(wanted.name) is None
    acl.write_policy(wanted)
    assert acl.policy(wanted.name) == wanted
    changed = NomadPolicy(wanted.name, "changed", 'namespace "x" { policy = "read" }')
    acl.write_policy(changed)
    assert acl.policy(wanted.name) == changed
    acl.remove_policy(wanted.name)
    acl.remove_policy(wanted.name)
    assert acl.policy(wanted.name) is None


def test_tokens_are_found_by_the_name_of_their_policy_even_when_that_is_gone(acl: NomadAccess, name: str) -> None:
    mine, other = f"env-{name}--module", f"env-{name}-b--module"
    for policy in (mine, other):
        acl.write_policy(wanted_policy(policy, Owner("env-1", name)))
    assert acl.tokens(mine) == []
    issued = [acl.create_token(policy, "calvinverse environment env-1", 60) for policy in (mine, mine, other)]
    assert len({found.secret for found in issued}) == 3
    assert issued[0].secret not in repr(issued[0])
    assert set(acl.tokens(mine)) == {issued[0].accessor, issued[1].accessor}
    acl.remove_policy(mine)
    assert len(acl.tokens(mine)) == 2
    for found in issued:
        acl.remove_token(found.accessor)
        acl.remove_token(found.accessor)
    assert acl.tokens(mine) == acl.tokens(other) == []
    acl.remove_policy(other)
