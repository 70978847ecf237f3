"""`calvinverse warning …`: the channels that deliver warnings."""

from environments.cli.session import Session, command


@command(
    "warning",
    "channels",
    more="An operator configures channels in the file CALVINVERSE_WARNING_CHANNELS.",
    examples="""
        calvinverse warning channels
        calvinverse warning channels -o json | jq -r '.channels[] | select(.failing > 0).fault'
    """,
)
def channels(session: Session) -> None:
    from environments.cli.warning_tables import channel_lines

    found = session.client.warning_channels()
    session.show(found, lambda: channel_lines(found))
    if found.fault:
        session.say(f"The file of channels can't be used as it is now: {found.fault}")


@command(
    "warning",
    "test",
    more="By e-mail, it goes to those whom the file names in `to`. Exit status 1 if a channel fails.",
    examples="calvinverse warning test",
)
def test(session: Session) -> None:
    from environments.cli.warning_tables import test_lines
    from environments.domain.errors import MachineError

    found = session.client.test_warnings()
    session.show(found, lambda: test_lines(found))
    if failed := [one.channel for one in found if one.fault]:
        raise MachineError(
            f"Not delivered: {', '.join(dict.fromkeys(failed))}.",
            hint="Correct the file of channels, or what they lead to: docs/how-to/warnings.md.",
        )
