"""`calvinverse env`: commands that change environments."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from environments.actions.registry import for_command
from environments.cli.options import Name, PlanOnly, Wait, Yes
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.domain.timing import TimedAction
    from environments.wire.environments import EnvironmentView
    from environments.wire.timing import RuleRequest

Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="KEY=VALUE", help="A parameter; @FILE reads a JSON object."),
]
DestroyAt = Annotated[
    list[str] | None,
    typer.Option(
        "--destroy-at", metavar="RULE", help="Destroy it by the calendar: '0 19 * * 1-5 Europe/Amsterdam'; repeatable."
    ),
]
StopAt = Annotated[
    list[str] | None, typer.Option("--stop-at", metavar="RULE", help="Stop it by the calendar; repeatable.")
]
StartAt = Annotated[
    list[str] | None, typer.Option("--start-at", metavar="RULE", help="Start it by the calendar; repeatable.")
]
Ttl = Annotated[str | None, typer.Option("--ttl", metavar="DURATION", help="Time to live from now: 90m, 8h, 3d.")]
Until = Annotated[
    str | None, typer.Option("--until", metavar="MOMENT", help="Destroyed then: 2026-12-01T18:00, in your own zone.")
]

_PARAMETERS = """
    Parameters are written as -p key=value, or as flags of the template's own names (--key value);
    `calvinverse template show NAME` lists them. Each is read as the type that the template wants. Put secrets in a file
    (-p @secrets.json), not on the command line. Ctrl-C only stops the output; the deployment continues.
"""


@command(
    "env",
    "create",
    rest=True,
    more=_PARAMETERS,
    examples="""
        calvinverse env create demo --template web
        calvinverse env create demo --template web -p replicas=2 --message "Hello" --ttl 2h
        calvinverse env create demo --template web --until 2026-12-01T18:00 --no-wait -o json
        calvinverse env create demo --template web --destroy-at "0 19 * * 1-5 Europe/Amsterdam"
        calvinverse env create demo --template web --stop-at "0 19 * * 1-5" --start-at "0 8 * * 1-5"
        calvinverse env create demo --template web --plan
    """,
)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and single hyphens.")],
    template: Annotated[str, typer.Option("--template", "-t", metavar="NAME", help="What it is made from.")],
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="sha256:…", help="A version of the template; default: the newest.")
    ] = None,
    parameters: Parameters = None,
    ttl: Ttl = None,
    until: Until = None,
    destroys: DestroyAt = None,
    stops: StopAt = None,
    starts: StartAt = None,
    plan: PlanOnly = False,
    wait: Wait = True,
) -> None:
    from environments.cli.arguments import read_lifetime, read_parameters
    from environments.cli.following import finish
    from environments.cli.plans import make_plan
    from environments.domain.lifecycle import DeploymentKind
    from environments.domain.names import check_environment_name
    from environments.domain.timing import TimedAction
    from environments.wire.environments import CreateRequest
    from environments.wire.plans import PlanRequest

    _check_name_is_first(name)
    check_environment_name(name)
    lifetime, moment = read_lifetime(ttl, until, session.zone)
    values = {}
    if parameters or session.rest:
        schema = session.client.template(template, digest).parameters_schema
        values = read_parameters(schema, parameters or (), session.rest, template=template)
    asked: dict[str, Any] = {"template": template, "digest": digest, "parameters": values}
    asked |= {"ttl": lifetime, "until": moment}
    if destroys or stops or starts:
        asked["rules"] = (*(destroys or ()), *_rules(TimedAction.STOP, stops), *_rules(TimedAction.START, starts))
    if plan:
        make_plan(session, name, PlanRequest.model_validate({"kind": DeploymentKind.CREATE, **asked}))
        return
    request = CreateRequest.model_validate({"name": name, **asked})
    accepted = session.client.create(request)
    finish(session, accepted, wait, after=0, first=_deadline(session, accepted.environment))


@command(
    "env",
    "update",
    rest=True,
    more=_PARAMETERS,
    examples="""
        calvinverse env update demo
        calvinverse env update demo --message "Good morning"
        calvinverse env update demo -p replicas=3 --plan
        calvinverse env update demo --run-again seed
    """,
)
def update(
    session: Session,
    name: Name,
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="sha256:…", help="A version of the template; default: the newest.")
    ] = None,
    parameters: Parameters = None,
    run_again: Annotated[
        list[str] | None,
        typer.Option(
            "--run-again", metavar="STEP", help="Run a step's batch job again, though it is done; repeatable."
        ),
    ] = None,
    plan: PlanOnly = False,
    wait: Wait = True,
) -> None:
    from environments.cli.arguments import read_parameters
    from environments.cli.following import finish
    from environments.cli.plans import make_plan
    from environments.domain.lifecycle import DeploymentKind
    from environments.wire.environments import UpdateRequest
    from environments.wire.plans import PlanRequest

    _check_name_is_first(name)
    values, shown = None, name
    if parameters or session.rest:
        view = session.client.environment(name)
        shown = view.name
        name = view.id  # update the environment whose template the parameters were read for
        schema = session.client.template(view.template, digest).parameters_schema
        values = read_parameters(schema, parameters or (), session.rest, template=view.template)
    if plan:
        asked = PlanRequest(
            kind=DeploymentKind.UPDATE,
            digest=digest,
            parameters=values,
            run_again=tuple(run_again) if run_again else None,
        )
        make_plan(session, name, asked, shown)
    else:
        request = UpdateRequest(digest=digest, parameters=values, run_again=tuple(run_again or ()))
        finish(session, session.client.update(name, request), wait)


@command("env", "retry", examples="calvinverse env retry demo")
def retry(session: Session, name: Name, wait: Wait = True) -> None:
    from environments.cli.following import finish

    finish(session, session.client.retry(name), wait)


@command(
    "env",
    "extend",
    more="Without --ttl or --until, BY is added to the present deadline. An earlier moment is fine too.",
    examples="""
        calvinverse env extend demo 2h
        calvinverse env extend demo --ttl 8h
        calvinverse env extend demo --until 2026-12-01T18:00
    """,
)
def extend(
    session: Session,
    name: Name,
    by: Annotated[str | None, typer.Argument(metavar="[BY]", help="How much longer: 90m, 2h, 1d.")] = None,
    ttl: Ttl = None,
    until: Until = None,
) -> None:
    from environments.cli.arguments import read_lifetime
    from environments.cli.environment_tables import deadline_line
    from environments.domain.deadline import parse_duration
    from environments.domain.errors import InvalidLifetime
    from environments.wire.environments import ExtendRequest

    if [by, ttl, until].count(None) != 2:
        raise InvalidLifetime(
            "Give exactly one of BY, --ttl and --until.", hint="For example `calvinverse env extend NAME 2h`."
        )
    if by is not None:
        parse_duration(by)
    lifetime, moment = read_lifetime(ttl, until, session.zone)
    view = session.client.extend(name, ExtendRequest(by=by, ttl=lifetime, until=moment))
    session.show(view, lambda: [deadline_line(view, session.zone, session.now())])


@command(
    "env",
    "destroy",
    examples="""
        calvinverse env destroy demo
        calvinverse env destroy demo --yes --reason "branch merged" --no-wait
        calvinverse env destroy demo --plan
    """,
)
def destroy(
    session: Session,
    name: Name,
    yes: Yes = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept in the history.")] = "",
    plan: PlanOnly = False,
    wait: Wait = True,
) -> None:
    from environments.cli.following import finish
    from environments.cli.plans import make_plan
    from environments.domain.lifecycle import DeploymentKind
    from environments.wire.plans import PlanRequest

    if plan:
        make_plan(session, name, PlanRequest(kind=DeploymentKind.DESTROY))
        return
    wanted = name
    if not yes:
        wanted = session.client.environment(name).id  # report an unknown name before somebody has to type it
    session.confirm(for_command("env", "destroy"), name, yes)
    finish(session, session.client.destroy(wanted, reason), wait)


def _check_name_is_first(name: str) -> None:
    """Raises `InvalidInput` for a parameter of the template before the name: it would be taken for the name."""
    from environments.domain.errors import InvalidInput

    if name.startswith("-"):
        raise InvalidInput(f"{name!r} is given where the name is expected.", hint="Write the name first.")


def _rules(action: "TimedAction", rules: list[str] | None) -> "list[RuleRequest]":
    from environments.wire.timing import RuleRequest

    return [RuleRequest(action=action, rule=rule) for rule in rules or ()]


def _deadline(session: Session, view: "EnvironmentView") -> str:
    from environments.cli.environment_tables import deadline_line

    return deadline_line(view, session.zone, session.now())
