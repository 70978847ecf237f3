"""How long-running work reports progress: permanent lines, and on terminals a live view below them.

Work goes on, and cleans up, when nobody can be told: the terminal is lost, the pipe has no reader, the disk is full.
"""

import contextlib
import sys
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.live import Live


def show_any_text() -> None:
    """Lets the program print any text in any locale: characters that its encoding lacks become question marks."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # of a stream that isn't a file


class Report(Protocol):
    """Takes one permanent line. `print` is one."""

    def __call__(self, text: str, /) -> object: ...


class TerminalReport:
    """Lines on a terminal, with a live view below them: one line for each piece of work in progress."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # slow to import, and only needed on terminals

        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._lock = threading.RLock()
        self._rows: dict[str, str] = {}
        self._live: Live | None = None

    def __call__(self, text: str, /) -> None:
        self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Shows a text above the live view."""
        from rich.text import Text

        with self._lock, contextlib.suppress(OSError):
            self._console.print(Text(text), end="")

    def status(self, text: str, /, row: str = "") -> None:
        """Shows a text in the live view, one for each `row`; an empty text removes the row."""
        from rich.live import Live
        from rich.text import Text

        with self._lock, contextlib.suppress(OSError):
            if text:
                self._rows[row] = text
            else:
                self._rows.pop(row, None)
            if self._rows and self._live is None:
                self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
                self._live.start()
            if self._live is not None:
                shown = Text("\n".join(self._rows.values()), no_wrap=True, overflow="ellipsis")
                self._live.update(shown, refresh=True)
                if not self._rows:
                    self._live.stop()
                    self._live = None


class PlainReport:
    """Lines for a file or a pipe, each written at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, text: str, /) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(f"{text}\n")
            self._stream.flush()


def console() -> TerminalReport | PlainReport:
    """A report on standard error, since standard output is for data. Concurrent threads share that of a terminal."""
    terminal = sys.__stderr__
    if terminal is not None and terminal.isatty():
        return _on_terminal(terminal)
    return PlainReport(sys.stderr)


@cache
def _on_terminal(stream: TextIO) -> TerminalReport:
    return TerminalReport(stream)


def duration(seconds: float) -> str:
    """A duration for people: 0.4 s, 12 s, 4m05s, 1h02m."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


def size(count: float) -> str:
    """A number of bytes for people: 512 B, 3.4 MiB, 8.1 GiB."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
