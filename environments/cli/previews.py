"""`calvinverse preview`: environments of pull requests."""

from typing import TYPE_CHECKING, Annotated

import typer

from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.wire.previews import PreviewView


@command(
    "preview",
    "list",
    more="""
        A preview is an environment that a trigger makes of a pull request, keeps at its newest commit, and ends with
        it. What keeps one from being as it should is shown below the list.
    """,
    examples="""
        calvinverse preview list
        calvinverse preview list --ended
        calvinverse preview list -o json | jq -r '.[] | select(.fault != "").repository'
    """,
)
def list_previews(
    session: Session,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that have ended in the last 30 days.")] = False,
) -> None:
    from environments.cli.tables import table
    from environments.words import one_line

    found = session.client.previews(ended=ended)

    def lines() -> "list[str]":
        rows = [
            (f"{one.repository}#{one.number}", one.environment, _state(one), one.commit[:10], one.because)
            for one in found
        ]
        shown = list(table(("PULL REQUEST", "ENVIRONMENT", "STATE", "COMMIT", "BECAUSE"), rows))
        return shown + [f"{one.environment}: {one_line(one.fault)}" for one in found if one.fault]

    session.show(found, lines)
    if found:
        session.say(f"Next: `calvinverse env show {found[0].environment}` shows one of them.")
    else:
        session.say("There are none. A trigger with the action preview makes them: `calvinverse trigger set FILE`.")


def _state(preview: "PreviewView") -> str:
    return "none" if preview.state is None else preview.state.value
