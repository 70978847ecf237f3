"""How commands that start a deployment end: they follow it, and show the environment."""

from environments.cli.environment_tables import details, next_step
from environments.cli.offering import allows, offer
from environments.cli.progress import check_succeeded, follow
from environments.cli.session import Session
from environments.domain.errors import CalvinverseError, UnknownEnvironment
from environments.domain.lifecycle import BUSY, DeploymentKind, DeploymentState, State
from environments.wire.deployments import DeploymentView
from environments.wire.environments import Accepted, EnvironmentView


def finish(session: Session, accepted: Accepted, wait: bool, after: int | None = None, first: str = "") -> None:
    """Says `first`, follows the deployment if `wait`, and shows the environment."""
    view = accepted.environment
    if wait and accepted.deployment_id is not None:
        began = accepted.events_after if after is None else after
        deployment = watched(session, view, accepted.deployment_id, began, first)
        if deployment.state is DeploymentState.FAILED:
            _say_way_on(session, view, deployment)
        check_succeeded(deployment)
        try:
            view = session.client.environment(view.id)
        except UnknownEnvironment:
            if deployment.kind is not DeploymentKind.DESTROY:
                raise
    elif first:
        session.say(first)
    session.show(view, lambda: details(view, session.zone, session.now(), short=True))
    session.say(next_step(view) if wait or accepted.deployment_id is None else _queued(view, accepted.deployment_id))


def _queued(view: EnvironmentView, deployment_id: str) -> str:
    """The message for a deployment that was started, but isn't followed."""
    if view.state in BUSY:
        return next_step(view)
    return f"Deployment {deployment_id} of {view.name} is queued. Next: `calvinverse env watch {view.name}` follows it."


def _say_way_on(session: Session, view: EnvironmentView, failed: DeploymentView) -> None:
    """Says what follows a failed deployment: an automatic one, or what a person can do."""
    try:
        view = session.client.environment(view.id)
    except CalvinverseError:
        return  # the environment or the service is gone; the error of the deployment matters more
    newest, name = view.deployment, view.name
    if newest is not None and newest.id != failed.id and newest.kind is not DeploymentKind.DESTROY:
        session.say(f"It goes {newest.reason}, in deployment {newest.id}. Next: `calvinverse env watch {name}`.")
    elif view.state is State.FAILED:
        remove = f", `calvinverse env destroy {name}` removes it" if allows(view, "destroy") else ""
        retry = offer(view, "retry", f"`calvinverse env retry {name}` retries{remove}", "retry or destroy it")
        session.say(f"{name} has failed; what it made is kept. {retry}")
    elif view.state is State.DESTROY_FAILED:
        retry = f", `calvinverse env retry {name}` tries at once" if allows(view, "retry") else ""
        session.say(
            f"{name} can't be destroyed yet; the service retries automatically. Next: `calvinverse env show {name} "
            f"--resources` lists what is left{retry}."
        )


def finish_cancel(session: Session, view: EnvironmentView, deployment: DeploymentView, wait: bool) -> None:
    """Follows a cancelled deployment if `wait`, and shows how it has ended."""
    if wait:
        deployment = watched(session, view, deployment.id, None)
        view = session.client.environment(view.id)
    session.show(view, lambda: details(view, session.zone, session.now(), short=True))
    if not wait:
        session.say(f"Cancellation of {view.name} was requested. Next: `calvinverse env watch {view.name}`.")
    elif deployment.state is DeploymentState.CANCELLED and view.state is State.FAILED:
        destroy = f", or `calvinverse env destroy {view.name}`" if allows(view, "destroy") else ""
        ways = f"`calvinverse env retry {view.name}` continues it, `calvinverse env repair {view.name} --plan`{destroy}"
        session.say(
            f"The {deployment.kind.value} of {view.name} was cancelled. "
            f"{offer(view, 'retry', ways, 'continue or destroy it')}"
        )
    elif deployment.state is DeploymentState.CANCELLED:
        session.say(f"The {deployment.kind.value} was cancelled before it began. {next_step(view)}")
    else:
        session.say(f"The {deployment.kind.value} of {view.name} had {deployment.state.value} before it could stop.")


def watched(
    session: Session, view: EnvironmentView, deployment_id: str, after: int | None, first: str = ""
) -> DeploymentView:
    """A deployment after its end. Ctrl-C leaves it running, and says so. Says `first` before it follows."""
    try:
        if first:
            session.say(first)
        return follow(session, session.client, view.id, deployment_id, after=after)
    except KeyboardInterrupt:
        session.say(f"\nThe deployment continues: `calvinverse env watch {view.name}` follows it.")
        raise
