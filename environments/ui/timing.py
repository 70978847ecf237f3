"""Rules for many environments: policies, and calendars of holidays."""

from datetime import date

from starlette.responses import Response

from environments.domain.errors import InvalidInput, NotFound
from environments.domain.timing import Holiday, Scope, TimedAction
from environments.timing_words import effect
from environments.ui import rooms
from environments.ui.asking import Ask, Field, pages_of
from environments.ui.listing import Button, Column, Facts, Link, Section, Table, place, table, to_environment, told
from environments.ui.rule_moments import checked, lines_of
from environments.ui.visit import Visit
from environments.wire.timing import (
    CalendarRequest,
    CalendarView,
    EffectView,
    MoveView,
    PolicyRequest,
    PolicyView,
    RuleRequest,
)

_POLICIES: tuple[Column[PolicyView], ...] = (
    Column("For", lambda one: Link(f"{one.scope.value} {one.name}", place("policies", one.scope.value, one.name))),
    Column("Rules", lambda one: "; ".join(f"{rule.action.value} {rule.rule}" for rule in one.rules)),
    Column("Longest lifetime", lambda one: None if one.maximum is None else str(one.maximum)),
    Column("Set by", lambda one: one.set_by),
    Column("Set", lambda one: one.set_at),
)
_CALENDARS: tuple[Column[CalendarView], ...] = (
    Column("Name", lambda one: Link(one.name, place("calendars", one.name))),
    Column("Days", lambda one: len(one.days)),
    Column("Set by", lambda one: one.set_by),
    Column("Set", lambda one: one.set_at),
)
_MOVES: tuple[Column[MoveView], ...] = (
    Column("Environment", lambda one: to_environment(one.environment)),
    Column("Owner", lambda one: one.owner),
    Column("Before", lambda one: one.before),
    Column("Destroyed from now on", lambda one: one.deadline),
)


def policies(visit: Visit) -> Response:
    """All that one may see."""
    return told(
        visit,
        "Policies",
        [table(_POLICIES, visit.client.policies(), "There are no policies.")],
        intro="A policy holds for all environments of an owner, or for all that are made from a template.",
        beside=rooms.SERVICE,
        buttons=[Button("Set a policy", "/policies/set")],
    )


def policy(visit: Visit) -> Response:
    """One policy."""
    one = _policy(visit)
    path = place("policies", one.scope.value, one.name)
    rules: list[list[str]] = [[rule.action.value, rule.rule, rule.by] for rule in one.rules]
    return told(
        visit,
        f"Policy for the {one.scope.value} {one.name}",
        [
            Facts([("Longest lifetime", None if one.maximum is None else str(one.maximum)), ("Set by", one.set_by)]),
            Table(["Does", "When", "Set by"], rules, "It has no rules.", "Rules"),
        ],
        up=Link("Policies", "/policies"),
        buttons=[
            Button("Change", visit.link("/policies/set", scope=one.scope.value, name=one.name)),
            Button("Remove", f"{path}/remove", danger=True),
        ],
    )


def _policy(visit: Visit) -> PolicyView:
    scope, name = visit.params["scope"], visit.params["name"]
    for one in visit.client.policies():
        if (one.scope.value, one.name) == (scope, name):
            return one
    raise NotFound(f"There is no policy for the {scope} {name}.", hint="See the list of policies.")


def _setting(visit: Visit) -> Ask:
    scope, name = visit.asked("scope", "owner"), visit.asked("name")
    known = next((one for one in visit.client.policies() if (one.scope.value, one.name) == (scope, name)), None)
    rules = "" if known is None else "\n".join(f"{rule.action.value} {rule.rule}" for rule in known.rules)
    return Ask(
        "policy.set",
        "Set a policy",
        ["The deadlines of all environments that it is for are computed again. It replaces the one before."],
        "/policies",
        [
            Field(
                "scope",
                "For all of",
                "choice",
                scope,
                options=[(one.value, f"an {one.value}" if one is Scope.OWNER else f"a {one.value}") for one in Scope],
            ),
            Field("name", "Name", value=name, help="Of the owner, or of the template.", required=True),
            Field(
                "rules",
                "Rules",
                "lines",
                rules,
                "One in each line: destroy, stop or start, then five fields and "
                "a zone, such as `stop 0 19 * * 1-5 Europe/Amsterdam`.",
                rules=checked(visit, lines_of(visit.typed("rules") if visit.method != "GET" else rules)),
            ),
            Field("maximum", "Longest lifetime", help="From creation; a duration such as 14d. Empty: none."),
            Field("dry", "Only show what it would move", "check"),
        ],
        "Set it",
        look="Show the next moments",
    )


def _set(visit: Visit) -> Response | str:
    rules = tuple(_rule(line) for line in visit.typed("rules").splitlines() if line.strip())
    asked = PolicyRequest(rules=rules, maximum=visit.typed("maximum").strip() or None)
    dry = visit.typed("dry") == "yes"
    scope, name = visit.chosen("scope", Scope), visit.typed("name").strip()
    found = visit.client.set_policy(scope, name, asked, dry_run=dry)
    return _effect(visit, "What the policy moves", found, "/policies")


def _rule(line: str) -> RuleRequest:
    action, _, rule = line.strip().partition(" ")
    if action not in {one.value for one in TimedAction}:
        raise InvalidInput(f"{line.strip()!r} doesn't begin with destroy, stop or start.", hint="Write it in front.")
    return RuleRequest(action=TimedAction(action), rule=rule.strip())


def _removing(visit: Visit) -> Ask:
    one = _policy(visit)
    return Ask(
        "policy.remove",
        f"Remove the policy for the {one.scope.value} {one.name}",
        ["The deadlines of all environments that it is for are computed again."],
        "/policies",
        [Field("dry", "Only show what that would move", "check")],
        "Remove it",
        danger=True,
    )


def _remove(visit: Visit) -> Response:
    scope, dry = Scope(visit.params["scope"]), visit.typed("dry") == "yes"
    found = visit.client.remove_policy(scope, visit.params["name"], dry_run=dry)
    return _effect(visit, "What that moves", found, "/policies")


def _effect(visit: Visit, title: str, found: EffectView, back: str) -> Response:
    """What an edit has moved, or would move."""
    said = effect(found.applied, found.moved, "deadline", found.concerned, found.computed)
    sections: list[Section] = [Facts([("Effect", said)]), table(_MOVES, found.moves, "No deadline moves.")]
    return told(visit, title, sections, up=Link("Back", back))


def calendars(visit: Visit) -> Response:
    """All of them."""
    return told(
        visit,
        "Calendars of holidays",
        [table(_CALENDARS, visit.client.calendars(), "There are no calendars.")],
        intro="A rule with `except NAME` leaves out the days of that calendar.",
        beside=rooms.SERVICE,
        buttons=[Button("Set a calendar", "/calendars/set")],
    )


def calendar(visit: Visit) -> Response:
    """One with its days."""
    one = visit.client.calendar(visit.params["name"])
    return told(
        visit,
        one.name,
        [Table(["Day", "Holiday"], [[day.day.isoformat(), day.title] for day in one.days], "It has no days.")],
        up=Link("Calendars of holidays", "/calendars"),
        buttons=[
            Button("Change", visit.link("/calendars/set", name=one.name)),
            Button("Remove", place("calendars", one.name, "remove"), danger=True),
        ],
    )


def _setting_calendar(visit: Visit) -> Ask:
    name = visit.asked("name")
    known = next((one for one in visit.client.calendars() if one.name == name), None)
    days = "" if known is None else "\n".join(f"{day.day.isoformat()} {day.title}".rstrip() for day in known.days)
    return Ask(
        "calendar.set",
        "Set a calendar",
        ["Deadlines by rules that leave out its days are computed again. It replaces the one before."],
        "/calendars",
        [
            Field("name", "Name", value=name, required=True),
            Field("days", "Days", "lines", days, "One in each line, such as `2026-12-25 Christmas`.", required=True),
            Field("dry", "Only show what it would move", "check"),
        ],
        "Set it",
    )


def _set_calendar(visit: Visit) -> Response:
    days = tuple(_day(line) for line in visit.typed("days").splitlines() if line.strip())
    name, dry = visit.typed("name").strip(), visit.typed("dry") == "yes"
    found = visit.client.set_calendar(name, CalendarRequest(days=days), dry_run=dry)
    return _effect(visit, "What the calendar moves", found, "/calendars")


def _day(line: str) -> Holiday:
    text, _, title = line.strip().partition(" ")
    try:
        return Holiday(day=date.fromisoformat(text), title=title.strip())
    except ValueError:
        raise InvalidInput(f"{text!r} is no day.", hint="Write it as 2026-12-25.") from None


def _removing_calendar(visit: Visit) -> Ask:
    name = visit.client.calendar(visit.params["name"]).name
    says = ["Rules that leave out its days must be changed before."]
    return Ask("calendar.remove", f"Remove {name}", says, "/calendars", danger=True)


def _remove_calendar(visit: Visit) -> None:
    visit.client.remove_calendar(visit.params["name"])


PAGES = (
    ("GET", "/policies", policies),
    *pages_of("/policies/set", _setting, _set),
    ("GET", "/policies/{scope}/{name}", policy),
    *pages_of("/policies/{scope}/{name}/remove", _removing, _remove),
    ("GET", "/calendars", calendars),
    *pages_of("/calendars/set", _setting_calendar, _set_calendar),
    ("GET", "/calendars/{name}", calendar),
    *pages_of("/calendars/{name}/remove", _removing_calendar, _remove_calendar),
)
