"""Which firings somebody sees: those on environments that they see, and what their own triggers did elsewhere."""

from collections.abc import Collection, Sequence
from functools import cache

from environments.domain.trigger import Firing, FiringState
from environments.service.authorization import Principal
from environments.service.storage.transaction import Transaction
from environments.service.webhook_using import tells


def firings_in_sight(tx: Transaction, principal: Principal, firings: Sequence[Firing]) -> list[Firing]:
    """Those of the firings that the principal may see, in their order.

    A firing on an environment that they don't see isn't shown, also of their own trigger. Where there is no
    environment yet, or no record of it any more, the owner of the trigger sees what it did; but not a name that was
    made of an event that they may not see, because somebody else uses its webhook now.
    """
    sight = principal.sight
    if sight.unlimited:
        return list(firings)
    seen = environments_in_sight(tx, principal, {one.environment_id for one in firings if one.environment_id})

    def may_see(one: Firing) -> bool:
        if one.environment_id in seen:
            return True
        if sight.limited or one.owner != principal.owner:
            return False
        if one.environment_id is None:
            return True
        return one.state is FiringState.DONE and tx.environments.get(one.environment_id) is None

    @cache
    def may_be_told(event_id: str) -> bool:
        event = tx.received.get(event_id)
        return event is None or tells(tx, principal, event)

    def masked(one: Firing) -> Firing:
        if one.environment_id is not None or not one.environment or may_be_told(one.event_id):
            return one
        return one.model_copy(update={"environment": ""})

    return [masked(one) for one in firings if may_see(one)]


def environments_in_sight(tx: Transaction, principal: Principal, ids: Collection[str]) -> frozenset[str]:
    """Those of the environments that the principal may see."""
    return tx.environments.visible(principal.sight, ids) if ids else frozenset()
