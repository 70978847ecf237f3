"""`calvinverse plan`: saved plans, and what the option `--plan` does."""

from typing import TYPE_CHECKING, Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.options import Wait, Yes
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.wire.plans import PlanRequest, PlanView

Id = Annotated[str, typer.Argument(metavar="ID", help="A plan, as `--plan` named it.")]


@command(
    "plan",
    "show",
    more="""
        A plan is made by the option --plan of `env create`, `env update`, `env repair`, `env rollback` and `env
        destroy`. + create, ~ change, ± replace, - destroy; what a step will do is only known when the steps
        that it needs are done.
    """,
    examples="""
        calvinverse plan show plan-0197c2
        calvinverse plan show plan-0197c2 -o json | jq '.steps[].changes'
    """,
)
def show(session: Session, plan_id: Id) -> None:
    show_plan(session, session.client.saved_plan(plan_id))


@command(
    "plan",
    "apply",
    more="""
        Does only what the plan shows. If something has changed since it was made, it is refused with a list of the
        changes; make a new plan then. A plan that destroys an environment asks for its name, unless --yes is given.
    """,
    examples="""
        calvinverse plan apply plan-0197c2
        calvinverse plan apply plan-0197c2 --no-wait -o json
    """,
)
def apply(session: Session, plan_id: Id, yes: Yes = False, wait: Wait = True) -> None:
    from environments.cli.following import finish
    from environments.domain.lifecycle import DeploymentKind

    plan = session.client.saved_plan(plan_id)
    if plan.kind is DeploymentKind.DESTROY:
        session.confirm(for_command("env", "destroy"), plan.environment, yes)
    finish(session, session.client.apply_plan(plan_id), wait)


def make_plan(session: Session, name: str, request: "PlanRequest", shown: str = "") -> None:
    """Requests a plan and shows it, for `--plan`. `shown`: the environment's name, if `name` is an id."""
    session.say(f"Planning {shown or name}: asking each step what it would do…")
    show_plan(session, session.client.plan(name, request))


def show_plan(session: Session, plan: "PlanView") -> None:
    """Shows a plan, and how to apply it."""
    from environments.cli.offering import known
    from environments.cli.plan_tables import plan_lines, plan_next
    from environments.domain.lifecycle import DeploymentKind

    session.show(plan, lambda: plan_lines(plan, session.zone))
    seen = None if plan.kind is DeploymentKind.CREATE else known(session, plan.environment)
    session.say(plan_next(plan, session.zone, seen))
