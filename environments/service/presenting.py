"""From records to what people see: secrets masked, journals with their deployments."""

from collections.abc import Mapping, Sequence
from typing import Any

from environments.domain.environment import Deployment, Environment, StepRecord
from environments.domain.lifecycle import State
from environments.domain.references import MASK, references_in
from environments.service.storage import Transaction
from environments.wire.deployments import DeploymentView, StepView
from environments.wire.environments import Accepted, EnvironmentView, OutputView

_SAME = set(EnvironmentView.model_fields) & set(Environment.model_fields) - {"outputs", "degraded"}


def outputs_view(outputs: Mapping[str, Any]) -> dict[str, OutputView]:
    """The outputs of an environment, secret ones masked."""
    return {
        name: OutputView.model_validate({**output, "value": MASK, "secret": True} if _is_secret(output) else output)
        for name, output in outputs.items()
    }


def _is_secret(output: Mapping[str, Any]) -> bool:
    return bool(output.get("secret")) or any(references_in(output.get("value")))


class Views:
    """Views made before: of an environment that is the very same object, the view is the same too."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Environment, EnvironmentView]] = {}

    def of(self, environments: Sequence[Environment]) -> list[EnvironmentView]:
        """The views of these environments; those of others are forgotten."""
        before = self._made
        made = {
            found.id: seen if (seen := before.get(found.id)) and seen[0] is found else (found, environment_view(found))
            for found in environments
        }
        self._made = made
        return [view for _, view in made.values()]


def environment_view(environment: Environment, deployment: DeploymentView | None = None) -> EnvironmentView:
    """An environment as people see it."""
    return EnvironmentView(
        **{name: getattr(environment, name) for name in _SAME},
        outputs=outputs_view(environment.outputs),
        drifted=environment.drift is not None and environment.drift.found,
        degraded=environment.degraded if environment.state is State.READY else (),
        deployment=deployment,
    )


def accepted(tx: Transaction, environment: Environment, deployment: Deployment) -> Accepted:
    """The answer to a request that has just put this deployment into the queue; in the same transaction."""
    view, after = environment_view(environment), tx.events.newest()
    return Accepted(environment=view, deployment_id=deployment.id, events_after=after)


def deployment_view(
    deployment: Deployment, steps: Sequence[StepRecord] = (), needs: Mapping[str, tuple[str, ...]] | None = None
) -> DeploymentView:
    """A deployment with its journal."""
    needs = needs or {}
    return DeploymentView(
        **{name: getattr(deployment, name) for name in DeploymentView.model_fields if name != "steps"},
        steps=tuple(
            StepView(
                **{name: getattr(step, name) for name in StepView.model_fields if name != "needs"},
                needs=needs.get(step.name, ()),
            )
            for step in steps
        ),
    )


def with_journal(tx: Transaction, deployment: Deployment) -> DeploymentView:
    """A deployment with its journal, read from the database."""
    return deployment_view(deployment, tx.journal.steps(deployment.id), tx.journal.needs(deployment.id))
