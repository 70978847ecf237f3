"""What the calendar does to an environment, and why, in the words of every front end."""

from collections.abc import Callable
from datetime import datetime

from environments.domain.holds import HoldKind
from environments.domain.timing import Because, Obstacle, PastAction, Prevented, Source, TimedAction

WHAT: dict[TimedAction, str] = {
    TimedAction.DESTROY: "is destroyed",
    TimedAction.STOP: "is stopped",
    TimedAction.START: "is started",
    TimedAction.WARN: "its owner is warned",
}

HAPPENED: dict[PastAction, str] = {
    PastAction.CREATE: "create",
    PastAction.UPDATE: "update",
    PastAction.REPAIR: "repair",
    PastAction.PROMOTE: "promote",
    PastAction.STOP: "stop",
    PastAction.START: "start",
    PastAction.DESTROY: "destroy",
    PastAction.EXTEND: "deadline set",
    PastAction.DEADLINE: "deadline moved",
    PastAction.RULES: "rules changed",
    PastAction.PIN: "pinned",
    PastAction.UNPIN: "unpinned",
    PastAction.TRANSFER: "transferred",
    PastAction.SHARE: "shared",
    PastAction.UNSHARE: "not shared any more",
    PastAction.WARN: "owner warned",
    PastAction.NOT_SWITCHED: "not stopped or started",
    PastAction.HELD: "destroy held",
}
"""What happened; the first ones are deployments."""

_BY_RULE = {PastAction.STOP, PastAction.START, PastAction.DESTROY}


def happened_because(action: PastAction, because: Because | None, told: str) -> str:
    """Why it happened: the rule of what the calendar did, and `told`, what was recorded, of anything else.

    What was recorded of a destroy by the clock follows its rule: it names an admin who released a hold.
    """
    if because is None or action not in _BY_RULE:
        return told
    return f"{reason(because)}; {told}" if action is PastAction.DESTROY and told else reason(because)


def on_behalf_of(by: str, because: Because | None) -> str:
    """Who asked for it; of what the clock did, who set the rule or the deadline, if that was a person."""
    return f"{by}, for {because.by}" if because is not None and because.by not in ("", by) and by else by


HELD: dict[HoldKind, str] = {
    HoldKind.TOO_MANY: "too many became due at once without an early warning",
    HoldKind.CLOCK: "the clock of the service disagrees with another one",
    HoldKind.RESTORED: "the database was restored from a copy, which may lack later extensions",
    HoldKind.UNPROVEN: "its stored rules and lifetimes don't lead to its stored deadline",
}


def held(hold: str, kind: HoldKind) -> str:
    """One sentence without a full stop: that it isn't destroyed, because of which hold, and why."""
    return f"{hold} keeps it from being destroyed until an admin decides, because {HELD[kind]}"


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
        case Source.OWNER_POLICY | Source.TEMPLATE_POLICY if not because.rule:
            return f"the policy for {because.place} allows no longer life"
        case Source.OWNER_POLICY | Source.TEMPLATE_POLICY:
            return f"rule {because.rule!r} of the policy for {because.place}"
        case Source.DEFAULT:
            return "a tenth of the time before, at most an hour"
        case Source.UNKNOWN:
            return "set before the service recorded why"


def reason_of_attempt(because: Because, attempt: int) -> str:
    """Likewise; `attempt` above 1: what has failed is tried again."""
    failed = attempt - 1
    times = "once" if failed == 1 else f"{failed} times"
    return reason(because) + (f"; it has failed {times} and is tried again" if failed else "")


def why_not(prevented: Prevented, told: Callable[[datetime], str]) -> str:
    """What prevents something, as a sentence without a full stop; `told` writes a moment."""
    until = "" if prevented.until is None else told(prevented.until)
    match prevented.obstacle:
        case Obstacle.HOLIDAY:
            return f"the day is in the holiday calendar {prevented.name}"
        case Obstacle.PIN:
            return f"{prevented.by} pinned it until {until}: {prevented.reason}"
        case Obstacle.EXTENSION:
            return f"rules count from {until} on, because somebody moved the deadline"
        case Obstacle.SET_LATER:
            return f"the rule applies since {until}"
        case Obstacle.DEADLINE:
            return f"it is destroyed before, at {until}"
        case Obstacle.STOPPED:
            return "it is stopped by then"
        case Obstacle.RUNNING:
            return "it runs by then"
        case Obstacle.FAILED:
            return "it has failed, so the calendar leaves it as it is until somebody repairs it"
        case Obstacle.PROMOTION:
            return "a new version awaits promotion, and a start after a stop would run it"


def effect(applied: bool, count: int, noun: str, concerned: int, computed: int) -> str:
    """How many things an edit moves, or would move while it isn't `applied`, as a sentence without its last sign.

    `noun`: `deadline`, or `next stop or start`. Of the `concerned` environments the first `computed` were looked at.
    """
    more = "" if computed == concerned else f", of the first {computed}"
    verb = "moves" if applied else "would move"
    return f"It {verb} {_counted(count, noun)} of {_counted(concerned, 'environment')}{more}"


def _counted(count: int, noun: str) -> str:
    many = noun if count < 2 else " and ".join(f"{word}s" for word in noun.split(" or "))
    return f"{count or 'no'} {many}"
