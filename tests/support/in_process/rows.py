"""Writes into the database what an environment should be like, as the engine would have left it."""

from collections.abc import Mapping
from datetime import datetime

from environments.domain.environment import Deployment, Drift, Environment
from environments.domain.lifecycle import DeploymentState
from environments.domain.references import SecretReference
from environments.stores.schema import deployments, resources, steps
from environments.stores.transaction import SqlTransaction
from environments.wire.deployments import DeploymentView
from environments.wire.environments import EnvironmentView, ResourceView
from tests.fakes.plans import plan_steps
from tests.support.views import past_deployment


def put_environment(tx: SqlTransaction, view: EnvironmentView, now: datetime) -> None:
    """Makes the environment, its outputs and its newest deployment be like this; an earlier deployment goes."""
    secret = {name: secret_reference(view, name) for name, output in view.outputs.items() if output.secret}
    values = {name: getattr(view, name) for name in Environment.model_fields if hasattr(view, name)}
    values["outputs"] = {
        name: {"value": secret.get(name, output.value), "description": output.description, "secret": output.secret}
        for name, output in view.outputs.items()
    }
    values["set_deadline"] = view.deadline  # else the next change of its rules would leave it without one
    values["template_maximum"] = view.maximum_deadline
    known = tx.environments.get(view.id)
    drift = known.drift if known is not None else None
    if view.drifted and drift is None:
        drift = Drift(observed_at=now, steps=plan_steps()[:1])
    environment = Environment(**{**values, "drift": drift if view.drifted else None})
    if known is None:
        tx.environments.add(environment)
    else:
        fixed = ("id", "state", "state_since")
        changed = {name: getattr(environment, name) for name in Environment.model_fields if name not in fixed}
        tx.environments.set_state(view.id, view.state, view.state_since, **changed)
    tx._connection.execute(deployments.delete().where(deployments.c.environment_id == view.id))
    if view.deployment is not None:
        put_deployment(tx, environment, view.deployment, secret)
    if view.last_good is not None and tx.deployments.get(view.last_good) is None:
        put_deployment(tx, environment, past_deployment(view.last_good), {})


def put_deployment(
    tx: SqlTransaction,
    environment: Environment,
    view: DeploymentView,
    secret: Mapping[str, SecretReference],
) -> None:
    """Makes a deployment be like this, with its steps; `secret`: output → where its step keeps the value."""
    tx._connection.execute(deployments.delete().where(deployments.c.id == view.id))
    given = {name: getattr(view, name) for name in Deployment.model_fields if hasattr(view, name)}
    tx.deployments.add(
        Deployment(
            **given,
            environment_id=environment.id,
            bundle=environment.bundle,
            template=environment.template,
            parameters=environment.parameters,
        )
    )
    if view.state is DeploymentState.RUNNING:
        tx._connection.execute(deployments.update().where(deployments.c.id == view.id).values(lease_until=1e12))
    for position, step in enumerate(view.steps):
        its = {name: reference for name, reference in secret.items() if reference.step == step.name}
        tx._connection.execute(
            steps.insert().values(
                deployment_id=view.id,
                name=step.name,
                position=position,
                uses=step.uses,
                needs=list(step.needs),
                state=step.state.value,
                attempts=step.attempts,
                started_at=step.started_at,
                ended_at=step.ended_at,
                outputs={"references": its} if its else {},
                failure=step.failure.model_dump(mode="json") if step.failure else None,
            )
        )


def put_inventory(tx: SqlTransaction, environment_id: str, lines: list[ResourceView]) -> None:
    """Makes the inventory consist of these lines."""
    tx._connection.execute(resources.delete().where(resources.c.environment_id == environment_id))
    for line in lines:
        row = {**line.model_dump(), "status": line.status.value, "environment_id": environment_id}
        tx._connection.execute(resources.insert().values(**row, rank=0))


def secret_reference(view: Environment | EnvironmentView, output: str) -> SecretReference:
    """The step of the output's name keeps its value."""
    return SecretReference(view.id, output, f"environments/{view.name}/{output}", output)
