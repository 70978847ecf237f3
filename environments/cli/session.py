"""What every command has: common options, a client of the service, and output for data and talk."""

import functools
import inspect
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from environments import moments, words
from environments.actions.action import PROGRAM, Action, Risk
from environments.actions.registry import for_command
from environments.domain.errors import CalvinverseError, InvalidInput

if TYPE_CHECKING:
    from environments.client import Client
    from environments.context import Context


class Output(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"


@dataclass
class Session:
    """One run of the command line. Options after a command override those before it."""

    output: Output = Output.TABLE
    context_name: str | None = None
    address: str | None = None
    token_file: Path | None = None
    debug: bool = False
    zone: tzinfo = field(default_factory=moments.local_zone)
    rest: list[str] = field(default_factory=list)
    """Arguments that the command doesn't know; only `env create` reads them."""
    typed: Sequence[str] = ()
    """The command line as it was typed, without the program's name."""
    _client: "Client | None" = None
    _current: str | None = None
    """The context that was the current one when it was first needed."""

    @property
    def json(self) -> bool:
        """Whether data is wanted as JSON."""
        return self.output is Output.JSON

    def now(self) -> datetime:
        """The present time in UTC."""
        return datetime.now(UTC)

    def context(self) -> "Context":
        """The context: where the service is. It is read again each time, but another one never becomes current.

        So what runs stays with its service when somebody chooses another one with `calvinverse context use`.
        """
        from environments.context import find_context, state_folder
        from environments.named_contexts import current

        if not self._current:
            with suppress(InvalidInput):  # it is told if no other one is given
                self._current = current(state_folder())
        return find_context(
            name=self.context_name, address=self.address, token_file=self.token_file, current=self._current
        )

    def signed_in(self) -> bool:
        """Whether commands come with a session of `calvinverse login`, as far as that can be told."""
        with suppress(CalvinverseError):
            return self.context().signed_in
        return False

    @property
    def client(self) -> "Client":
        """The client of the service. Raises `Unauthenticated` without a token."""
        if self._client is None:
            from environments.client import connect

            self._client = connect(self.context())
        return self._client

    def close(self) -> None:
        """Closes the client."""
        if self._client is not None:
            self._client.close()

    # --- data -------------------------------------------------------------------------------------------------------

    def print(self, line: str = "") -> None:
        """Prints a line of data."""
        print(line, flush=True)

    def print_json(self, value: Any, *, one_line: bool = False) -> None:
        """Prints data as JSON, with models as in the API."""
        from pydantic_core import to_jsonable_python

        plain = to_jsonable_python(value)
        escaped = not _is_utf8(sys.stdout)  # escapes keep characters that another encoding lacks
        self.print(json.dumps(plain, ensure_ascii=escaped, indent=None if one_line else 2))

    def print_exactly(self, value: str) -> None:
        """Prints a text as UTF-8 and a line feed, whatever it contains. A terminal gets
        no control characters, since it would obey them."""
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None or sys.stdout.isatty():
            self.print(words.clean(value))
            return
        sys.stdout.flush()
        buffer.write(value.encode() + b"\n")
        buffer.flush()

    def show(self, model: Any, table: Callable[[], Iterable[str]]) -> None:
        """Prints data (models, or lists and dicts of them) as JSON, or as the lines of `table`.

        People's words may be in the lines: a terminal gets no control characters of them.
        """
        if self.json:
            self.print_json(model)
        else:
            for line in table():
                self.print(words.clean(line))

    # --- talk -------------------------------------------------------------------------------------------------------

    def say(self, line: str = "") -> None:
        """Prints a line of talk on standard error, without control characters, which a terminal would obey."""
        print(words.clean(line), file=sys.stderr, flush=True)

    def _with_yes(self) -> str:
        """The command line as it was typed, with --yes: behind `--` that would be an argument."""
        end = self.typed.index("--") if "--" in self.typed else len(self.typed)
        return shlex.join((PROGRAM, *self.typed[:end], "--yes", *self.typed[end:]))

    def confirm(self, action: Action, victim: str, yes: bool) -> None:
        """Makes a person type the name before something is destroyed. Raises `InvalidInput` unless they do."""
        if yes or action.risk is not Risk.DESTRUCTIVE:
            return
        if not sys.stdin.isatty():
            raise InvalidInput(
                f"`{action.command_line}` asks for the name to be typed, and there is no terminal.",
                hint=f"Add --yes: `{self._with_yes()}`.",
            )
        self.say(f"{action.help} It can't be undone.")
        sys.stderr.write(f"Type {victim} to go on: ")
        sys.stderr.flush()
        if sys.stdin.readline().strip() != victim:
            raise InvalidInput("The name that was typed is another one; nothing was done.", hint="Try again.")


def _is_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().replace("-", "").replace("_", "") == "utf8"


_PANEL = "Common options"
_COMMON: dict[str, Any] = {
    "output": Annotated[
        Output | None, typer.Option("--output", "-o", help="How data is written: table, json.", show_default=False)
    ],
    "context_name": Annotated[
        str | None, typer.Option("--context", metavar="NAME", help="Which context to use.", show_default=False)
    ],
    "address": Annotated[
        str | None, typer.Option("--address", metavar="URL", help="Where the service is.", show_default=False)
    ],
    "token_file": Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="Holds the token.", show_default=False)
    ],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the chain of causes of an error.", show_default=False)],
}


def common_parameters() -> list[inspect.Parameter]:
    """The options that every command takes."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(name, kind, default=False if name == "debug" else None, annotation=annotation)
        for name, annotation in _COMMON.items()
    ]


def take_common(session: Session, values: dict[str, Any]) -> None:
    """Moves the common options from `values` into the session."""
    for name in _COMMON:
        value = values.pop(name)
        if value:
            setattr(session, name, value)


_REGISTERED: dict[tuple[str, ...], typer.Typer] = {}


def registered(path: tuple[str, ...]) -> typer.Typer:
    """The command of this path, alone. Raises `KeyError` if no module that was imported has it."""
    return _REGISTERED[path]


def is_registered(path: tuple[str, ...]) -> bool:
    """Whether a module that was imported has the command of this path."""
    return path in _REGISTERED


def command(
    *path: str, examples: str = "", more: str = "", rest: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a function the command `calvinverse <path>`; its help and risk come from the registry of actions.

    The function's first parameter is the `Session`; the common options are added behind its own. `rest`: arguments that
    it doesn't know are left in `session.rest`.
    """
    action = for_command(*path)

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function).parameters.values())[1:]

        @functools.wraps(function)
        def run(ctx: typer.Context, **values: Any) -> None:
            session: Session = ctx.obj
            take_common(session, values)
            session.rest = list(ctx.args)
            function(session, **values)

        first = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        named = [part.replace(kind=inspect.Parameter.KEYWORD_ONLY) for part in own]
        signature = inspect.Signature([first, *named, *common_parameters()])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {part.name: part.annotation for part in signature.parameters.values()}
        del run.__wrapped__
        text = help_text(action, more, examples)
        settings = {"allow_extra_args": True, "ignore_unknown_options": True} if rest else {}
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(path[-1], help=text, short_help=action.help, context_settings=settings)(run)
        _REGISTERED[path] = app
        return function

    return register


def help_text(action: Action, more: str, examples: str) -> str:
    """The text of `--help`: what the command does, its risk, and examples."""
    parts = [" ".join(filter(None, (action.help, action.detail)))]
    if action.risk is Risk.DESTRUCTIVE:
        parts.append("Destructive: it can't be undone.")
    if more:
        parts.append(inspect.cleandoc(more))
    if examples:
        lines = "\n".join(f"  {line}" for line in inspect.cleandoc(examples).splitlines())
        parts.append(f"\b\nExamples:\n{lines}")
    return "\n\n".join(parts)
