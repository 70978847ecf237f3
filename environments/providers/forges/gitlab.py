"""Deliveries of GitLab (https://docs.gitlab.com/user/project/integrations/webhook_events/).

GitLab signs nothing: each delivery holds the secret itself. So whoever reads one can send others.
"""

from collections.abc import Sequence
from typing import Any

from environments.domain.received_event import NewReceivedEvent
from environments.providers.forges.reading import Payload, pull_request_events, push_events
from environments.providers.forges.signatures import fits_token
from environments.service.webhook_kinds import Delivered, Ignored

_ACTIONS = {"open": "opened", "reopen": "reopened", "close": "closed", "merge": "merged"}


class GitLab:
    """Sends its secret in a header."""

    name = "gitlab"
    takes_forms = False
    signs = False

    def new_secret(self, random: bytes) -> str:
        """In hex."""
        return random.hex()

    def is_signed(self, delivered: Delivered) -> bool:
        """See `WebhookKind`."""
        return "x-gitlab-token" in delivered.headers

    def fits(self, delivered: Delivered, secrets: Sequence[str]) -> bool:
        """See `WebhookKind`."""
        return fits_token(delivered.headers.get("x-gitlab-token", ""), secrets)

    def is_of_now(self, delivered: Delivered) -> bool:
        """No moment is signed."""
        return True

    def delivery_id(self, delivered: Delivered) -> str:
        """The same when GitLab tries again; versions before 17.4 have an id for each event alone."""
        return delivered.headers.get("idempotency-key", "") or delivered.headers.get("x-gitlab-event-uuid", "")

    def events(
        self, origin: str, delivery: str, delivered: Delivered, payload: Any
    ) -> Sequence[NewReceivedEvent] | Ignored:
        """See `WebhookKind`."""
        told = Payload(payload)
        match told.text("object_kind"):
            case "merge_request":
                return _merge_request(told, origin, delivery)
            case "push":
                repository = told.text("project", "path_with_namespace")
                return push_events(told, origin, delivery, repository=repository, author=told.text("user_username"))
            case "tag_push":
                return Ignored("not_a_branch")
        return Ignored("not_used")


def _merge_request(told: Payload, origin: str, delivery: str) -> list[NewReceivedEvent] | Ignored:
    merge, action = told.part("object_attributes"), told.text("object_attributes", "action")
    if action in _ACTIONS:
        kinds = [(_ACTIONS[action], "")]
    elif action == "update":
        kinds = _updates(told, merge)
    else:
        kinds = []
    if not kinds:
        return Ignored("not_used")
    fields = _fields(told, merge)
    return pull_request_events(kinds, origin, delivery, fields, merge.moment("updated_at"))


def _updates(told: Payload, merge: Payload) -> list[tuple[str, str]]:
    """What an update was: a push, labels, a draft that is ready, or nothing that is used."""
    found = [("pushed", "")] if merge.text("oldrev") else []
    labels = told.part("changes", "labels")
    before, now = labels.names("previous", name="title"), labels.names("current", name="title")
    found += [("labelled", name) for name in now if name not in before]
    found += [("unlabelled", name) for name in before if name not in now]
    draft = told.part("changes", "draft")
    if draft.flag("previous") and not draft.flag("current"):
        found.append(("opened", ""))
    return found


def _fields(told: Payload, merge: Payload) -> dict[str, Any]:
    repository = merge.text("target", "path_with_namespace") or told.text("project", "path_with_namespace")
    head, state = merge.text("source", "path_with_namespace"), merge.text("state")
    source, target = merge.number("source_project_id"), merge.number("target_project_id")
    own = merge.number("author_id")
    return {
        "repository": repository,
        "number": merge.number("iid"),
        "title": merge.text("title"),
        "state": "closed" if state in ("closed", "merged") else "open",
        "merged": state == "merged",
        "draft": merge.flag("draft") or merge.flag("work_in_progress"),
        "head_branch": merge.text("source_branch"),
        "head_sha": merge.text("last_commit", "id"),
        "head_repository": head,
        "base_branch": merge.text("target_branch"),
        "fork": not head or source is None or source != target,
        "labels": told.names("labels", name="title") or merge.names("labels", name="title"),
        # GitLab names whoever did it; of the author it tells the number alone.
        "author": told.text("user", "username") if own is not None and own == told.number("user", "id") else "",
        "url": merge.text("url"),
        "updated_at": _iso(merge),
    }


def _iso(merge: Payload) -> str:
    found = merge.moment("updated_at")
    return "" if found is None else found.strftime("%Y-%m-%dT%H:%M:%SZ")
