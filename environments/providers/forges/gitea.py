"""Deliveries of Gitea and Forgejo, which differ in the names of headers (https://docs.gitea.com/usage/webhooks)."""

from collections.abc import Sequence
from typing import Any

from environments.domain.received_event import NewReceivedEvent
from environments.providers.forges.github import pull_fields
from environments.providers.forges.reading import Payload, delete_events, pull_request_events, push_events
from environments.providers.forges.signatures import fits_hex
from environments.service.webhook_kinds import Delivered, Ignored

_ACTIONS = {"opened": "opened", "reopened": "reopened", "synchronized": "pushed", "closed": "closed"}
_PULLS = "refs/pull/"
_LABELS = frozenset({"label_updated", "label_cleared"})
_DRAFT_PREFIXES = ("wip:", "[wip]", "draft:")
"""What the titles of drafts begin with, unless a forge is set up otherwise."""


class Gitea:
    """Signs with HMAC over the JSON, also when that comes in a form: so forms aren't taken."""

    takes_forms = False
    signs = True

    def __init__(self, name: str = "gitea") -> None:
        """`name` is the kind and the word in the names of headers; Forgejo sends Gitea's too."""
        self.name = name
        self._words = tuple(dict.fromkeys((name, "gitea")))

    def new_secret(self, random: bytes) -> str:
        """In hex."""
        return random.hex()

    def is_signed(self, delivered: Delivered) -> bool:
        """See `WebhookKind`."""
        return bool(self._header(delivered, "signature"))

    def fits(self, delivered: Delivered, secrets: Sequence[str]) -> bool:
        """See `WebhookKind`."""
        return fits_hex(self._header(delivered, "signature"), delivered.body, secrets)

    def is_of_now(self, delivered: Delivered) -> bool:
        """No moment is signed."""
        return True

    def delivery_id(self, delivered: Delivered) -> str:
        """See `WebhookKind`."""
        return self._header(delivered, "delivery")

    def events(
        self, origin: str, delivery: str, delivered: Delivered, payload: Any
    ) -> Sequence[NewReceivedEvent] | Ignored:
        """See `WebhookKind`."""
        told = Payload(payload)
        repository, author = told.text("repository", "full_name"), told.text("sender", "login")
        match self._header(delivered, "event"):
            case "pull_request":
                return _pull_request(told, origin, delivery)
            case "push" if told.has("after") and told.text("after") == told.text("before"):
                return Ignored("ping")  # what the button for a test sends
            case "push":
                return push_events(told, origin, delivery, repository=repository, author=author)
            case "delete":
                return delete_events(told, origin, delivery, repository=repository, author=author)
        return Ignored("not_used")

    def _header(self, delivered: Delivered, what: str) -> str:
        found = (delivered.headers.get(f"x-{word}-{what}", "") for word in self._words)
        return next((one for one in found if one), "")


def _pull_request(told: Payload, origin: str, delivery: str) -> list[NewReceivedEvent] | Ignored:
    pull, action = told.part("pull_request"), told.text("action")
    kinds: list[tuple[str, str]]
    if action in _LABELS:
        kinds = _labels(told, pull)
    elif action == "edited" and _is_ready(told, pull):
        kinds = [("opened", "")]
    elif action in _ACTIONS:
        merged = action == "closed" and pull.flag("merged")
        kinds = [("merged" if merged else _ACTIONS[action], "")]
    else:
        return Ignored("not_used")
    fields = pull_fields(told, pull)
    if fields["head_branch"].startswith(_PULLS):  # once the branch is gone
        fields["head_branch"] = pull.text("head", "label")
    return pull_request_events(kinds, origin, delivery, fields, pull.moment("updated_at"))


def _labels(told: Payload, pull: Payload) -> list[tuple[str, str]]:
    """Which labels were given and taken. A forge that doesn't say so tells of those that are set now."""
    changes = told.part("changes")
    added, removed = changes.names("added_labels"), changes.names("removed_labels")
    if added or removed:
        return [*(("labelled", name) for name in added), *(("unlabelled", name) for name in removed)]
    return [("labelled" if pull.names("labels") else "unlabelled", "")]


def _is_ready(told: Payload, pull: Payload) -> bool:
    """Whether a draft has become ready: its title has lost the prefix."""
    before = told.text("changes", "title", "from").strip().lower()
    return before.startswith(_DRAFT_PREFIXES) and not pull.flag("draft")
