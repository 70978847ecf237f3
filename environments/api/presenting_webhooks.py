"""Maps what use cases of webhooks return to the models of the API."""

from collections.abc import Iterable

from environments.service.deliveries import Taken
from environments.service.storage.received_events import RefusedDeliveries
from environments.service.storage.webhooks import UsedWebhook
from environments.service.webhook_reasons import said
from environments.service.webhooks import NewSecret
from environments.wire.webhooks import DeliveryView, NewWebhookSecret, RefusedView, WebhookDetails, WebhookView


def webhook(found: UsedWebhook, address: str) -> WebhookView:
    """A webhook; `address` is the service's."""
    return WebhookView(**vars(found), deliveries=f"{address}/v1/webhooks/{found.name}/deliveries")


def details(
    found: UsedWebhook, address: str, refused: Iterable[RefusedDeliveries], unknown: Iterable[RefusedDeliveries]
) -> WebhookDetails:
    """A webhook with what was refused."""
    return WebhookDetails(
        **webhook(found, address).model_dump(),
        refused=tuple(map(_refused, refused)),
        unknown=tuple(map(_refused, unknown)),
    )


def new_secret(made: NewSecret, address: str) -> NewWebhookSecret:
    """A new secret."""
    return NewWebhookSecret(
        webhook=webhook(made.webhook, address), secret=made.secret, previous_until=made.previous_until
    )


def taken(found: Taken) -> DeliveryView:
    """What became of a delivery."""
    return DeliveryView(event=found.event, ignored=found.ignored)


def _refused(one: RefusedDeliveries) -> RefusedView:
    known = {name: value for name, value in vars(one).items() if name != "webhook"}
    return RefusedView(**known, said=said(one.reason))
