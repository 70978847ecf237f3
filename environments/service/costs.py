"""What environments have cost until now: see `environments.domain.cost`."""

from datetime import datetime

from environments.domain.cost import cost, periods
from environments.service.storage.transaction import Transaction
from environments.service.timing_facts import template_of_version

_MOST_PRICES = 10_000
"""Prices that are kept in memory."""


class Costs:
    """Reads the price of each version once, as it never changes. Threads may share one."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}

    def amount(self, tx: Transaction, environment_id: str, until: datetime) -> float | None:
        """What an environment has cost until then, or None if no version that it has had has a price."""
        spans = tx.deployments.spans(environment_id)
        prices = {digest: self._price(tx, digest) for digest in {span.bundle for span in spans}}
        return cost(periods(spans, until), prices) if any(prices.values()) else None

    def _price(self, tx: Transaction, digest: str) -> float:
        price = self._known.get(digest)
        if price is None:
            template = template_of_version(tx, digest)
            price = 0.0 if template is None else template.price
            if len(self._known) >= _MOST_PRICES:
                self._known.clear()
            self._known[digest] = price
        return price
