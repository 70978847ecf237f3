"""`calvinverse policy`: rules and maximum lifetimes for all environments of an owner or of a template."""

from typing import TYPE_CHECKING, Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.options import DryRun, Yes
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from environments.domain.timing import Scope

Owner = Annotated[str | None, typer.Option("--owner", metavar="NAME", help="For all environments of this owner.")]
Template = Annotated[
    str | None, typer.Option("--template", "-t", metavar="NAME", help="For all environments made from this template.")
]


@command("policy", "list", examples="calvinverse policy list")
def list_policies(session: Session) -> None:
    from environments.cli.timing_tables import policy_lines

    found = session.client.policies()
    session.show(found, lambda: policy_lines(found, session.zone))
    if not found and not session.json:
        session.say("There are no policies.")


@command(
    "policy",
    "set",
    more="""
        A new rule counts from now on. A new or shorter maximum ends nothing within a day. The maximum counts from the
        creation of each environment; the template's own still holds, and the earliest deadline wins.
    """,
    examples="""
        calvinverse policy set --owner ada --destroy-at "0 19 * * 5 Europe/Amsterdam" --dry-run
        calvinverse policy set --template web --maximum 7d --yes
        calvinverse policy set --owner ada --stop-at "0 19 * * 1-5 Europe/Amsterdam" --yes
    """,
)
def set_policy(
    session: Session,
    owner: Owner = None,
    template: Template = None,
    rules: Annotated[
        list[str] | None, typer.Option("--destroy-at", metavar="RULE", help="Destroy by the calendar; repeatable.")
    ] = None,
    stops: Annotated[
        list[str] | None, typer.Option("--stop-at", metavar="RULE", help="Stop by the calendar; repeatable.")
    ] = None,
    starts: Annotated[
        list[str] | None, typer.Option("--start-at", metavar="RULE", help="Start by the calendar; repeatable.")
    ] = None,
    maximum: Annotated[str | None, typer.Option("--maximum", metavar="DURATION", help="The longest lifetime.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    from environments.cli.timing_tables import effect_lines
    from environments.domain.timing import TimedAction
    from environments.wire.timing import PolicyRequest, RuleRequest

    scope, name = _which(owner, template)
    given = ((TimedAction.DESTROY, rules), (TimedAction.STOP, stops), (TimedAction.START, starts))
    asked = tuple(RuleRequest(action=action, rule=rule) for action, some in given for rule in some or ())
    request = PolicyRequest(rules=asked, maximum=maximum)
    client = session.client
    if dry_run or not yes:
        found = client.set_policy(scope, name, request, dry_run=True)
        _preview(session, effect_lines(found, session.zone), dry_run=dry_run, data=found)
        if dry_run:
            return
    session.confirm(for_command("policy", "set"), name, yes)
    done = client.set_policy(scope, name, request)
    session.show(done, lambda: effect_lines(done, session.zone))


@command("policy", "remove", examples="calvinverse policy remove --owner ada")
def remove_policy(
    session: Session, owner: Owner = None, template: Template = None, dry_run: DryRun = False, yes: Yes = False
) -> None:
    from environments.cli.timing_tables import effect_lines

    scope, name = _which(owner, template)
    client = session.client
    if dry_run or not yes:
        found = client.remove_policy(scope, name, dry_run=True)
        _preview(session, effect_lines(found, session.zone), dry_run=dry_run, data=found)
        if dry_run:
            return
    session.confirm(for_command("policy", "remove"), name, yes)
    done = client.remove_policy(scope, name)
    session.show(done, lambda: effect_lines(done, session.zone))


def _which(owner: str | None, template: str | None) -> "tuple[Scope, str]":
    from environments.domain.errors import InvalidInput
    from environments.domain.timing import Scope

    if owner is not None and template is None:
        return Scope.OWNER, owner
    if template is not None and owner is None:
        return Scope.TEMPLATE, template
    raise InvalidInput("Give exactly one of --owner and --template.", hint="A policy is for one of them.")


def _preview(session: Session, lines: "Iterable[str]", *, dry_run: bool, data: object) -> None:
    """Data for `--dry-run`, else talk before the question."""
    if dry_run:
        session.show(data, lambda: lines)
        return
    for line in lines:
        session.say(line)
