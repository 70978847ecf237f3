"""`calvinverse env`: drift, queues and the history of deployments."""

from typing import Annotated

import typer

from environments.cli.options import Name
from environments.cli.session import Session, command


@command(
    "env",
    "drift",
    more="""
        Shows the result of the last observation; --observe makes a new one, which changes nothing. Differences are
        shown as a repair would put them right. Unexpected things were made by no step; a repair leaves them alone.
    """,
    examples="""
        calvinverse env drift demo
        calvinverse env drift demo --observe
        calvinverse env drift demo -o json | jq '.drift.unexpected'
    """,
)
def drift(
    session: Session,
    name: Name,
    observe: Annotated[bool, typer.Option("--observe", help="Make a new observation.")] = False,
) -> None:
    from environments.cli.offering import known
    from environments.cli.plan_tables import drift_lines, drift_next

    if observe:
        session.say(f"Checking each step of {name}…")
        found = session.client.observe(name)
    else:
        found = session.client.drift(name)
    session.show(found, lambda: drift_lines(found, session.zone, session.now()))
    session.say(drift_next(found, known(session, name)))


@command(
    "env",
    "why",
    more="People's requests go before the scheduler's, owners alternate, and destroys have their own lane.",
    examples="calvinverse env why demo",
)
def why(session: Session, name: Name) -> None:
    from environments.cli.plan_tables import pending_lines
    from environments.domain.lifecycle import ENDED_DEPLOYMENTS, DeploymentState

    view = session.client.environment(name)
    newest = view.deployment
    if newest is None or newest.state in ENDED_DEPLOYMENTS:
        session.show(None, lambda: [f"No deployment of {view.name} is queued or running."])
        session.say(f"Next: `calvinverse env show {view.name}`.")
        return
    found = session.client.why(newest.id)
    session.show(found, lambda: pending_lines(found))
    if found.state is DeploymentState.QUEUED:
        session.say(f"Next: `calvinverse env watch {view.name}`, or `calvinverse worker list`.")
    else:
        session.say(f"Next: `calvinverse env watch {view.name}`.")


@command(
    "env",
    "history",
    more="The newest comes first. `env rollback NAME --to DEPLOYMENT` goes back to one; the last good one is marked.",
    examples="""
        calvinverse env history demo
        calvinverse env history demo -o json | jq -r '.[].plan_id'
    """,
)
def history(session: Session, name: Name) -> None:
    from environments.cli.plan_tables import history_lines

    view = session.client.environment(name)
    found = session.client.deployments(view.id)
    session.show(found, lambda: history_lines(view, found, session.zone))
