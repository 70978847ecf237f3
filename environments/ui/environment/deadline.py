"""Extend an environment, schedule its destruction, pin and unpin it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import ValidationError

from environments.domain.deadline import later, parse_duration, parse_lifetime, parse_moment
from environments.domain.errors import InvalidInput, InvalidLifetime
from environments.moments import in_zone, moment, zone_name
from environments.ui.asking import Ask, Field, pages_of
from environments.ui.environment.common import asks, found, meant, path_of
from environments.ui.listing import Cell, Facts
from environments.ui.visit import Visit
from environments.wire.environments import EnvironmentView, ExtendRequest
from environments.wire.timing import PinRequest

_LONGER = (("1h", "1 hour"), ("4h", "4 hours"), ("1d", "1 day"), ("3d", "3 days"), ("1w", "1 week"))


def _now(view: EnvironmentView) -> Facts:
    lines: list[tuple[str, Cell]] = [("Expires", view.deadline or "never"), ("Maximum", view.maximum_deadline)]
    if view.pin is not None:
        lines.append(("Pinned until", view.pin.end))
    return Facts(lines)


def _extending(visit: Visit) -> Ask:
    view = found(visit)
    begins = view.deadline or visit.now
    return asks(
        visit,
        view,
        "environment.extend",
        f"Extend {view.name}",
        [f"Its deadline moves from {moment(begins, visit.zone)} by as much as you say."],
        [
            # Sent as a moment: the result is what was shown, even if somebody else moves the deadline meanwhile.
            Field("begins", kind="hidden", value=begins.isoformat()),
            Field("by", "How much longer", "choice", "1h", options=_LONGER),
            Field("other", "Another duration", help="Such as 30m, 90m or 2d; it counts instead of the choice."),
        ],
        button="Extend",
        sections=[_now(view)],
    )


def _extend(visit: Visit) -> None:
    view = meant(visit)
    by = visit.typed("other").strip() or visit.typed("by")
    begins = parse_moment(visit.typed("begins"), visit.zone)
    visit.client.extend(view.id, ExtendRequest(until=later(begins, parse_duration(by))))


def _scheduling(visit: Visit) -> Ask:
    view = found(visit)
    zone = zone_name(visit.zone, visit.now)
    return asks(
        visit,
        view,
        "environment.schedule",
        f"Schedule the destruction of {view.name}",
        [
            "It will be destroyed then, with everything that belongs to it.",
            "A rule of the calendar can do it again and again, or stop and start it: see its page “Calendar”.",
        ],
        [
            Field("quick", "When", "choice", "", options=(("", "as typed below"), *_quick(visit))),
            Field(
                "when",
                "Another moment",
                help=f"After how long from now (2h, 3d), or when (2026-12-01T18:00, {zone}).",
            ),
        ],
        button="Schedule",
        sections=[_now(view)],
    )


def _quick(visit: Visit) -> Iterator[tuple[str, str]]:
    """Moments that people often mean, in the reader's zone."""
    local = in_zone(visit.now, visit.zone)

    def at(day: int, hour: int) -> datetime:
        return (local + timedelta(days=day)).replace(hour=hour, minute=0, second=0, microsecond=0)

    yield "1h", "in an hour"
    yield "4h", "in four hours"
    friday = (4 - local.weekday()) % 7
    for name, moment_ in (
        ("today at 18:00", at(0, 18)),
        ("tomorrow at 9:00", at(1, 9)),
        ("tomorrow at 18:00", at(1, 18)),
        ("on Friday at 18:00", at(friday, 18)),
    ):
        if moment_ > local:
            yield moment_.isoformat(), f"{name}, {moment(moment_, visit.zone)}"
    yield "1w", "in a week"


def _schedule(visit: Visit) -> None:
    view = meant(visit)
    ttl, until = _lifetime(visit, visit.typed("when").strip() or visit.typed("quick"), "when it is destroyed")
    visit.client.extend(view.id, ExtendRequest(until=until) if until is not None else ExtendRequest(ttl=ttl))


def _lifetime(visit: Visit, text: str, what: str) -> tuple[str | None, datetime | None]:
    """A duration or a moment. Raises `InvalidLifetime`."""
    ttl, until = parse_lifetime(text, visit.zone)
    if ttl is None and until is None:
        raise InvalidLifetime(f"Say {what}.", hint="Give a duration such as 8h, or a moment such as 2026-12-01T18:00.")
    return ttl, until


def _pinning(visit: Visit) -> Ask:
    view = found(visit)
    zone = zone_name(visit.zone, visit.now)
    says = ["Until then no rule and no lifetime ends it. A person can still destroy it."]
    if view.pin is not None and view.pin.end > visit.now:
        says.append(f"A new pin replaces the one of {view.pin.by}: {view.pin.reason}")
    fields = [
        Field(
            "when",
            "For how long, or until when",
            help=f"From now (2h, 3d), or a moment (2026-12-01T18:00, {zone}).",
            required=True,
        ),
        Field("reason", "Why it has to stay", required=True),
    ]
    if view.maximum_deadline is not None:
        past = f"Past its maximum, {moment(view.maximum_deadline, visit.zone)} (only admins may)"
        fields.append(Field("past", past, "check"))
    return asks(visit, view, "environment.pin", f"Pin {view.name}", says, fields, button="Pin", sections=[_now(view)])


def _pin(visit: Visit) -> None:
    view = meant(visit)
    ttl, until = _lifetime(visit, visit.typed("when"), "how long it stays")
    try:
        request = PinRequest(
            reason=visit.typed("reason").strip(), ttl=ttl, until=until, past_maximum=visit.typed("past") == "yes"
        )
    except ValidationError as error:
        raise InvalidInput("The reason is too long.", hint="Give 1,000 characters at most.") from error
    visit.client.pin(view.id, request)


def _unpinning(visit: Visit) -> Ask:
    view = found(visit)
    says = ["Its rules and its lifetime count again. What would end it at once ends it an hour later."]
    return asks(
        visit, view, "environment.unpin", f"Unpin {view.name}", says, button="End the pin", sections=[_now(view)]
    )


def _unpin(visit: Visit) -> str:
    view = meant(visit)
    visit.client.unpin(view.id)
    return path_of(visit, view)


PAGES = (
    *pages_of("/environments/{name}/extend", _extending, _extend),
    *pages_of("/environments/{name}/schedule", _scheduling, _schedule),
    *pages_of("/environments/{name}/pin", _pinning, _pin),
    *pages_of("/environments/{name}/unpin", _unpinning, _unpin),
)
