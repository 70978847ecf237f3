"""Rules of templates that name holiday calendars which aren't there."""

from collections.abc import Iterator

from environments.domain.errors import InvalidTemplate
from environments.domain.faults import Fault
from environments.domain.template import Bundle
from environments.domain.template_parts import Lifetime
from environments.service.storage.transaction import Transaction


def unknown_calendars(tx: Transaction, bundle: Bundle) -> list[Fault]:
    """A fault for each; none for a template that can't be read, whose faults others name."""
    try:
        lifetime = bundle.template().lifetime
    except InvalidTemplate:
        return []
    return list(_faults(tx, lifetime))


def _faults(tx: Transaction, lifetime: Lifetime) -> Iterator[Fault]:
    for action, number, rule in lifetime.rules():
        for name in rule.without:
            if tx.calendars.get(name) is None:
                yield Fault(
                    path=("lifetime", action.value, number),
                    message=f"lifetime.{action.value}: there is no holiday calendar {name!r}; "
                    "`calvinverse calendar set` makes one",
                )
