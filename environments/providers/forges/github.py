"""Deliveries of GitHub (https://docs.github.com/en/webhooks/webhook-events-and-payloads)."""

from collections.abc import Sequence
from typing import Any

from environments.domain.received_event import NewReceivedEvent
from environments.providers.forges.reading import (
    Payload,
    delete_events,
    is_of_nobody,
    pull_request_events,
    push_events,
)
from environments.providers.forges.signatures import fits_hex
from environments.service.webhook_kinds import Delivered, Ignored

_ACTIONS = {
    "opened": "opened",
    "ready_for_review": "opened",
    "reopened": "reopened",
    "synchronize": "pushed",
    "closed": "closed",
    "labeled": "labelled",
    "unlabeled": "unlabelled",
}
"""GitHub's actions on pull requests, and what they are here. A draft that is ready is as if it were opened then."""


class GitHub:
    """Signs with HMAC over the body, also when the body is a form."""

    name = "github"
    takes_forms = True
    signs = True

    def new_secret(self, random: bytes) -> str:
        """In hex."""
        return random.hex()

    def is_signed(self, delivered: Delivered) -> bool:
        """See `WebhookKind`."""
        return "x-hub-signature-256" in delivered.headers

    def fits(self, delivered: Delivered, secrets: Sequence[str]) -> bool:
        """See `WebhookKind`."""
        algorithm, _, signature = delivered.headers.get("x-hub-signature-256", "").partition("=")
        return fits_hex(signature if algorithm == "sha256" else "", delivered.body, secrets)

    def is_of_now(self, delivered: Delivered) -> bool:
        """No moment is signed."""
        return True

    def delivery_id(self, delivered: Delivered) -> str:
        """The same when GitHub delivers again."""
        return delivered.headers.get("x-github-delivery", "")

    def events(
        self, origin: str, delivery: str, delivered: Delivered, payload: Any
    ) -> Sequence[NewReceivedEvent] | Ignored:
        """See `WebhookKind`."""
        told, event = Payload(payload), delivered.headers.get("x-github-event", "")
        repository, author = told.text("repository", "full_name"), told.text("sender", "login")
        match event:
            case "ping":
                return Ignored("ping")
            case "pull_request":
                return _pull_request(told, origin, delivery)
            case "push":
                return push_events(told, origin, delivery, repository=repository, author=author)
            case "delete":
                return delete_events(told, origin, delivery, repository=repository, author=author)
        return Ignored("not_used")


def _pull_request(told: Payload, origin: str, delivery: str) -> list[NewReceivedEvent] | Ignored:
    kind = _ACTIONS.get(told.text("action"))
    if kind is None:
        return Ignored("not_used")
    pull = told.part("pull_request")
    if kind == "closed" and pull.flag("merged"):
        kind = "merged"
    label = told.text("label", "name")
    return pull_request_events([(kind, label)], origin, delivery, pull_fields(told, pull), pull.moment("updated_at"))


def pull_fields(told: Payload, pull: Payload) -> dict[str, Any]:
    """The fields of a pull request as GitHub and Gitea tell of it."""
    repository = told.text("repository", "full_name") or pull.text("base", "repo", "full_name")
    head = "" if is_of_nobody(pull.part("head").value) else pull.text("head", "repo", "full_name")
    return {
        "repository": repository,
        "number": pull.number("number"),
        "title": pull.text("title"),
        "state": "closed" if pull.text("state") == "closed" else "open",
        "merged": pull.flag("merged"),
        "draft": pull.flag("draft"),
        "head_branch": pull.text("head", "ref"),
        "head_sha": pull.text("head", "sha"),
        "head_repository": head,
        "base_branch": pull.text("base", "ref"),
        "fork": not head or head.lower() != repository.lower(),
        "labels": pull.names("labels"),
        "author": pull.text("user", "login"),
        "url": pull.text("html_url"),
        "updated_at": pull.text("updated_at"),
    }
