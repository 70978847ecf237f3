"""`calvinverse env rule`, `env pin` and `env unpin`: what decides about the time of one environment."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from environments.cli.options import Name
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.wire.timing import RuleRequest


class Done(StrEnum):
    """What a rule does."""

    DESTROY = "destroy"
    STOP = "stop"
    START = "start"


Action = Annotated[Done, typer.Option("--action", help="What the rule does.")]
Rule = Annotated[str, typer.Argument(metavar="RULE", help="Such as '0 19 * * 1-5 Europe/Amsterdam except nl'.")]


@command("env", "rule", "list", examples="calvinverse env rule list demo")
def list_rules(session: Session, name: Name) -> None:
    from environments.cli.timing_tables import rule_lines

    found = session.client.rules(name)
    session.show(found, lambda: rule_lines(found, session.zone))
    if not found and not session.json:
        session.say(f"No calendar rule applies to {name}.")


@command(
    "env",
    "rule",
    "add",
    more="""
        It is destroyed at the first moment of any rule that destroys it. It is stopped, or started, at each moment of
        a rule for that. With --dry-run its next five moments are shown, and it isn't added.
    """,
    examples="""
        calvinverse env rule add demo "0 19 * * 5 Europe/Amsterdam" --dry-run
        calvinverse env rule add demo "0 19 * * 5 Europe/Amsterdam"
        calvinverse env rule add demo "0 19 * * 1-5 Europe/Amsterdam" --action stop
    """,
)
def add_rule(
    session: Session,
    name: Name,
    rule: Rule,
    action: Action = Done.DESTROY,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show its next five moments.")] = False,
) -> None:
    from environments.cli.environment_tables import timing_lines
    from environments.cli.timing_tables import moment_lines
    from environments.domain.errors import InvalidLifetime

    if dry_run:
        [found] = session.client.check_rules(_request(rule, action))
        if found.problem:
            raise InvalidLifetime(found.problem, hint=found.hint)
        session.show(found, lambda: moment_lines(found, session.zone))
        return
    view = session.client.add_rule(name, _request(rule, action))
    session.show(view, lambda: timing_lines(view, session.zone, session.now()))


@command("env", "rule", "remove", examples='calvinverse env rule remove demo "0 19 * * 1-5 Europe/Amsterdam"')
def remove_rule(session: Session, name: Name, rule: Rule, action: Action = Done.DESTROY) -> None:
    from environments.cli.environment_tables import timing_lines

    view = session.client.remove_rule(name, _request(rule, action))
    session.show(view, lambda: timing_lines(view, session.zone, session.now()))


def _request(rule: str, action: Done) -> "RuleRequest":
    from environments.domain.timing import TimedAction
    from environments.wire.timing import RuleRequest

    return RuleRequest(action=TimedAction(action.value), rule=rule)


@command(
    "env",
    "pin",
    examples="""
        calvinverse env pin demo --ttl 3d --reason "customer demonstration"
        calvinverse env pin demo --until 2026-12-01T18:00 --reason "audit" --past-maximum
    """,
)
def pin(
    session: Session,
    name: Name,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it has to stay.")],
    ttl: Annotated[str | None, typer.Option("--ttl", metavar="DURATION", help="How long from now: 8h, 3d.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="MOMENT", help="Until when: 2026-12-01T18:00, in your own zone.")
    ] = None,
    past_maximum: Annotated[
        bool, typer.Option("--past-maximum", help="Also beyond its maximum lifetime; admins only.")
    ] = False,
) -> None:
    from environments.cli.arguments import read_lifetime
    from environments.cli.environment_tables import deadline_line
    from environments.domain.errors import InvalidLifetime
    from environments.wire.timing import PinRequest

    if (ttl is None) == (until is None):
        raise InvalidLifetime(
            "Give exactly one of --ttl and --until.", hint="For example `calvinverse env pin NAME --ttl 3d --reason …`."
        )
    lifetime, moment = read_lifetime(ttl, until, session.zone)
    request = PinRequest(reason=reason, ttl=lifetime, until=moment, past_maximum=past_maximum)
    view = session.client.pin(name, request)
    session.show(view, lambda: [deadline_line(view, session.zone, session.now())])


@command("env", "unpin", examples="calvinverse env unpin demo")
def unpin(session: Session, name: Name) -> None:
    from environments.cli.environment_tables import deadline_line

    view = session.client.unpin(name)
    session.show(view, lambda: [deadline_line(view, session.zone, session.now())])
