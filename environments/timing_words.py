"""What the calendar does to an environment, and why, in the words of every front end."""

from environments.domain.timing import Because, Source, TimedAction

WHAT: dict[TimedAction, str] = {
    TimedAction.DESTROY: "is destroyed",
    TimedAction.STOP: "is stopped",
    TimedAction.START: "is started",
    TimedAction.WARN: "its owner is warned",
}


def reason(because: Because) -> str:
    """One sentence without a full stop."""
    match because.source:
        case Source.LIFETIME:
            return "the default lifetime of its template is over"
        case Source.PERSON:
            return f"{because.by} set this deadline"
        case Source.TEMPLATE:
            return f"rule {because.rule!r} of {because.place}" if because.rule else because.place
        case Source.ENVIRONMENT:
            return f"rule {because.rule!r}, set by {because.by}"
        case Source.MAXIMUM:
            return "its template allows no longer life"
        case Source.PIN:
            return f"the pin of {because.by} ends"
        case Source.OWNER_POLICY | Source.TEMPLATE_POLICY:
            return f"rule {because.rule!r} of the policy {because.place}"
        case Source.DEFAULT:
            return "a tenth of the time before, at most an hour"
        case Source.UNKNOWN:
            return "set before the service recorded why"
