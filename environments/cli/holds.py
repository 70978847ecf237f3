"""`calvinverse hold`: commands for holds of destroys by the clock."""

from typing import TYPE_CHECKING, Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.wire.holds import HoldView

HoldName = Annotated[str, typer.Argument(metavar="ID", help="As `calvinverse hold list` shows it.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the history.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


@command(
    "hold",
    "list",
    more="Without --ended only those that wait for a decision.",
    examples="""
        calvinverse hold list
        calvinverse hold list --ended
    """,
)
def list_holds(
    session: Session,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that have ended, and who decided why.")] = False,
) -> None:
    from environments.cli.tables import table
    from environments.moments import coarse
    from environments.words import one_line

    found = session.client.holds(ended=ended)

    def lines() -> "list[str]":
        rows = [
            (hold.id, _state(hold), f"{coarse(session.now() - hold.opened_at)} ago", str(hold.environments))
            for hold in found
        ]
        shown = list(table(("ID", "STATE", "OPENED", "ENVIRONMENTS"), rows))
        for hold in found:
            shown += ["", f"{hold.id}: {one_line(hold.reason)}"]
            if hold.names:
                more = hold.environments - len(hold.names)
                shown.append(f"  {', '.join(hold.names)}{f' and {more} more' if more > 0 else ''}")
            if hold.decision is not None:
                shown.append(f"  {hold.decision.value} by {hold.decided_by}: {one_line(hold.decision_reason)}")
        return shown

    session.show(found, lines)
    if any(hold.decision is None for hold in found):
        session.say("Next: an admin decides with `calvinverse hold release` or `calvinverse hold cancel`.")


@command(
    "hold",
    "release",
    more="""
        Asks for the hold's id, unless --yes is given. What it holds is then destroyed, in the order of deadlines. What
        is held because clocks disagree may still be held for another reason.
    """,
    examples='calvinverse hold release hold-7f3kq2m4p6r8 --reason "the policy is meant so"',
)
def release(session: Session, hold_id: HoldName, reason: Reason, yes: Yes = False) -> None:
    from environments.domain.holds import HoldKind
    from environments.wire.holds import ReleaseHoldRequest

    seen = None if yes else next((hold for hold in session.client.holds() if hold.id == hold_id), None)
    if seen is not None:
        session.say(f"{seen.id} holds {_environments(seen.environments)}: {seen.reason}")
    session.confirm(for_command("hold", "release"), hold_id, yes)
    request = ReleaseHoldRequest(reason=reason, environments=None if seen is None else seen.environments)
    hold = session.client.release_hold(hold_id, request)
    follows = "may be destroyed" if hold.kind is HoldKind.CLOCK else "will be destroyed"
    session.show(hold, lambda: [f"{hold.id} is released: {_environments(hold.environments)} {follows}."])
    session.say("Next: `calvinverse env list` shows what happens to them.")


@command(
    "hold",
    "cancel",
    more="""
        Pins the environments until --for from now, also past the maximum of a template or a policy; later deadlines
        stay.
    """,
    examples="""
        calvinverse hold cancel hold-7f3kq2m4p6r8 --reason "the policy was a mistake"
        calvinverse hold cancel hold-7f3kq2m4p6r8 --reason "restored from a copy" --for 3d
    """,
)
def cancel(
    session: Session,
    hold_id: HoldName,
    reason: Reason,
    keep_for: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long they are kept.")] = "24h",
) -> None:
    from environments.wire.holds import CancelHoldRequest

    hold = session.client.cancel_hold(hold_id, CancelHoldRequest(reason=reason, keep_for=keep_for))
    session.show(
        hold, lambda: [f"{hold.id} is cancelled: {_environments(hold.environments)} will be kept for {keep_for}."]
    )
    session.say("Next: `calvinverse env explain NAME` shows when each will be destroyed.")


def _environments(count: int) -> str:
    return f"{count} environment{'' if count == 1 else 's'}"


def _state(hold: "HoldView") -> str:
    return "! open" if hold.decision is None else f"○ {hold.decision.value}"
