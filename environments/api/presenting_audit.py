"""The audit log as the API shows it."""

from environments.service.audit_reading import AuditState
from environments.service.audit_verifying import Verdict
from environments.service.storage.audit import Checkpoint, StoredEntry
from environments.wire.audit import AuditEntryView, AuditHeadView, CheckpointView, FindingView, VerdictView


def audit_entry(stored: StoredEntry) -> AuditEntryView:
    """An entry."""
    return AuditEntryView(
        id=stored.id, position=stored.position, previous=stored.previous, hash=stored.hash, **vars(stored.entry)
    )


def audit_head(state: AuditState) -> AuditHeadView:
    """The end of the chain."""
    head = state.head
    return AuditHeadView(
        position=head.position,
        hash=head.hash,
        text=f"{head.position}:{head.hash}",
        unchained=state.unchained,
        checkpoint=_checkpoint(state.checkpoint),
    )


def verdict(found: Verdict) -> VerdictView:
    """What a part of a walk found."""
    return VerdictView(
        start=found.start,
        end=found.end,
        next=found.next,
        entries=found.entries,
        unchained=found.unchained,
        head=audit_head(AuditState(found.head, found.checkpoint, found.unchained)),
        findings=tuple(
            FindingView(kind=one.kind.value, position=one.position, id=one.id, message=one.message)
            for one in found.findings
        ),
        more=found.more,
    )


def _checkpoint(found: Checkpoint | None) -> CheckpointView | None:
    if found is None:
        return None
    return CheckpointView(position=found.position, hash=found.hash, pruned=found.pruned, at=found.at)
