"""Which kinds of deployments a lane runs."""

from environments.domain.admission import KINDS, Lane
from environments.domain.lifecycle import DeploymentKind


def test_kinds_of_the_lanes() -> None:
    assert sorted(kind for lane in Lane for kind in KINDS[lane]) == sorted(DeploymentKind)
