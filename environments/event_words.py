"""What happened elsewhere, in words: reasons of deployments, and lists, say it so."""

from environments.domain.received_event import NewReceivedEvent, Source
from environments.domain.trigger_values import as_text

_PULL_REQUEST = {
    "opened": "was opened",
    "reopened": "was reopened",
    "pushed": "was pushed to",
    "closed": "was closed",
    "merged": "was merged",
    "labelled": "was labelled",
    "unlabelled": "lost a label",
}
_BRANCH = {"pushed": "was pushed to", "deleted": "was deleted"}
_JOB = {"complete": "is complete", "failed": "has failed"}
_KEY = {"changed": "was changed", "deleted": "was deleted"}
_ENVIRONMENT = {"ready": "is ready", "failed": "has failed", "destroyed": "was destroyed"}


def happened(event: NewReceivedEvent) -> str:
    """`pull request acme/shop#12 was closed`. Subjects are strangers' texts, of bounded length and printable."""
    subject, kind = event.subject, event.kind
    match event.source:
        case Source.PULL_REQUEST:
            return f"pull request {subject} {_PULL_REQUEST.get(kind, kind)}"
        case Source.BRANCH:
            return f"branch {subject} {_BRANCH.get(kind, kind)}"
        case Source.JOB:
            return f"job {subject} {_JOB.get(kind, kind)}"
        case Source.KEY:
            return f"key {subject} {_KEY.get(kind, kind)}"
        case Source.IDLE:
            return "it is idle"
        case Source.WEBHOOK:
            return f"webhook {event.origin} was called"
        case Source.ENVIRONMENT:
            return f"environment {as_text(event.fields.get('name', subject))} {_ENVIRONMENT.get(kind, kind)}"
        case Source.COST:
            return f"its cost is {as_text(event.fields.get('amount', 'over'))}"
