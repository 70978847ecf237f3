"""The audit log in the API."""

from datetime import datetime
from typing import Any

from environments.wire.fields import View


class AuditEntryView(View):
    """An entry. `position`, `previous` and `hash` are null until it is chained, which takes less than a second.

    `before` and `after` hold what differs; secrets are masked, and long values cut and told by their digest.
    """

    id: int
    position: int | None
    at: datetime
    action: str
    actor: str
    actor_kind: str
    role: str
    token_id: str
    behalf: str
    address: str
    request: str
    object_kind: str
    object_id: str
    object_name: str
    template: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    outcome: str
    code: str
    reason: str
    rule: str
    count: int
    previous: str | None
    hash: str | None


class CheckpointView(View):
    """What pruning left: up to which position entries were deleted, the hash of the last one, how many in all."""

    position: int
    hash: str
    pruned: int
    at: datetime


class AuditHeadView(View):
    """The end of the chain. `text` is what `verify` takes as head.

    `unchained` entries wait to be chained; at most 500 are counted.
    """

    position: int
    hash: str
    text: str
    unchained: int
    checkpoint: CheckpointView | None


class FindingView(View):
    """Something wrong. `position` is null for an entry that isn't chained, `id` where there is no entry."""

    kind: str
    position: int | None
    id: int | None
    message: str


class VerdictView(View):
    """What one part of a walk along the chain found: entries from after `start` up to `end`.

    `next`: give it as `after` for the next part; null: this was the last one. Of many findings the first ones are
    named; `more` counts the others.
    """

    start: int
    end: int
    next: int | None
    entries: int
    unchained: int
    head: AuditHeadView
    findings: tuple[FindingView, ...]
    more: int
