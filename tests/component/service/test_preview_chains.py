"""What previews start counts as caused by the event that last had them looked at, so that chains through them end."""

from collections.abc import Callable

from environments.domain.lifecycle import DeploymentKind
from tests.support.preview_world import PreviewWorld


def deployments(here: PreviewWorld) -> list[tuple[DeploymentKind, int]]:
    """What was done to the environment of the pull request, and how many triggers led to it."""
    environment = here.record(12).environment_id
    assert environment is not None
    with here.service.database.read() as tx:
        return [(one.kind, one.hops) for one in reversed(tx.deployments.of(environment))]


def test_each_deployment_of_a_preview_is_a_hop_behind_its_event(world: Callable[..., PreviewWorld]) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    here.tell(here.forge.push(12, "b2").model_copy(update={"hops": 3}))
    here.settle()
    here.forge.close(12)
    here.noting.sweep()
    here.settle()

    assert deployments(here) == [
        (DeploymentKind.CREATE, 1),
        (DeploymentKind.UPDATE, 4),
        (DeploymentKind.DESTROY, 4),
    ], "a comparison with the forge belongs to no other event"
