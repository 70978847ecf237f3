"""Calendar rules: when environments are looked at. Cron expressions, read in a time zone, right across its changes.

In the hour that is repeated in autumn a rule fires once, in the one that is left out in spring at its end: cronsim, as
Debian's cron does it.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from environments.domain.template import Looks


def fault(looks: Looks) -> str | None:
    """What is wrong with a rule; None: nothing."""
    try:
        zone = ZoneInfo(looks.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"drift.zone: there is no time zone {looks.zone!r}"
    if looks.schedule is None:
        return None
    try:
        next(CronSim(looks.schedule, datetime.now(zone)))
    except (CronSimError, StopIteration):
        return f"drift.schedule: {looks.schedule!r} is no cron expression whose moment comes, such as '0 4 * * *'"
    return None


def next_look(looks: Looks, after: datetime) -> datetime | None:
    """The first moment of the rule after another one (both UTC); None: there is no rule."""
    if looks.schedule is None:
        return None
    return next(CronSim(looks.schedule, after.astimezone(ZoneInfo(looks.zone)))).astimezone(UTC)
