"""What differs between two runs of a bench by more than the noise of both."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.figures import Better, Figure, Measured, Summary, shown

UNKNOWN = 0.25
"""The noise, as a share of the value, of what was measured once."""

LEAST = 0.05
"""Less than this share of the kept value isn't a difference: two runs of the same code on an idle machine differ so."""

_WORSE = {"ms": "slower", "s": "slower", "KB": "larger", "MB": "larger", "KiB": "larger", "MiB": "larger"}
_BETTER = {"slower": "faster", "larger": "smaller", "higher": "lower", "lower": "higher"}


@dataclass(frozen=True)
class Difference:
    """A figure that differs: `by` is how much larger it is now, `noise` that of both runs together."""

    figure: Figure
    before: float
    noise: float

    @property
    def by(self) -> float:
        """In the figure's unit."""
        return self.figure.measured - self.before

    @property
    def worse(self) -> bool:
        """Whether it went the wrong way."""
        return (self.by > 0) is (self.figure.better is Better.LESS)

    def __str__(self) -> str:
        unit = self.figure.unit
        word = _WORSE.get(unit, "higher") if self.figure.better is Better.LESS else "lower"
        word = word if self.worse else _BETTER[word]
        share = f", {self.by / abs(self.before) * 100:+.0f} %" if self.before else ""
        return (
            f"{word}: {self.figure.name}: {shown(self.figure.measured, unit)}, was {shown(self.before, unit)}"
            f"{share}; noise {shown(self.noise, unit)}"
        )


@dataclass(frozen=True)
class Comparison:
    """Of one bench: `added` and `missing` name what only one of both runs has, `same` counts what doesn't differ."""

    kept: Measured
    differences: tuple[Difference, ...]
    same: int
    added: tuple[str, ...]
    missing: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """What is told about it."""
        commit = f"commit {self.kept.commit}" if self.kept.commit else "commit unknown"
        yield f"Compared with the kept figures of {self.kept.at:%Y-%m-%d %H:%M} UTC ({commit}):"
        for difference in sorted(self.differences, key=lambda each: not each.worse):
            yield f"  {difference}."
        yield f"  {self.same} {'differs' if self.same == 1 else 'differ'} by no more than noise."
        if self.added:
            yield f"  Not kept so far: {'; '.join(self.added)}."
        if self.missing:
            yield f"  Kept, and not measured now: {'; '.join(self.missing)}."


def compare(kept: Measured, now: Measured) -> Comparison:
    """Compares all figures, and the medians of all samples, by their names.

    On a machine that had other work only what is counted is compared: see `busy`.
    """
    before, after = _by_name(kept), _by_name(now)
    both = [name for name in after if name in before]
    if any(busy(kept, now)):
        both = [name for name in both if before[name].noise == after[name].noise == 0]
    differences = [found for name in both if (found := _difference(before[name], after[name])) is not None]
    return Comparison(
        kept,
        tuple(differences),
        len(both) - len(differences),
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
    )


def unlike(kept: Measured, now: Measured) -> Iterator[str]:
    """How the machines differ, if they do so much that nothing can be compared."""
    then, here = kept.machine, now.machine
    if then.cores != here.cores:
        yield f"the kept figures are of {then.cores} cores, these of {here.cores}"
    if then.architecture != here.architecture:
        yield f"the kept figures are of {then.architecture}, these of {here.architecture}"


def busy(kept: Measured, now: Measured) -> Iterator[str]:
    """Which of both runs began on a machine with other work for all of its cores."""
    for of, machine in (("the machine of the kept figures", kept.machine), ("this machine", now.machine)):
        if machine.load_before is not None and machine.load_before > machine.cores:
            yield f"{of} had other work (load {machine.load_before:.1f} on {machine.cores} cores)"


def _difference(before: Figure, after: Figure) -> Difference | None:
    noise = _noise(before) + _noise(after)
    found = Difference(after, before.measured, noise)
    return found if abs(found.by) > max(noise, LEAST * abs(before.measured)) else None


def _by_name(measured: Measured) -> dict[str, Figure]:
    return {one.name: one for one in (*measured.figures, *(_median(sample) for sample in measured.samples))}


def _median(sample: Summary) -> Figure:
    return Figure(f"{sample.name}, p50", sample.p50, noise=sample.noise)


def _noise(figure: Figure) -> float:
    return UNKNOWN * abs(figure.measured) if figure.noise is None else figure.noise
