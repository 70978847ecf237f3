"""`calvinverse env`: repair, promote, roll back and abandon environments."""

from typing import Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.options import Name, PlanOnly, Wait, Yes
from environments.cli.session import Session, command


@command(
    "env",
    "repair",
    more="""
        Every step compares the backends with what it made, and restores what differs. What `env drift` calls unexpected
        is left alone. Also continues an update or a rollback that failed.
    """,
    examples="""
        calvinverse env repair demo --plan
        calvinverse env repair demo
    """,
)
def repair(session: Session, name: Name, plan: PlanOnly = False, wait: Wait = True) -> None:
    from environments.cli.following import finish
    from environments.cli.plans import make_plan
    from environments.domain.lifecycle import DeploymentKind
    from environments.wire.plans import PlanRequest

    if plan:
        make_plan(session, name, PlanRequest(kind=DeploymentKind.REPAIR))
    else:
        finish(session, session.client.repair(name), wait)


@command(
    "env",
    "promote",
    more="""
        Waits until the new version has taken over. Steps that need it run again, so that outputs and checks are
        those of the new version. To give up the new version instead, roll back or update.
    """,
    examples="""
        calvinverse env promote demo --plan
        calvinverse env promote demo
    """,
)
def promote(session: Session, name: Name, plan: PlanOnly = False, wait: Wait = True) -> None:
    from environments.cli.following import finish
    from environments.cli.plans import make_plan
    from environments.domain.lifecycle import DeploymentKind
    from environments.wire.plans import PlanRequest

    if plan:
        make_plan(session, name, PlanRequest(kind=DeploymentKind.PROMOTE))
    else:
        finish(session, session.client.promote(name), wait)


@command(
    "env",
    "rollback",
    more="""
        Without --to it goes back to the last deployment that made the environment ready; `env history` marks it, and
        lists the others. It is an update: what only steps of the newer version made is removed. Secrets are not
        changed.
    """,
    examples="""
        calvinverse env rollback demo --plan
        calvinverse env rollback demo
        calvinverse env rollback demo --to dep-0197c2
    """,
)
def rollback(
    session: Session,
    name: Name,
    to: Annotated[str | None, typer.Option("--to", metavar="DEPLOYMENT", help="A deployment of `env history`.")] = None,
    plan: PlanOnly = False,
    wait: Wait = True,
) -> None:
    from environments.cli.following import finish
    from environments.cli.plans import make_plan
    from environments.domain.lifecycle import DeploymentKind
    from environments.wire.environments import RollbackRequest
    from environments.wire.plans import PlanRequest

    if plan:
        make_plan(session, name, PlanRequest(kind=DeploymentKind.UPDATE, rollback_to=to or "last-good"))
    else:
        finish(session, session.client.rollback(name, RollbackRequest(deployment=to)), wait)


@command(
    "env",
    "cancel",
    more="""
        A cancelled environment is failed: it can be retried, repaired, updated or destroyed, and its inventory lists
        what was made.
    """,
    examples="""
        calvinverse env cancel demo
        calvinverse env cancel demo --force
    """,
)
def cancel(
    session: Session,
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Stop running steps at once.")] = False,
    wait: Wait = True,
) -> None:
    from environments.cli.following import finish_cancel
    from environments.wire.deployments import CancelRequest

    view = session.client.environment(name)
    deployment = session.client.cancel(view.id, CancelRequest(force=force))
    if not force:
        session.say(
            "Cancellation requested; running steps may finish cleanly. "
            f"`calvinverse env cancel {view.name} --force` stops them at once."
        )
    finish_cancel(session, view, deployment, wait)


@command(
    "env",
    "abandon",
    more="""
        Only for an environment whose destruction failed. Lists what may be left, and asks for the environment's
        name, unless --yes is given. The name stays reserved until an observation finds that nothing is left: a job that
        still runs could read the data of the next environment. For an abandoned environment, it is observed at once.
    """,
    examples="""
        calvinverse env abandon demo --reason "the cluster was scrapped"
    """,
)
def abandon(
    session: Session,
    name: Name,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the history.")],
    yes: Yes = False,
) -> None:
    from environments.actions.refusal import beyond_role, refusal
    from environments.cli.environment_tables import details, inventory
    from environments.domain.errors import Forbidden, InvalidInput, NotAllowedNow
    from environments.domain.lifecycle import ENDED, ResourceStatus, way_on
    from environments.wire.environments import AbandonRequest

    if not reason.strip():
        raise InvalidInput("A reason is needed; it is kept in the history.", hint='Give it as --reason "…".')
    action = for_command("env", "abandon")
    view = session.client.environment(name)
    if (beyond := beyond_role(action, view)) is not None:
        raise Forbidden(beyond, hint=f"`calvinverse env access {view.name}` shows who may.")
    why_not = refusal(action, view)
    if why_not is not None:
        gone = view.state in ENDED
        hint = way_on(view.name, view.state) if gone else f"`calvinverse env destroy {view.name}` comes first."
        raise NotAllowedNow(why_not, hint=hint)
    found = session.client.resources(view.id)
    left = [one for one in found if one.status is not ResourceStatus.GONE]
    for line in inventory(left):
        session.say(line)
    session.say()
    session.confirm(action, view.name, yes)
    view = session.client.abandon(view.id, AbandonRequest(reason=reason))
    session.show(view, lambda: details(view, session.zone, session.now(), short=True))
    session.say(
        f"{view.name} was abandoned. You have to remove by hand what is left; "
        f"`calvinverse env show {view.id} --resources` lists it. The name stays reserved until nothing is found: what "
        "is left could read what a new environment of that name keeps."
    )
