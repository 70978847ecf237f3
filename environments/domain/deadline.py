"""When an environment's time is over: durations, moments, limits, warnings and back-off. No clock in here."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from environments.domain.errors import InvalidLifetime

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:[0-9]{1,12}[wdhms]){1,20}")
_PART = re.compile(r"([0-9]+)([wdhms])")
LONGEST = timedelta(days=3660)


def parse_duration(text: str) -> timedelta:
    """`90s`, `2h`, `1d12h` as a duration above zero. Raises `InvalidLifetime`."""
    cleaned = text.strip().lower()
    if not _DURATION.fullmatch(cleaned):
        raise InvalidLifetime(f"{text[:60]!r} is not a duration.")
    seconds = sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(cleaned))
    if seconds <= 0 or seconds > LONGEST.total_seconds():
        raise InvalidLifetime(f"The duration {text!r} must lie between 1s and {format_duration(LONGEST)}.")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """The two largest units of a duration: `2d3h`, `1h30m`, `45s`; `0s` and below as `0s`."""
    left = int(duration.total_seconds())
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(max(left, 0), size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"


def parse_moment(text: str, zone: tzinfo) -> datetime:
    """An ISO 8601 moment in UTC; one without an offset is read in `zone`.

    Raises `InvalidLifetime` for text that is no moment, and for a wall-clock time that `zone` skips in spring.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidLifetime(f"{text[:60]!r} is not a moment.") from error
    try:
        utc = moment.replace(tzinfo=moment.tzinfo or zone).astimezone(UTC)
        read_back = moment if moment.tzinfo else utc.astimezone(zone).replace(tzinfo=None)
    except OverflowError as error:
        raise InvalidLifetime(f"{text[:60]!r} is not within the years 1 to 9999 in UTC.") from error
    if read_back != moment:
        named = getattr(zone, "key", None) or utc.astimezone(zone).tzname()
        raise InvalidLifetime(
            f"{text} does not exist in {named}: the clock is put forward then.",
            hint="Choose a moment an hour later.",
        )
    return utc


def parse_lifetime(text: str, zone: tzinfo) -> tuple[str | None, datetime | None]:
    """A duration as it was typed, or a moment in UTC; both None for nothing. Raises `InvalidLifetime`."""
    typed = text.strip()
    if not typed:
        return None, None
    if any(character in typed for character in "-:T") and typed[:4].isdigit():
        return None, parse_moment(typed, zone)
    try:
        parse_duration(typed)
    except InvalidLifetime as error:
        raise InvalidLifetime(
            error.message, hint="Give a duration such as 90m, 8h or 3d, or a moment such as 2026-12-01T18:00."
        ) from error
    return typed, None


def later(moment: datetime, by: timedelta) -> datetime:
    """The moment so much later. Raises `InvalidLifetime` where no calendar of ours goes."""
    try:
        return moment + by
    except OverflowError as error:
        raise InvalidLifetime(
            f"{format_duration(by)} after {moment:%Y-%m-%d} is later than the year 9999.",
            hint=f"Choose a moment that is at most {LONGEST.days} days from now.",
        ) from error


def first_deadline(
    now: datetime,
    *,
    default: timedelta | None,
    maximum: timedelta | None,
    ttl: timedelta | None = None,
    until: datetime | None = None,
) -> datetime | None:
    """When destroying of a new environment begins (UTC); None where neither template nor request sets one.

    `maximum` counts from creation. Raises `InvalidLifetime`.
    """
    if ttl is not None and until is not None:
        raise InvalidLifetime("Give either a lifetime or a moment, not both.", hint="Leave one of the two out.")
    if until is not None:
        deadline: datetime | None = until
    elif ttl is not None:
        deadline = later(now, ttl)
    elif default is not None:
        deadline = later(now, default)
    else:
        deadline = later(now, maximum) if maximum is not None else None
    return None if deadline is None else check_deadline(deadline, now=now, created=now, maximum=maximum)


def check_deadline(deadline: datetime, *, now: datetime, created: datetime, maximum: timedelta | None) -> datetime:
    """The deadline itself. Raises `InvalidLifetime` when it has passed or is later than `maximum` after creation.

    None is later than `LONGEST` from `now`.
    """
    if deadline <= now:
        raise InvalidLifetime(
            f"{deadline.year:04}-{deadline:%m-%d %H:%M:%S %Z} has passed already.", hint="Give a later moment."
        )
    if deadline - now > LONGEST:
        raise InvalidLifetime(
            f"{deadline:%Y-%m-%d} is more than {LONGEST.days} days from now.",
            hint=f"Choose a moment that is at most {LONGEST.days} days from now.",
        )
    if maximum is not None and deadline > created + maximum:
        raise InvalidLifetime(
            f"{deadline:%Y-%m-%d %H:%M %Z} is later than this template allows: "
            f"at most {format_duration(maximum)} after creation, {created + maximum:%Y-%m-%d %H:%M %Z}.",
            hint=f"Give {format_duration(maximum)} or less, counted from creation.",
            details={"latest": (created + maximum).isoformat()},
        )
    return deadline


LONGEST_NOTICE = timedelta(hours=1)
"""Nobody is warned earlier than this before a deadline, unless the template says so."""


def warn_at(created: datetime, deadline: datetime) -> datetime:
    """When the owner is warned by default: a tenth of the lifetime before the deadline, at most an hour before it."""
    return deadline - max(min(LONGEST_NOTICE, (deadline - created) / 10), timedelta(0))


def warnings_before(deadline: datetime, created: datetime, notices: Sequence[timedelta] | None) -> list[datetime]:
    """When the owner is warned of a deadline, in order: each of `notices` before it; None: by default."""
    if notices is None:
        return [warn_at(created, deadline)]
    return sorted({deadline - notice for notice in notices})


def next_warning(
    deadline: datetime, created: datetime, notices: Sequence[timedelta] | None, *, since: datetime
) -> datetime | None:
    """When the owner is warned first of a deadline that was set at `since`; None: never.

    A notice that is longer than the time that is left is dropped. If none fits, the owner is warned by default, as if
    the environment had been created at `since`: nobody is warned at once of a lifetime that they have just chosen.
    """
    if notices is not None and not notices:
        return None
    later = (moment for moment in warnings_before(deadline, created, notices) if moment > since)
    return next(later, warn_at(since, deadline))


def send_again_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts to deliver a warning: 10 s, doubled each time, at most 5 minutes."""
    return timedelta(seconds=min(300, 10 * 2 ** min(max(attempts, 1) - 1, 10)))


_PAUSE = timedelta(minutes=5)
_SHORTEST_PAUSE = timedelta(minutes=1)


def pause_between(grace: timedelta) -> timedelta:
    """How much later than a warning of an earlier deadline the next one is delivered at the earliest.

    Nobody makes a flood of warnings by moving a deadline again and again. The pause is half of the grace at most: so a
    warning that waits for it is tried before the grace is over, unless the grace is shorter than the shortest pause.
    """
    return max(min(_PAUSE, grace / 2), _SHORTEST_PAUSE)


def destroy_again_after(attempts: int) -> timedelta:
    """How long to wait before the next attempt to destroy: 10 s, then 1 minute, doubled with each failure, 30 at most.

    The first pause is short, for what passes by itself has passed by then; what doesn't needs a person, and asking a
    part that refuses ever again does no good.
    """
    if attempts <= 1:
        return timedelta(seconds=10)
    return timedelta(minutes=min(30, 2 ** min(attempts - 2, 5)))


def switch_again_after(attempts: int) -> timedelta:
    """How long to wait before the next attempt to stop or to start, after so many failures: as for a destroy."""
    return destroy_again_after(attempts)


def observe_again_after(since: timedelta) -> timedelta:
    """How long to wait before the next observation of what was abandoned `since` ago: from 10 minutes to a day."""
    return min(max(since, timedelta(minutes=10)), timedelta(days=1))


def wanted_end(ttl: str | None, until: datetime | None, now: datetime) -> datetime | None:
    """When something ends that lasts for `ttl` from now, or until a moment; None: it has no end. `InvalidLifetime`."""
    if ttl is not None and until is not None:
        raise InvalidLifetime("Give either for how long, or until when.", hint="Leave one of the two out.")
    if ttl is not None:
        return later(now, parse_duration(ttl))
    if until is not None and until <= now:
        raise InvalidLifetime(f"{until:%Y-%m-%d %H:%M} UTC is over already.", hint="Give a moment in the future.")
    return until
