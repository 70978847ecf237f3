"""Holiday calendars: days that rules can leave out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from environments.domain.calendar_rule import CALENDAR_NAME, CalendarRule, parse_rule
from environments.domain.errors import CalvinverseError, InvalidInput, InvalidName, NotAllowedNow, NotFound
from environments.domain.suggesting import MOST_SUGGESTED_FROM, told
from environments.domain.template_parts import Template
from environments.domain.timing import (
    LONGEST_TITLE,
    MOST_DAYS,
    Holiday,
    HolidayCalendar,
    OwnRule,
    TimedAction,
)
from environments.service.audit_values import differing
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.cron import moments
from environments.service.deadlines import check_calendars, new_rule
from environments.service.pages import Page
from environments.service.policies import MOST_SHOWN
from environments.service.retiming import Preview, Retiming, preview
from environments.service.storage.transaction import Storage, Transaction
from environments.service.time_edits import check_action
from environments.service.timing_facts import Change, Facts

MOST_CALENDARS = 1000

MOMENTS_SHOWN = 5
"""How many moments of a rule are computed that isn't set yet."""

_MOST_NAMED = 5
"""Users of a calendar that a refusal names."""


@dataclass(frozen=True)
class CalendarChange:
    """A calendar and what it moves; `applied` False: it was only previewed."""

    calendar: HolidayCalendar
    preview: Preview
    applied: bool


@dataclass(frozen=True)
class CheckedRule:
    """A rule as it is read, and its next moments (UTC) if it were set now. With a `problem` it can't be set."""

    rule: str
    moments: Sequence[datetime] = ()
    problem: CalvinverseError | None = None


class Calendars:
    """Sets, removes and lists holiday calendars."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], retiming: Retiming) -> None:
        self._storage = storage
        self._clock = clock
        self._retiming = retiming

    def calendars(self, *, after: str = "", limit: int | None = None) -> Page[HolidayCalendar]:
        """By name, behind the one named `after`."""
        with self._storage.read() as tx:
            return tx.calendars.all(after=after, limit=limit)

    def calendar(self, name: str) -> HolidayCalendar:
        """One calendar. Raises `NotFound`."""
        with self._storage.read() as tx:
            return _found(tx, name)

    def check_rules(self, rules: Iterable[tuple[TimedAction, str]]) -> list[CheckedRule]:
        """What becomes of rules, by the code that decides about those that are set. Stores nothing."""
        now = self._clock()
        with self._storage.read() as tx:
            facts = Facts(tx)
            known: dict[tuple[TimedAction, str], CheckedRule] = {}
            for action, text in (rules := list(rules)):
                if (action, text) not in known:
                    known[action, text] = _checked(facts, action, text, now)
        return [known[rule] for rule in rules]

    def set(self, principal: Principal, name: str, days: Sequence[Holiday], *, dry_run: bool = False) -> CalendarChange:
        """Sets a calendar in place of one with that name; with `dry_run` it only computes what that moves.

        Raises `Forbidden`, `InvalidName`, and `InvalidInput` for no days or too many, or too long a title.
        """
        check_service(principal, Action.CALENDAR_SET)
        if not CALENDAR_NAME.fullmatch(name):
            raise InvalidName(
                f"{name[:60]!r} can't be the name of a holiday calendar.",
                hint="Use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends.",
            )
        if not 0 < len(days) <= MOST_DAYS:
            raise InvalidInput(f"A calendar has 1 to {MOST_DAYS} days; this one has {len(days)}.")
        long = next((holiday for holiday in days if len(holiday.title) > LONGEST_TITLE), None)
        if long is not None:
            raise InvalidInput(f"The title of {long.day} has more than {LONGEST_TITLE} characters.")
        now = self._clock()
        merged = {holiday.day: holiday for holiday in sorted(days, key=lambda holiday: (holiday.day, holiday.title))}
        calendar = HolidayCalendar(name=name, days=tuple(merged.values()), set_by=principal.owner, set_at=now)
        with self._storage.read() if dry_run else self._storage.write() as tx:
            if not dry_run:
                may(tx, principal, Action.CALENDAR_SET)
                tx.policies.alone()
            before = tx.calendars.get(name)
            if before is None and len(tx.calendars.names(MOST_CALENDARS)) == MOST_CALENDARS:
                raise InvalidInput(f"There are {MOST_CALENDARS} calendars already.", hint="Remove one first.")
            found = preview(tx, Change(calendar=calendar), now, MOST_SHOWN)
            if not dry_run:
                tx.calendars.put(calendar)
                _tell(tx, name, before, calendar)
                verb = "set" if before is None else "changed"
                tx.environments.mark_to_retime(f"{principal.owner} {verb} the holiday calendar {name}")
                self._retiming.page(tx)
        return CalendarChange(calendar, found, applied=not dry_run)

    def remove(self, principal: Principal, name: str) -> HolidayCalendar:
        """Removes a calendar that nothing refers to. Raises `Forbidden`, `NotFound`, `NotAllowedNow`."""
        with self._storage.write() as tx:
            may(tx, principal, Action.CALENDAR_SET)
            tx.policies.alone()
            calendar = _found(tx, name)
            users = sorted(set(_users(tx, name)))
            if users:
                more = f" and {len(users) - _MOST_NAMED} more" if len(users) > _MOST_NAMED else ""
                raise NotAllowedNow(
                    f"Rules refer to the holiday calendar {name!r}: {', '.join(users[:_MOST_NAMED])}{more}.",
                    hint="Change these rules first.",
                    details={"users": users[:100]},
                )
            tx.calendars.remove(name)
            _tell(tx, name, calendar, None)
        return calendar


def _checked(facts: Facts, action: TimedAction, text: str, now: datetime) -> CheckedRule:
    try:
        check_action(action)
        rule = new_rule(action, text, now, "")
        check_calendars(facts.tx, (rule,))
    except CalvinverseError as error:
        return CheckedRule(text, problem=error)
    read = parse_rule(rule.rule)
    return CheckedRule(rule.rule, tuple(islice(moments(read, now, facts.holidays(read.without)), MOMENTS_SHOWN)))


def _tell(tx: Transaction, name: str, before: HolidayCalendar | None, after: HolidayCalendar | None) -> None:
    """Tells the audit log which days came and went."""
    old, new = ({day.day.isoformat(): day.title for day in one.days} if one else None for one in (before, after))
    gone, come = differing(old, new)
    tx.audit.changed(
        before=gone and {"days": gone}, after=come and {"days": come}, object_kind="calendar", object_name=name
    )


def _found(tx: Transaction, name: str) -> HolidayCalendar:
    calendar = tx.calendars.get(name)
    if calendar is None:
        known = tx.calendars.names(MOST_SUGGESTED_FROM)
        raise NotFound(
            told(f"There is no holiday calendar {name!r}.", name, known),
            hint="See the calendars with `calvinverse calendar list`.",
        )
    return calendar


def _users(tx: Transaction, name: str) -> Iterator[str]:
    """What has rules that refer to the calendar: policies, environments, and templates that are used or the newest."""
    for policy in tx.policies.all():
        if _names(policy.rules, name):
            yield f"policy for {policy.scope.value} {policy.name}"
    facts, after = Facts(tx), ""
    while found := tx.environments.living(after=after, limit=500):
        for environment in found:
            template = facts.template(environment)
            if _names(environment.rules, name):
                yield f"environment {environment.name}"
            if template is not None and _names(_rules(template), name):
                yield f"template {environment.template}"
        after = found[-1].id
    for push in tx.templates.newest():
        bundle = tx.templates.bundle(push.digest)
        if bundle is not None and _names(_rules(bundle.template()), name):
            yield f"template {push.name}"


def _rules(template: Template) -> Sequence[CalendarRule]:
    return [rule for _, _, rule in template.lifetime.rules()]


def _names(rules: Iterable[OwnRule | CalendarRule], name: str) -> bool:
    parsed = (parse_rule(rule.rule) if isinstance(rule, OwnRule) else rule for rule in rules)
    return any(name in rule.without for rule in parsed)
