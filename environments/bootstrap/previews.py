"""Previews, put together: what looks after them, and what tells their forges."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from environments.engine.preview_keeper import PreviewKeeper
from environments.service.checking import Checks
from environments.service.enqueue import Sealer
from environments.service.entry_points import EntryPoints
from environments.service.forges import Forges
from environments.service.preview_telling import PreviewTelling
from environments.service.previews import Previews
from environments.service.storage.transaction import Storage, Transaction
from environments.service.trigger_owners import acting_for


class Previewing(NamedTuple):
    """What hears of pull requests, and the thread that looks at them."""

    previews: Previews
    keeper: PreviewKeeper


def previews_of(
    storage: Storage,
    sealer: Sealer,
    clock: Callable[[], datetime],
    new_id: Callable[[str], str],
    checks: Checks,
    forges: Forges,
    entry_points: EntryPoints,
    leads: Callable[[], bool],
    sweep: timedelta,
) -> Previewing:
    """`sweep`: how often all triggers are compared with their forges."""

    def addresses(tx: Transaction, environment_id: str) -> tuple[str, ...]:
        return tuple(found.url for found in entry_points.addresses(tx, environment_id))

    telling = PreviewTelling(storage, clock, forges, addresses)
    previews = Previews(storage, sealer, clock, new_id, checks, forges, telling, acting_for)
    return Previewing(previews, PreviewKeeper(previews, leads, clock, sweep))
