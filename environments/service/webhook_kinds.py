"""What a kind of webhook is: how its deliveries are signed and named, and what they tell. A port."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from environments.domain.received_event import NewReceivedEvent

GENERIC = "generic"
"""The kind of webhooks that aren't a forge's."""


class Ignored(NamedTuple):
    """A signed delivery that nothing is done with. `why` is one of `WHY_IGNORED`."""

    why: str


WHY_IGNORED = {
    "ping": "the forge only tries the address out",
    "not_used": "no trigger can be for this kind of event",
    "not_a_branch": "it is about a tag, or another ref that is no branch",
    "incomplete": "it names no repository, number or branch",
    "too_old": "what it tells of happened too long ago",
}
"""Why a signed delivery may be left, as it is counted and as people are told."""


@dataclass(frozen=True)
class Delivered:
    """A request to a webhook: names of headers in lower case, the raw body, and when it came."""

    headers: Mapping[str, str]
    body: bytes
    at: datetime


class WebhookKind(Protocol):
    """One kind of webhook."""

    @property
    def name(self) -> str:
        """As people write it: `gitea`."""
        ...

    @property
    def takes_forms(self) -> bool:
        """Whether the payload may come as the field `payload` of a form, with a signature over the form."""
        ...

    @property
    def signs(self) -> bool:
        """Whether a delivery holds a signature, and not the secret itself."""
        ...

    def new_secret(self, random: bytes) -> str:
        """A secret of 32 random bytes, as it is given to the sender."""
        ...

    def is_signed(self, delivered: Delivered) -> bool:
        """Whether a delivery has the headers that a signature needs."""
        ...

    def fits(self, delivered: Delivered, secrets: Sequence[str]) -> bool:
        """Whether the signature is right with one of the secrets; takes as long if it isn't."""
        ...

    def is_of_now(self, delivered: Delivered) -> bool:
        """Whether a signed timestamp is near enough to now; also where there is none."""
        ...

    def delivery_id(self, delivered: Delivered) -> str:
        """The id by which the sender knows the delivery; empty if there is none."""
        ...

    def events(
        self, origin: str, delivery: str, delivered: Delivered, payload: Any
    ) -> Sequence[NewReceivedEvent] | Ignored:
        """What the payload tells. `origin`: the webhook's name; `delivery`: the id, unique in it."""
        ...
