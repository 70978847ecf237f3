"""When rules of the calendar will fire that somebody is typing, by the service's own reckoning."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from starlette.responses import Response

from environments.domain.errors import CalvinverseError, Unauthenticated
from environments.domain.template_parts import MOST_RULES
from environments.domain.timing import TimedAction
from environments.ui.answers import fragment
from environments.ui.visit import Visit
from environments.wire.timing import RuleCheckView, RuleRequest

PATH = "/rules/check"
"""Answers the part of a page that says it, for a script; the field `rule` is one, `rules` has one in each line."""


@dataclass(frozen=True)
class Typed:
    """A line that somebody typed as a rule; `does` is what it begins with where lines say it themselves."""

    does: str
    rule: str


def checked(visit: Visit, typed: Iterable[Typed]) -> Sequence[RuleCheckView]:
    """The first of them, each with its moments or with what is wrong; none while the service can't say it."""
    lines = list(typed)[:MOST_RULES]
    requests = [_request(line) for line in lines]
    fit = [request for request in requests if request is not None]
    try:
        found = iter(visit.client.check_rules(*fit) if fit else ())
    except Unauthenticated:
        raise
    except CalvinverseError:  # whatever it is, sending the form will say it
        return ()
    return [_unfit(line) if request is None else next(found) for line, request in zip(lines, requests, strict=True)]


def typed_rules(does: str, text: str) -> list[Typed]:
    """The rules of a field with one in each line."""
    return [Typed(does, line.strip()) for line in text.splitlines() if line.strip()]


def lines_of(text: str) -> Iterator[Typed]:
    """The rules of a field whose lines begin with what they do."""
    for line in text.splitlines():
        if line.strip():
            does, _, rule = line.strip().partition(" ")
            yield Typed(does, rule.strip())


def check(visit: Visit) -> Response:
    """See `PATH`."""
    one = typed_rules(visit.typed("action", TimedAction.DESTROY), visit.typed("rule"))
    return fragment(visit, "rule_moments_part.html", checked=checked(visit, [*one, *lines_of(visit.typed("rules"))]))


def _request(line: Typed) -> RuleRequest | None:
    try:
        return RuleRequest(action=TimedAction(line.does), rule=line.rule)
    except (ValidationError, ValueError):
        return None


def _unfit(line: Typed) -> RuleCheckView:
    known = [one.value for one in TimedAction]
    wrong = "It is too long." if line.does in known else f"{line.does[:60]!r} is nothing that a rule does."
    hint = "" if line.does in known else "Write destroy, stop or start in front of the rule."
    return RuleCheckView(rule=line.rule[:60], problem=wrong, hint=hint)


PAGES = (("POST", PATH, check),)
