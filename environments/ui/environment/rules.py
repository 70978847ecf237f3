"""The rules of the calendar that apply to an environment: those of its own, of its template and of policies."""

from pydantic import ValidationError
from starlette.responses import Response

from environments.actions.registry import action
from environments.domain.calendar_rule import parse_rule
from environments.domain.errors import InvalidInput
from environments.domain.timing import Source, TimedAction
from environments.moments import zone_name
from environments.timing_words import WHAT
from environments.ui.asking import Ask, Field, pages_of
from environments.ui.environment.common import asks, buttons, found, meant, path_of, told, why_not
from environments.ui.environment.facts import deadline_facts
from environments.ui.environment.history import MOMENTS, coming
from environments.ui.listing import Cell, Code, Facts, Link, Table
from environments.ui.rule_moments import checked, typed_rules
from environments.ui.visit import Visit
from environments.wire.timing import RuleRequest, RuleView

_WHERE = {
    Source.ENVIRONMENT: "its own",
    Source.TEMPLATE: "template",
    Source.OWNER_POLICY: "policy",
    Source.TEMPLATE_POLICY: "policy",
}
RULED = (TimedAction.DESTROY, TimedAction.STOP, TimedAction.START)
"""What a rule of an environment may do."""

_ACTIONS = (
    "environment.add_rule",
    "environment.extend",
    "environment.schedule",
    "environment.pin",
    "environment.unpin",
)


def show(visit: Visit) -> Response:
    """The rules, the next moment first."""
    view = found(visit)
    rules = visit.client.rules(view.id)
    rules.sort(key=lambda rule: (rule.next_moment is None, rule.next_moment or rule.since, rule.rule))
    kept = why_not(action("environment.remove_rule"), view)

    def row(rule: RuleView) -> list[Cell]:
        way: Cell = None
        if rule.because.source is Source.ENVIRONMENT:
            path = path_of(visit, view, "rules/remove")
            way = kept or Link("Remove", visit.link(path, rule=rule.rule, action=rule.action.value))
        where = f"{_WHERE.get(rule.because.source, '')} {rule.because.place}".strip()
        return [Code(rule.rule), f"it {WHAT[rule.action]}", rule.next_moment or "never", where, rule.because.by, way]

    titles = ["Rule", "What", "Next moment", "Of", "Set by", "Remove"]
    none = f"No rule of the calendar applies to {view.name}."
    return told(
        visit,
        view,
        "rules",
        "Calendar",
        [
            Facts(list(deadline_facts(visit, view, None)), "Its deadline"),
            Table(titles, [row(rule) for rule in rules], none, "Rules"),
            *coming(visit, visit.client.explain(view.id, MOMENTS)),
        ],
        intro="A pin suspends all rules. Those of a template or a policy can't be removed here.",
        buttons=buttons(visit, view, *_ACTIONS),
    )


def _adding(visit: Visit) -> Ask:
    view = found(visit)
    zone = zone_name(visit.zone, visit.now)
    does = visit.typed("action") or visit.asked("action", TimedAction.DESTROY)
    return asks(
        visit,
        view,
        "environment.add_rule",
        f"Add a rule to {view.name}",
        [
            "Its moments count from now on, beside those of its template and of policies. The earliest one destroys "
            "it; its maximum holds. The page of the calendar then lists what comes next.",
        ],
        [
            Field(
                "action", "What happens", "choice", "destroy", options=[(one.value, f"it {WHAT[one]}") for one in RULED]
            ),
            Field(
                "rule",
                "Rule",
                help=f"Minute, hour, day of month, month, day of week, zone: 0 19 * * 1-5 {zone}. `except NAME` leaves "
                "out the days of a holiday calendar.",
                required=True,
                rules=checked(visit, typed_rules(does, visit.typed("rule") or visit.asked("rule"))),
            ),
        ],
        button="Add",
        back="rules",
        look="Show its next moments",
    )


def _request(visit: Visit) -> RuleRequest:
    try:
        chosen = TimedAction(visit.typed("action"))
        return RuleRequest(action=chosen, rule=visit.typed("rule").strip())
    except (ValidationError, ValueError) as error:
        raise InvalidInput("This is no rule.", hint="Write one such as 0 19 * * 1-5 Europe/Berlin.") from error


def _add(visit: Visit) -> None:
    view = meant(visit)
    request = _request(visit)
    parse_rule(request.rule)
    visit.client.add_rule(view.id, request)


def _removing(visit: Visit) -> Ask:
    view = found(visit)
    rule = visit.typed("rule") or visit.asked("rule")
    does = visit.typed("action") or visit.asked("action", "destroy")
    if does not in {one.value for one in TimedAction}:
        raise InvalidInput("No rule does that.", hint="Go to the rules of the environment.")
    what = WHAT[TimedAction(does)].removeprefix("is ")
    says = [
        f"{view.name} won't be {what} by the rule {rule!r} any more. Its other rules stay, and its deadline is "
        "computed again."
    ]
    fields = [Field("rule", kind="hidden", value=rule), Field("action", kind="hidden", value=does)]
    title = f"Remove a rule of {view.name}"
    return asks(visit, view, "environment.remove_rule", title, says, fields, button="Remove", back="rules")


def _remove(visit: Visit) -> None:
    view = meant(visit)
    visit.client.remove_rule(view.id, _request(visit))


PAGES = (
    ("GET", "/environments/{name}/rules", show),
    *pages_of("/environments/{name}/rules/add", _adding, _add),
    *pages_of("/environments/{name}/rules/remove", _removing, _remove),
)
