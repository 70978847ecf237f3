"""Versions of tools, and ranges of versions."""

import re
from dataclasses import dataclass
from functools import total_ordering

_VERSION = re.compile(r"(?<![\w.])v?(\d+)\.(\d+)(?:\.(\d+))?(-[0-9A-Za-z][0-9A-Za-z.]*|(?:rc|beta|alpha)\d+)?")
_BOUND = re.compile(r"(>=|<)\s*(\d+(?:\.\d+){0,2})")


@total_ordering
@dataclass(frozen=True)
class Version:
    """Three numbers, and a pre-release such as `-rc.1`, which sorts before its release.

    Build metadata such as `+ent` is ignored.
    """

    numbers: tuple[int, int, int]
    pre: str = ""

    @classmethod
    def parse(cls, text: str) -> "Version":
        """The version at the beginning of `text`, or ValueError."""
        if (found := cls.find(text)) is None or not re.match(r"v?\d", text):
            raise ValueError(f"not a version: {text!r}")
        return found

    @classmethod
    def find(cls, text: str) -> "Version | None":
        """The first version that a tool's output mentions: `Nomad v1.10.5`, `go version go1.24.7 linux/amd64`."""
        found = _VERSION.search(re.sub(r"\bgo(?=\d)", "", text))
        if found is None:
            return None
        major, minor, patch, pre = found.groups()
        return cls((int(major), int(minor), int(patch or 0)), pre or "")

    def __lt__(self, other: "Version") -> bool:
        return (self.numbers, not self.pre, self.pre) < (other.numbers, not other.pre, other.pre)

    def __str__(self) -> str:
        return ".".join(map(str, self.numbers)) + self.pre


@dataclass(frozen=True)
class Range:
    """Versions from `low` up to but not including `high`. It never contains pre-releases and development builds."""

    low: Version
    high: Version

    @classmethod
    def parse(cls, text: str) -> "Range":
        """Read `>=1.10,<2`; ValueError for anything else."""
        bounds = dict(_BOUND.findall(text))
        if re.sub(r"[\s,]", "", _BOUND.sub("", text)) or set(bounds) != {">=", "<"}:
            raise ValueError(f"not a range such as >=1.10,<2: {text!r}")
        return cls(*(_padded(bounds[sign]) for sign in (">=", "<")))

    def __contains__(self, version: Version) -> bool:
        return not version.pre and self.low <= version < self.high

    def __str__(self) -> str:
        return f"{_short(self.low)} or later, before {_short(self.high)}"


def _padded(text: str) -> Version:
    numbers = [int(part) for part in text.split(".")]
    major, minor, patch = (*numbers, 0, 0)[:3]
    return Version((major, minor, patch))


def _short(version: Version) -> str:
    major, minor, patch = version.numbers
    return f"{major}.{minor}.{patch}" if patch else f"{major}.{minor}"
