"""What decides about time beside an environment's own record, each read once in a transaction."""

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from environments.domain.environment import Environment
from environments.domain.errors import InvalidTemplate
from environments.domain.names import META
from environments.domain.template_parts import Template
from environments.domain.timing import HolidayCalendar, Policy, Scope
from environments.service.cron import Holidays
from environments.service.storage.transaction import Transaction

Templates = MutableMapping[str, Template | None]
"""Templates by the digest of their bundle; None: it is gone, or can't be read."""


@dataclass(frozen=True)
class Change:
    """What differs from what is stored: a policy (`policy` None: it is gone), or a holiday calendar."""

    scope: Scope | None = None
    name: str = ""
    policy: Policy | None = None
    calendar: HolidayCalendar | None = None


@dataclass
class Facts:
    """Policies, holiday calendars and templates. `change`: as if it had been stored."""

    tx: Transaction
    templates: Templates = field(default_factory=dict)
    change: Change = Change()
    _policies: dict[tuple[str, str], Sequence[Policy]] = field(default_factory=dict)
    _days: dict[str, frozenset[date]] = field(default_factory=dict)

    def policies(self, environment: Environment) -> Sequence[Policy]:
        """Those that apply to the environment. None applies to `meta`, which only an operator removes."""
        if environment.template == META or environment.managed_by is not None:
            return ()
        key = environment.owner, environment.template
        if key not in self._policies:
            self._policies[key] = self._changed(self.tx.policies.of(*key), *key)
        return self._policies[key]

    def holidays(self, names: Iterable[str]) -> Holidays:
        """The days of these calendars; none of one that isn't there."""
        for name in names:
            if name not in self._days:
                changed = self.change.calendar
                found = changed if changed is not None and changed.name == name else self.tx.calendars.get(name)
                self._days[name] = frozenset(holiday.day for holiday in found.days) if found else frozenset()
        return self._days

    def template(self, environment: Environment) -> Template | None:
        """See `read_template`."""
        if environment.bundle not in self.templates:
            self.templates[environment.bundle] = read_template(self.tx, environment)
        return self.templates[environment.bundle]

    def _changed(self, found: Sequence[Policy], owner: str, template: str) -> Sequence[Policy]:
        change = self.change
        if change.scope is None or change.name != {Scope.OWNER: owner, Scope.TEMPLATE: template}[change.scope]:
            return found
        others = [policy for policy in found if policy.scope is not change.scope]
        return [*others, *([change.policy] if change.policy is not None else [])]


def read_template(tx: Transaction, environment: Environment) -> Template | None:
    """The template of the environment's version; None if it is gone, or this version of the service can't read it."""
    return template_of_version(tx, environment.bundle)


def template_of_version(tx: Transaction, digest: str) -> Template | None:
    """Likewise of the version with that digest."""
    bundle = tx.templates.bundle(digest)
    try:
        return None if bundle is None else bundle.template()
    except InvalidTemplate:
        return None
