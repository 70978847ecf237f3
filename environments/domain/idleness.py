"""Whether an environment is idle: pure rules on what was measured. What wasn't measured counts as busy.

Health checks move bytes too. How many of them reach an allocation a minute is known from its job; how large they are
isn't. So bytes are sampled more often than checks come, and as many samples as there were checks are taken for checks:
the largest ones, each up to `LARGEST_CHECK`. What is left is what others have moved. A request that comes in the same
sample as a check is hidden by it, one in another sample isn't.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import NamedTuple

LARGEST_CHECK = 16 * 1024
"""Bytes that one check can move in both directions; more isn't taken for a check."""

LONGEST_SAMPLE = 1.0
"""Seconds; a longer sample has checks and other things in one, which can't be told apart."""

_NOISE = 200
"""Bytes up to which a sample holds neither a check nor a request: fewer than open and close a connection."""

_MOST_NOISE = 60
"""Such samples of a minute that a bridge causes by itself: more of them are traffic."""

_MOST_OF_SAMPLES = 0.5
"""The share of the samples that may be checks: with more of them nothing can be told of the rest."""

_SEEN = 0.9
"""The share of the checks that have to be seen: with fewer, several come at once, and would hide other things."""


class Sample(NamedTuple):
    """How many bytes were moved in so many seconds."""

    seconds: float
    moved: int


class Slice(NamedTuple):
    """What was measured in a time. `cpu`: MHz; `bytes`: a minute, without health checks; None: not measured."""

    begin: datetime
    end: datetime
    cpu: float | None
    bytes: float | None


def moved_by_others(samples: Sequence[Sample], checks: Sequence[float]) -> float | None:
    """How many bytes of these samples aren't those of health checks; None: that can't be told.

    `checks`: how often a minute each of them comes.
    """
    short = [one for one in samples if one.seconds <= LONGEST_SAMPLE]
    if not short:
        return None
    minutes = sum(one.seconds for one in short) / 60
    expected = sum(checks) * minutes
    count = math.ceil(expected) + len(checks)
    sizes = sorted((one.moved for one in short if one.moved > _NOISE), reverse=True)
    noise = sorted((one.moved for one in short if 0 < one.moved <= _NOISE), reverse=True)
    if count > len(short) * _MOST_OF_SAMPLES or len(sizes) < expected * _SEEN - len(checks):
        return None
    left: float = sum(max(0, size - LARGEST_CHECK) for size in sizes[:count]) + sum(sizes[count:])
    left += sum(noise[math.ceil(_MOST_NOISE * minutes) :])
    usual = min(LARGEST_CHECK, median(sizes[:count] or [0]))
    for one in samples:
        if one.seconds > LONGEST_SAMPLE:
            left += max(0.0, one.moved - usual * math.ceil(sum(checks) * one.seconds / 60))
    return left


class Quiet:
    """Since when an environment has been below the thresholds of one trigger, slice by slice."""

    def __init__(self, cpu: float | None, moved: int | None) -> None:
        """`cpu`: MHz; `moved`: bytes a minute; None: that doesn't count."""
        self._cpu = cpu
        self._moved = moved
        self.since: datetime | None = None
        """None: it isn't."""
        self.until: datetime | None = None
        """The end of the last slice."""
        self.last: Slice | None = None

    def add(self, one: Slice) -> None:
        """The next slice."""
        quiet = _below(one.cpu, self._cpu) and _below(one.bytes, self._moved)
        if not quiet:
            self.since = None
        elif self.since is None:
            self.since = one.begin
        self.until, self.last = one.end, one


def _below(measured: float | None, most: float | None) -> bool:
    return most is None or (measured is not None and measured <= most)
