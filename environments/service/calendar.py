"""Calendar rules: when environments are looked at. Cron expressions, read in a time zone, right across its changes.

In the hour that is repeated in autumn a rule fires once, in the one that is left out in spring at its end: cronsim, as
Debian's cron does it.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from environments.domain.template import Looks

_LONGEST = 200
"""Characters of a cron expression."""


def fault(looks: Looks) -> str | None:
    """What is wrong with a rule; None: nothing."""
    try:
        zone = ZoneInfo(looks.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"drift.zone: there is no time zone {looks.zone!r}"
    if looks.schedule is None:
        return None
    try:
        if len(looks.schedule) > _LONGEST:
            raise ValueError
        next(CronSim(looks.schedule, datetime.now(zone)))
    except (CronSimError, StopIteration, ValueError, OverflowError):
        told = looks.schedule[:_LONGEST]
        return f"drift.schedule: {told!r} is no cron expression whose moment comes, such as '0 4 * * *'"
    return None


def next_look(looks: Looks, after: datetime) -> datetime | None:
    """The first moment of the rule after another one (both UTC); None: there is no rule, or its moment doesn't come."""
    if looks.schedule is None:
        return None
    moment = next(CronSim(looks.schedule, after.astimezone(ZoneInfo(looks.zone))), None)
    return None if moment is None else moment.astimezone(UTC)
