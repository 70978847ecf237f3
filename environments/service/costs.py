"""What environments have cost until now: see `environments.domain.cost`."""

from datetime import datetime

from environments.domain.cost import cost, periods
from environments.service.storage.transaction import Transaction
from environments.service.timing_facts import template_of_version


class Costs:
    """Reads each version's price once: it never changes."""

    def __init__(self) -> None:
        self._prices: dict[str, float] = {}

    def amount(self, tx: Transaction, environment_id: str, until: datetime) -> float | None:
        """What an environment has cost until then, or None if no version that it has had has a price."""
        spans = tx.deployments.spans(environment_id)
        versions = {span.bundle for span in spans}
        for digest in versions - self._prices.keys():
            self._prices[digest] = _price(tx, digest)
        if not any(self._prices[digest] for digest in versions):
            return None
        return cost(periods(spans, until), self._prices)


def _price(tx: Transaction, digest: str) -> float:
    template = template_of_version(tx, digest)
    return 0.0 if template is None else template.price
