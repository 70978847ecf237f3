"""Figures, their bars, and how both are shown."""

import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """Something measured, in milliseconds; `bar` is the most that we allow ourselves, None where there is none."""

    name: str
    measured: float
    bar: float | None = None

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        return self.bar is None or self.measured <= self.bar

    @property
    def verdict(self) -> str:
        """The last column."""
        if self.bar is None:
            return "no bar"
        return "met" if self.met else "**missed**"


@dataclass(frozen=True)
class Sample:
    """Everything measured of one kind, in seconds."""

    name: str
    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """Milliseconds."""
        return statistics.median(self.seconds) * 1000

    @property
    def p95(self) -> float:
        """Milliseconds: the smallest that 95 of 100 don't exceed."""
        return sorted(self.seconds)[math.ceil(0.95 * len(self.seconds)) - 1] * 1000


def machine(load: float, now: datetime) -> str:
    """When and where; `load` is the machine's before the measuring began."""
    return (
        f"{now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"load {load:.1f} before and {os.getloadavg()[0]:.1f} after."
    )


def table(figures: Sequence[Figure], samples: Sequence[Sample], note: str) -> str:
    """Both tables and the line about the machine, in Markdown."""
    lines = [note, "", "| figure | measured | bar | |", "|---|--:|--:|---|"]
    for figure in figures:
        bar = "" if figure.bar is None else f"{figure.bar:.0f} ms"
        lines.append(f"| {figure.name} | {figure.measured:.0f} ms | {bar} | {figure.verdict} |")
    lines += ["", "| what | count | p50 | p95 |", "|---|--:|--:|--:|"]
    for sample in samples:
        lines.append(f"| {sample.name} | {len(sample.seconds)} | {sample.median:.0f} ms | {sample.p95:.0f} ms |")
    return "\n".join(lines)


def write(page: Path, text: str, task: str) -> None:
    """Puts the text between the page's two markers of a task."""
    begin, end = (f"<!-- made by `doit {task}`: {edge} -->" for edge in ("begin", "end"))
    before, _, rest = page.read_text().partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{page} lost its markers"
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
