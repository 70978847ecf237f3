"""The packages in an image, Debian's and Python's, listed inside a running container.

`packages.tsv` is their text form: a line for each package with kind, name, version, architecture and source, separated
by tabs, sorted, without a header.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from packaging.utils import canonicalize_name

from images.docker import Docker
from images.errors import ImageRecordUnreadable

Kind = Literal["deb", "pypi"]
KINDS: Final[tuple[Kind, ...]] = ("deb", "pypi")

LIMIT = 60.0
"""Time limit in seconds for listing packages."""

_GONE = ("not-installed", "config-files")
"""States in which only the configuration of a Debian package is left; see dpkg(1)."""

_DEB = r"deb\t${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n"

# `Name` and `Version` are at the top of each METADATA, in either order, and occur once:
# https://packaging.python.org/en/latest/specifications/core-metadata/. Volumes aren't part of the image (-xdev).
_LOOK = f"""
if command -v dpkg-query >/dev/null; then dpkg-query --show --showformat='{_DEB}' || exit; fi
if command -v find >/dev/null && command -v grep >/dev/null; then
  find / -xdev -path '*.dist-info/METADATA' -type f -exec grep -H -m 2 -E '^(Name|Version): ' '{{}}' + || :
fi
"""


@dataclass(frozen=True, order=True)
class Package:
    """One installed package. Names of Python's are normalised (PEP 503), and they have no architecture.

    `source` is the Debian source package and its version, `glibc@2.36-9+deb12u10`: Debian's security tracker knows
    only those.
    """

    kind: Kind
    name: str
    version: str
    architecture: str = ""
    source: str = ""


def list_packages(docker: Docker, container: str) -> tuple[Package, ...]:
    """The packages in a running container, sorted; of those that have metadata of dpkg or Python.

    Needs one `docker exec`, as root, because only root can read some metadata. Raises CommandFailed if the
    container isn't running or has no shell, and DockerUnavailable.
    """
    return parse(docker.exec(container, ["sh", "-c", _LOOK], user="0", limit=LIMIT))


def parse(said: str) -> tuple[Package, ...]:
    """The packages from the output of the script."""
    found: set[Package] = set()
    python: dict[str, dict[str, str]] = {}
    for line in said.splitlines():
        kind, _, rest = line.partition("\t")
        if kind == "deb" and rest:
            status, name, version, architecture, source, source_version = rest.split("\t")
            if status not in _GONE:
                found.add(Package("deb", name, version, architecture, f"{source}@{source_version}"))
        elif "/METADATA:" in line:
            path, _, header = line.partition("/METADATA:")
            field, _, value = header.partition(": ")
            python.setdefault(path, {}).setdefault(field, " ".join(value.split()))
    for fields in python.values():
        if fields.keys() >= {"Name", "Version"}:
            found.add(Package("pypi", canonicalize_name(fields["Name"]), fields["Version"]))
    return tuple(sorted(found))


def to_text(packages: Iterable[Package]) -> str:
    """The content of `packages.tsv`."""
    rows = ((each.kind, each.name, each.version, each.architecture, each.source) for each in sorted(packages))
    return "".join("\t".join(row) + "\n" for row in rows)


def from_text(text: str) -> tuple[Package, ...]:
    """The packages of a `packages.tsv`, sorted. Raises ImageRecordUnreadable naming the line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        columns = line.split("\t")
        kind = next((kind for kind in KINDS if kind == columns[0]), None)
        if kind is None or len(columns) != 5 or not all(columns[1:3]):
            raise ImageRecordUnreadable(f"Line {number} of the list of packages names no package.")
        found.append(Package(kind, *columns[1:]))
    return tuple(sorted(found))
