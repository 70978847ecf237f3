"""Why a deployment waits, in words; and that the place that is told is the one that a claim keeps to."""

from environments.domain.admission import KINDS, Lane
from environments.domain.lifecycle import DeploymentKind


def test_kinds_of_the_lanes() -> None:
    assert sorted(kind for lane in Lane for kind in KINDS[lane]) == sorted(DeploymentKind)
