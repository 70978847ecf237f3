"""`calvinverse tui`, which the command line finds here."""

import sys
from importlib.util import find_spec

from environments.cli.extensions import TUI
from environments.cli.session import Session, command


@command(
    "tui",
    more="""
        The top line names the context that it uses, and it stays with it when another one becomes current. Needs a
        terminal as standard input, output and error; without one it ends with status 2. Ctrl-Q quits; what runs in the
        service continues.
    """,
    examples="calvinverse tui",
)
def tui(session: Session) -> None:
    from environments.client import connect
    from environments.domain.errors import InvalidInput, MachineError

    streams = {"input": sys.stdin, "output": sys.stdout, "error": sys.stderr}
    missing = [name for name, stream in streams.items() if not stream.isatty()]
    if missing:
        raise InvalidInput(
            "The terminal UI needs a terminal as standard input, output and error; here it has none as "
            f"{' and '.join(f'standard {name}' for name in missing)}.",
            hint="Start it in a terminal; `calvinverse env list` and `calvinverse env watch` need none.",
        )
    if find_spec("textual") is None:
        raise MachineError(TUI.missing, hint=TUI.hint)
    from tui.app import run

    context = session.context()
    run(lambda: connect(session.context()), where=context.name or context.address)
