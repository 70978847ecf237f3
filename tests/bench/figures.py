"""Figures, their bars and their noise, and how all of a run is shown."""

import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Better(StrEnum):
    """Which of two values of a figure is the better one."""

    LESS = "less"
    MORE = "more"


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
        return self.quantile(0.95)

    def quantile(self, share: float) -> float:
        """Milliseconds: the smallest that this share doesn't exceed."""
        return sorted(self.seconds)[math.ceil(share * len(self.seconds)) - 1] * 1000

    def noise(self, share: float = 0.5) -> float | None:
        """Milliseconds by which that quantile may be wrong, of 100 runs in 95: half of its interval.

        The interval is between two of the values themselves, whatever their distribution (Conover, Practical
        Nonparametric Statistics, 3.2). None when there is one value only.
        """
        values, count = sorted(self.seconds), len(self.seconds)
        if count < 2:
            return None
        around, wide = share * count, max(1.96 * math.sqrt(count * share * (1 - share)), 1.0)
        low, high = max(math.floor(around - wide), 1), min(math.ceil(around + wide), count)
        return (values[high - 1] - values[low - 1]) / 2 * 1000


@dataclass(frozen=True)
class Figure:
    """Something measured; `bar` is what we allow ourselves, None where there is none.

    `noise` is by how much it may be wrong: 0 for what is counted and not measured, None when that isn't known.
    `detail` is shown, and is no part of the name.
    """

    name: str
    measured: float
    bar: float | None = None
    unit: str = "ms"
    noise: float | None = None
    better: Better = Better.LESS
    detail: str = ""

    @classmethod
    def of(cls, name: str, sample: Sample, share: float = 0.95, bar: float | None = None) -> "Figure":
        """A quantile of a sample."""
        measured = sample.median if share == 0.5 else sample.quantile(share)
        return cls(name, measured, bar, noise=sample.noise(share))

    @classmethod
    def between(cls, name: str, ours: Sample, theirs: Sample, bar: float | None = None) -> "Figure":
        """How much larger the median of ours is than the median of theirs."""
        noises = ours.noise(), theirs.noise()
        noise = None if None in noises else math.hypot(*(each for each in noises if each is not None))
        return cls(name, ours.median - theirs.median, bar, noise=noise)

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        if self.bar is None:
            return True
        return self.measured <= self.bar if self.better is Better.LESS else self.measured >= self.bar

    @property
    def verdict(self) -> str:
        """The last column."""
        if self.bar is None:
            return "no bar"
        return "met" if self.met else "**missed**"


@dataclass(frozen=True)
class Summary:
    """What is kept of a sample, in milliseconds; `noise` is that of the median."""

    name: str
    count: int
    p50: float
    p95: float
    noise: float | None = None

    @classmethod
    def of(cls, sample: Sample) -> "Summary":
        """Of everything that was measured."""
        return cls(sample.name, len(sample.seconds), sample.median, sample.p95, sample.noise())


@dataclass(frozen=True)
class Table:
    """Something else that is shown, and compared with nothing: Markdown in each cell."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    """How many columns there are before those of numbers."""


@dataclass(frozen=True)
class Machine:
    """Where something was measured, and what else the machine did: its load before and after, None if not known."""

    cores: int
    architecture: str
    python: str
    load_before: float | None = None
    load_after: float | None = None

    @classmethod
    def here(cls, load: float) -> "Machine":
        """This one, after the measuring; `load` was its load before."""
        now = round(os.getloadavg()[0], 1)
        return cls(os.cpu_count() or 1, platform.machine(), platform.python_version(), round(load, 1), now)


@dataclass(frozen=True)
class Measured:
    """All that one run of a bench found; `commit` is None when it isn't known. `note` ends the first line."""

    at: datetime
    machine: Machine
    figures: tuple[Figure, ...]
    samples: tuple[Summary, ...] = ()
    tables: tuple[Table, ...] = ()
    note: str = ""
    commit: str | None = None

    def rounded(self) -> "Measured":
        """As it is kept: six digits of each number, so that the file and the page say the same."""
        figures = tuple(
            replace(figure, measured=_six(figure.measured), noise=_six_or_none(figure.noise)) for figure in self.figures
        )
        samples = tuple(
            replace(one, p50=_six(one.p50), p95=_six(one.p95), noise=_six_or_none(one.noise)) for one in self.samples
        )
        return replace(self, figures=figures, samples=samples)


def _six(number: float) -> float:
    return float(f"{number:.6g}")


def _six_or_none(number: float | None) -> float | None:
    return None if number is None else _six(number)


def machine(load: float, now: datetime) -> str:
    """When and where; `load` is the machine's before the measuring began."""
    return where(Machine.here(load), now)


def where(there: Machine, at: datetime) -> str:
    """A sentence about the machine."""
    if there.load_before is None or there.load_after is None:
        load = "load not known"
    else:
        load = f"load {there.load_before:.1f} before and {there.load_after:.1f} after"
    return f"{at:%Y-%m-%d %H:%M} UTC, {there.cores} cores ({there.architecture}), Python {there.python}, {load}."


def shown(number: float, unit: str) -> str:
    """A value with its unit: three digits at least."""
    return f"{number:.0f} {unit}".rstrip() if abs(number) >= 100 else f"{number:.3g} {unit}".rstrip()


def markdown(measured: Measured) -> str:
    """The line about the machine, and the tables."""
    lines = [f"{where(measured.machine, measured.at)} {measured.note}".rstrip()]
    if measured.figures:
        lines += ["", "| figure | measured | bar | |", "|---|--:|--:|---|"]
    for one in measured.figures:
        bar = "" if one.bar is None else shown(one.bar, one.unit)
        name = f"{one.name} ({one.detail})" if one.detail else one.name
        lines.append(f"| {name} | {shown(one.measured, one.unit)} | {bar} | {one.verdict} |")
    if measured.samples:
        lines += ["", "| what | count | p50 | p95 |", "|---|--:|--:|--:|"]
    for each in measured.samples:
        lines.append(f"| {each.name} | {each.count} | {shown(each.p50, 'ms')} | {shown(each.p95, 'ms')} |")
    for table in measured.tables:
        edges = ["---" if number < table.words else "--:" for number in range(len(table.head))]
        lines += ["", f"| {' | '.join(table.head)} |", f"|{'|'.join(edges)}|"]
        lines += [f"| {' | '.join(row)} |" for row in table.rows]
    return "\n".join(lines)
