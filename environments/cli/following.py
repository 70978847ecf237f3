"""How a command that asked for a deployment ends: it follows it, and says how the environment is then."""

from environments.cli.environment_tables import details, next_step
from environments.cli.progress import check_succeeded, follow
from environments.cli.session import Session
from environments.domain.errors import UnknownEnvironment
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.domain.views import Accepted, DeploymentView, EnvironmentView


def finish(session: Session, accepted: Accepted, wait: bool, after: int | None = None, first: str = "") -> None:
    """Says `first`, follows what was asked for, if that is wanted, and writes how the environment is then."""
    view = accepted.environment
    if wait and accepted.deployment_id is not None:
        deployment = watched(session, view, accepted.deployment_id, after, first)
        if deployment.state is DeploymentState.FAILED:
            _say_way_back(session, view, deployment)
        check_succeeded(deployment)
        try:
            view = session.client.environment(view.id)
        except UnknownEnvironment:
            if deployment.kind is not DeploymentKind.DESTROY:
                raise
    elif first:
        session.say(first)
    session.show(view, lambda: details(view, session.zone, session.now(), short=True))
    session.say(next_step(view))


def _say_way_back(session: Session, view: EnvironmentView, failed: DeploymentView) -> None:
    """Says that the template goes back by itself after a failure, if it does (`on_failure = "rollback"`)."""
    newest = session.client.environment(view.id).deployment
    if newest is not None and newest.id != failed.id and newest.kind is not DeploymentKind.DESTROY:
        session.say(f"It goes {newest.reason}, in deployment {newest.id}. Next: `calvinverse env watch {view.name}`.")


def finish_cancel(session: Session, view: EnvironmentView, deployment: DeploymentView, wait: bool) -> None:
    """Follows a deployment that was asked to stop, if that is wanted, and writes how it ended."""
    if wait:
        deployment = watched(session, view, deployment.id, None)
        view = session.client.environment(view.id)
    session.show(view, lambda: details(view, session.zone, session.now(), short=True))
    if not wait:
        session.say(f"{view.name} was asked to stop. Next: `calvinverse env watch {view.name}`.")
    elif deployment.state is DeploymentState.CANCELLED and view.state is State.FAILED:
        session.say(
            f"The {deployment.kind.value} of {view.name} was cancelled. Next: `calvinverse env retry {view.name}` goes "
            f"on with it, `calvinverse env repair {view.name} --plan`, or `calvinverse env destroy {view.name}`."
        )
    elif deployment.state is DeploymentState.CANCELLED:
        session.say(f"The {deployment.kind.value} was cancelled before it began. {next_step(view)}")
    else:
        session.say(f"The {deployment.kind.value} of {view.name} had {deployment.state.value} before it could stop.")


def watched(
    session: Session, view: EnvironmentView, deployment_id: str, after: int | None, first: str = ""
) -> DeploymentView:
    """A deployment once it has ended. Ctrl-C leaves it running, and says so. Says `first` before it follows."""
    try:
        if first:
            session.say(first)
        return follow(session, session.client, view.id, deployment_id, after=after)
    except KeyboardInterrupt:
        session.say(f"\nThe deployment goes on without you: `calvinverse env watch {view.name}` follows it.")
        raise
