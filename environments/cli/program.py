"""The tree of commands, and the only place that turns errors into exit statuses."""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from environments.actions import registry
from environments.cli.failures import (
    BROKEN_PIPE,
    DEPLOYMENT_FAILED,
    EXIT_STATUSES,
    INTERRUPTED,
    DeploymentFailed,
    tell,
)
from environments.cli.session import Output, Session
from environments.cli.streams import open_closed
from environments.cli.tree import Tree
from environments.domain.errors import CalvinverseError, InvalidInput, MachineError, Unauthenticated
from environments.domain.json_values import is_text
from environments.domain.suggesting import near, told

_HELP = """Creates, updates and destroys whole environments, and destroys them on time.

\b
A first environment:
  calvinverse template list
  calvinverse env create demo --template web --ttl 2h
  calvinverse env outputs demo
  calvinverse env destroy demo

`calvinverse COMMAND --help` says what a command does, with examples. Standard output is data (-o json for machines),
standard error is talk.

\b
Exit statuses:
"""


def build() -> typer.Typer:
    """All commands."""
    app = typer.Typer(
        name="calvinverse",
        cls=Tree,
        no_args_is_help=True,
        rich_markup_mode=None,  # importing rich for frames takes longer than everything else
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    statuses = "\n".join(f"  {status:>3}  {meaning}" for status, meaning in EXIT_STATUSES.items())

    @app.callback(help=_HELP + statuses)
    def root(
        ctx: typer.Context,
        output: Annotated[
            Output, typer.Option("--output", "-o", help="How data is written: table, json.")
        ] = Output.TABLE,
        context: Annotated[
            str | None,
            typer.Option("--context", metavar="NAME", help="Which context to use; also CALVINVERSE_CONTEXT."),
        ] = None,
        address: Annotated[
            str | None,
            typer.Option("--address", metavar="URL", help="Where the service is; also CALVINVERSE_ADDRESS."),
        ] = None,
        token_file: Annotated[
            Path | None,
            typer.Option("--token-file", metavar="FILE", help="Holds the token; also CALVINVERSE_TOKEN_FILE."),
        ] = None,
        debug: Annotated[bool, typer.Option("--debug", help="Show the chain of causes of an error.")] = False,
        version: Annotated[
            bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
        ] = False,
    ) -> None:
        session: Session = ctx.obj
        session.output, session.context_name, session.address = output, context, address
        session.token_file, session.debug = token_file, debug

    return app


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("calvinverse"))
        raise typer.Exit


def run(arguments: Sequence[str]) -> int:
    """Runs a command line and gives its exit status. Raises nothing but KeyboardInterrupt of its own code."""
    open_closed()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without our glyphs
    session = Session(typed=arguments)
    try:
        return _status(arguments, session)
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except SystemExit as leaving:  # how typer exits when the reader of the output has gone
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        _drop_output()
        return BROKEN_PIPE
    finally:
        session.close()


def _status(arguments: Sequence[str], session: Session) -> int:
    """Likewise; raises `BrokenPipeError` when nobody reads the output, also while an error is printed."""
    try:
        _check_text(arguments)
        result = typer.main.get_command(build()).main(
            list(arguments), prog_name="calvinverse", standalone_mode=False, obj=session
        )
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except CalvinverseError as error:
        return _told(error, session)
    except DeploymentFailed as failed:
        return tell(failed.error, as_json=session.json, debug=session.debug, status=DEPLOYMENT_FAILED)
    except TyperException as error:
        session.output = _wanted(arguments)  # the option may come after an invalid argument, and not have been read
        return _usage(error, session)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        status = _told(_from_os(error), session, error)
        if error.filename is None:
            _drop_output()
        return status
    except Exception as error:  # noqa: BLE001 - told like any other, with its chain on request
        return _told(_from_request(error) or _unforeseen(error), session, error)


def _drop_output() -> None:
    """Prevents that Python reports the closed output once more when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())


def _check_text(arguments: Sequence[str]) -> None:
    """Raises `InvalidInput` for an argument that isn't UTF-8 and names no file: the API takes text only."""
    for number, argument in enumerate(arguments, 1):
        if not is_text(argument) and not os.path.lexists(argument.removeprefix("@")):
            name, equals, _ = argument.partition("=")
            where = f" ({name}=…)" if equals and is_text(name) else ""
            raise InvalidInput(f"Argument {number}{where} is not UTF-8 text.", hint="Write it in UTF-8.")


def _told(error: CalvinverseError, session: Session, cause: Exception | None = None) -> int:
    if isinstance(error, Unauthenticated) and session.signed_in():
        error.hint = "Sign in again with `calvinverse login`, or use the context's own token with `calvinverse logout`."
    if cause is not None:
        error.__cause__ = cause
    return tell(error, as_json=session.json, debug=session.debug)


def _wanted(arguments: Sequence[str]) -> Output:
    """The format of data: the last option for it, if it can be read."""
    said = re.findall(r"(?<!\S)(?:-o|--output)(?:\n|=)?(\S*)", "\n".join(arguments))
    return Output.JSON if said and said[-1] == Output.JSON.value else Output.TABLE


def _usage(error: TyperException, session: Session) -> int:
    message = error.format_message().strip()
    if message.startswith("Usage:"):  # a group without a command: its help
        print(message, file=sys.stderr)
        return error.exit_code
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "calvinverse"
    hint = f"See `{path} --help`."
    message = _plain(message, context.command if context is not None else None)
    return _told(InvalidInput(message if message.endswith((".", "?")) else message + ".", hint=hint), session)


_MOST_GROUPS = 3
"""Groups of which a command is suggested. What people do most comes first in the registry."""

_NO_COMMAND = re.compile(r"No such command '([^']*)'\.")
_NO_OPTION = re.compile(r"No such option: (\S+?)( \(Possible options: .*\))?\.?")
_WORDS = (
    (r"Value error, ", ""),
    (r"Input should be a valid integer.*", "it has to be a whole number"),
    (r"Input should be greater than or equal to (\d+)", r"it has to be at least \1"),
    (r"Input should be less than or equal to (\d+)", r"it has to be at most \1"),
)
"""Messages of pydantic, and what is printed in their place."""


def _plain(message: str, command: Any) -> str:
    """A usage error in plain words, with a suggestion."""
    if (unknown := _NO_COMMAND.match(message)) is not None:
        return told(unknown[0], unknown[1], _commands(command, unknown[1]))
    if (unknown := _NO_OPTION.fullmatch(message)) is not None:
        known = [name for part in getattr(command, "params", ()) for name in (*part.opts, *part.secondary_opts)]
        long = [name for name in known if name.startswith("--")]
        return told(f"No such option '{unknown[1]}'.", unknown[1], long)
    for theirs, ours in _WORDS:
        message = re.sub(theirs, ours, message)
    return message


def _commands(group: Any, typed: str) -> list[str]:
    """The commands of a group; if none of them resembles what was typed, the first of that name in other groups."""
    here = list(getattr(group, "commands", ()))
    if near(typed, here):
        return here
    elsewhere = (action.command for action in registry.commands() if action.command is not None)
    return [" ".join(path) for path in elsewhere if path[1:] == (typed,)][:_MOST_GROUPS]


def _unforeseen(error: Exception) -> CalvinverseError:
    return CalvinverseError(
        f"Something went wrong inside: {type(error).__name__}.", hint="Run it again with --debug, and report this."
    )


def _from_request(error: Exception) -> CalvinverseError | None:
    """An error for arguments that make no valid request, such as a text that is too long."""
    from pydantic import ValidationError

    from environments.domain.reasons import reason

    if not isinstance(error, ValidationError) or not error.title.endswith("Request"):
        return None
    faults = [f"{'.'.join(map(str, fault['loc']))[:200]}: {reason(fault)}" for fault in error.errors()[:20]]
    return InvalidInput(f"The request is not valid: {'; '.join(faults)}.")


def _from_os(error: OSError) -> CalvinverseError:
    why = "it is closed" if error.errno == errno.EBADF else error.strerror or str(error)
    if error.filename is None:
        return MachineError(f"The output can't be written: {why}.", hint="Check where it goes, and the space there.")
    return InvalidInput(f"The file {error.filename} can't be used: {why}.", hint="Check its path and rights.")
