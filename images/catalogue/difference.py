"""The differences between two lists of packages."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from debian_inspector.version import Version as DebianVersion
from packaging.version import InvalidVersion
from packaging.version import Version as PythonVersion

from images.catalogue.packages import Kind, Package


@dataclass(frozen=True, order=True)
class Change:
    """One package with its two versions. `before` and `after` have the same kind and name."""

    before: Package
    after: Package


@dataclass(frozen=True)
class Difference:
    """The packages that differ, each list sorted.

    `changed` are those whose versions differ and are neither older nor newer: `1.0` and `1.0.0`, another architecture,
    or versions that don't follow the rules of their kind.
    """

    added: tuple[Package, ...] = ()
    removed: tuple[Package, ...] = ()
    upgraded: tuple[Change, ...] = ()
    downgraded: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.upgraded, self.downgraded, self.changed))


def difference(before: Iterable[Package], after: Iterable[Package]) -> Difference:
    """The differences of `after` from `before`.

    A package with several versions on one side isn't *changed* unless only one version differs. Its versions are added
    and removed, because it is unknown which version replaced which.
    """
    old, new = set(before), set(after)
    lost, came = _by_name(old - new), _by_name(new - old)
    added: list[Package] = []
    removed: list[Package] = []
    moves: dict[int | None, list[Change]] = defaultdict(list)
    for key in lost.keys() | came.keys():
        gone, here = lost.get(key, []), came.get(key, [])
        pairs = _pairs(gone, here)
        removed += [package for package in gone if package not in {pair.before for pair in pairs}]
        added += [package for package in here if package not in {pair.after for pair in pairs}]
        for pair in pairs:
            moves[compare(pair.before, pair.after)].append(pair)
    return Difference(
        added=tuple(sorted(added)),
        removed=tuple(sorted(removed)),
        upgraded=tuple(sorted(moves[-1])),
        downgraded=tuple(sorted(moves[1])),
        changed=tuple(sorted(moves[0] + moves[None])),
    )


def compare(first: Package, second: Package) -> int | None:
    """-1, 0 or 1 as the first version is older, equal or newer; None if they can't be compared.

    Debian's order is that of deb-version(7), Python's that of
    https://packaging.python.org/en/latest/specifications/version-specifiers/ (PEP 440).
    """
    if first.version == second.version:
        return 0
    read = DebianVersion.from_string if first.kind == "deb" else PythonVersion
    try:
        one, other = read(first.version), read(second.version)
    except (ValueError, InvalidVersion):
        return None
    return -1 if one < other else 1 if other < one else 0


def _by_name(packages: Iterable[Package]) -> Mapping[tuple[Kind, str], list[Package]]:
    found: dict[tuple[Kind, str], list[Package]] = defaultdict(list)
    for package in packages:
        found[package.kind, package.name].append(package)
    return found


def _pairs(gone: list[Package], here: list[Package]) -> list[Change]:
    """Pairs the packages of one name: one with one, else by architecture."""
    if len(gone) == len(here) == 1:
        return [Change(gone[0], here[0])]
    pairs = []
    for architecture in {package.architecture for package in gone}:
        old = [package for package in gone if package.architecture == architecture]
        new = [package for package in here if package.architecture == architecture]
        if len(old) == len(new) == 1:
            pairs.append(Change(old[0], new[0]))
    return pairs
