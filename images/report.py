"""How long work tells what it is doing: lasting lines for everybody, a status line on terminals."""

import shutil
import sys
import threading
from typing import Protocol, TextIO, runtime_checkable


class Report(Protocol):
    """Takes one lasting line. `print` is one."""

    def __call__(self, text: str, /) -> object: ...


@runtime_checkable
class LiveReport(Protocol):
    """A report that can also show a passing line, which the next line replaces."""

    def __call__(self, text: str, /) -> object: ...

    def status(self, text: str, /) -> None: ...


class TerminalReport:
    """Lines on a terminal, with a status line below them."""

    def __init__(self, stream: TextIO, columns: int = 100) -> None:
        self._stream = stream
        self._columns = columns
        self._lock = threading.Lock()
        self._shown = False

    def __call__(self, text: str, /) -> None:
        with self._lock:
            self._clear()
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def status(self, text: str, /) -> None:
        with self._lock:
            self._clear()
            if text:
                self._stream.write(text[: self._columns - 1])
                self._shown = True
            self._stream.flush()

    def _clear(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._shown = False


class PlainReport:
    """Lines for a file or a pipe, each written at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, text: str, /) -> None:
        with self._lock:
            self._stream.write(f"{text}\n")
            self._stream.flush()


def console() -> TerminalReport | PlainReport:
    """A report on standard error: standard output is for data."""
    if sys.stderr.isatty():
        return TerminalReport(sys.stderr, shutil.get_terminal_size().columns)
    return PlainReport(sys.stderr)


def duration(seconds: float) -> str:
    """A duration as people say it: 0.4 s, 12 s, 4m05s, 1h02m."""
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
    """A number of bytes as people say it: 512 B, 3.4 MiB, 8.1 GiB."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
