"""Until when an environment is wanted, by what people said of it, of its owner and of its template.

Imports nothing of the product. Rules are moments here, or `evening`: 19:00 UTC on each day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Rule:
    """Who it applies to (an owner or a template), when it ends what it applies to, and since when it was said."""

    name: str
    at: datetime
    since: datetime


@dataclass(frozen=True)
class Wish:
    """What was said of one environment: its lifetime (`chosen`), since when rules count, and the end of its pin."""

    owner: str
    template: str
    chosen: datetime
    counts_from: datetime
    evening: bool = False
    pinned_until: datetime | None = None

    def until(self, rules: Iterable[Rule]) -> datetime:
        """The earliest of all that end it; a pin leaves out rules, and delays the rest until it ends."""
        begin = max(self.counts_from, self.pinned_until or self.counts_from)
        found = [self.chosen]
        found += [
            rule.at for rule in rules if rule.name in (self.owner, self.template) and rule.at > max(begin, rule.since)
        ]
        if self.evening:
            evening = begin.replace(hour=19, minute=0, second=0, microsecond=0)
            found.append(evening if evening > begin else evening + timedelta(days=1))
        return max(min(found), self.pinned_until or min(found))
