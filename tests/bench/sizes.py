"""`doit bench:sizes`: what is in each image, by component, beside what the image starts from.

Every file that the parent lacks, or that differs there, counts for the first of these that it belongs to: a program of
/usr/local/bin, a provider of OpenTofu, this project, a library of Python, a Debian package. What belongs to none is the
rest.
"""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel
from images.pipeline.prepare import PACKAGES
from images.pipeline.recipe import load_recipes
from images.places import state_folder
from images.report import console, size
from tests.bench.figures import Figure, Table
from tests.bench.telling import Run

LIMIT = 120.0
"""Seconds that listing the files of an image may take."""

LARGE = 2 * 1024 * 1024
"""Bytes from which a component has a line of its own."""

DEBIAN, REST = "Debian: ", "the rest"

LISTED = """
import glob, json, os, stat
places = {}
def place(path):
    folder, name = os.path.split(path)
    if folder not in places:
        places[folder] = os.path.realpath(folder)
    return os.path.join(places[folder], name)
files, seen = {}, set()
top = os.stat("/").st_dev
for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if os.lstat(os.path.join(folder, name)).st_dev == top]
    for name in names:
        path = os.path.join(folder, name)
        facts = os.lstat(path)
        if stat.S_ISREG(facts.st_mode) and facts.st_dev == top and facts.st_ino not in seen:
            seen.add(facts.st_ino)
            files[path] = [facts.st_size, facts.st_mtime_ns]
owners = {}
for listing in glob.glob("/var/lib/dpkg/info/*.list"):
    package = os.path.basename(listing)[:-5].partition(":")[0]
    for line in open(listing):
        path = place(line.rstrip("\\n"))
        if path in files:
            owners[path] = package
print(json.dumps({"files": files, "owners": owners}))
"""
"""Prints the regular files of a container, a hard link once, and which Debian package each is of."""


@dataclass(frozen=True)
class Content:
    """Files by their path, with size in bytes and time of change; `owners` says which Debian package they are of."""

    files: Mapping[str, tuple[int, int]]
    owners: Mapping[str, str]


def main() -> bool:
    """Measures the good images, prints and compares their sizes, and keeps them."""
    catalogue, report = Catalogue(state_folder()), console()
    run = Run("bench:sizes", report)
    contents: dict[str, Content] = {}
    figures: list[Figure] = []
    rows: list[tuple[str, ...]] = []
    for name, recipe in load_recipes().items():
        record = catalogue.at(name, Channel.QA)
        if record is None:
            report(f"There is no good image {name}; make it with `doit build:{name}`.")
            return False
        contents[name] = content = list_content(record.image_id)
        figures.append(Figure(f"image {name}", record.size / 1024**2, unit="MiB", noise=0))
        parent = recipe.image.parent
        if parent is not None:
            before = catalogue.at(parent, Channel.QA)
            rows.append((name, f"what it starts from: {parent}", size(before.size if before else 0)))
            rows += [(name, what, size(count)) for what, count in _shown(own(content, contents[parent]))]
    run.tell(figures, tables=[Table(("image", "component", "size"), tuple(rows), words=2)])
    return True


def list_content(image: str) -> Content:
    """What is in an image, as its root sees it. Raises CalledProcessError when its Python can't be run."""
    command = ["docker", "run", "--rm", "--network=none", "--user=0", "--entrypoint=python3", image, "-I", "-c", LISTED]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT, check=True)
    found = json.loads(done.stdout)
    return Content({path: (facts[0], facts[1]) for path, facts in found["files"].items()}, found["owners"])


def own(content: Content, parent: Content) -> Counter[str]:
    """Bytes by component, of what the parent lacks or has otherwise."""
    sizes: Counter[str] = Counter()
    for path, facts in content.files.items():
        if parent.files.get(path) != facts:
            sizes[component(path, content.owners.get(path))] += facts[0]
    return sizes


def component(path: str, package: str | None) -> str:
    """What a file is part of; `package` is the Debian package that it came with."""
    if (library := re.search(r"/site-packages/([^/]+)", path)) is not None:
        name = library[1].partition(".")[0]
        return "this project" if name in PACKAGES or name.startswith("calvinverse-") else "libraries of Python"
    name = PurePosixPath(path).name
    if path.startswith("/usr/local/bin/"):
        return f"`{name}`"
    if name.startswith("terraform-provider-"):
        return f"`{name.partition('_')[0]}`"
    return REST if package is None else f"{DEBIAN}{package}"


def _shown(sizes: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Large ones first; small ones of Debian as one, and all others as the rest."""
    large = {name: count for name, count in sizes.items() if count >= LARGE and name != REST}
    yield from sorted(large.items(), key=lambda each: -each[1])
    small = {name: count for name, count in sizes.items() if name not in large}
    of_debian = sum(count for name, count in small.items() if name.startswith(DEBIAN))
    if of_debian:
        yield "other Debian packages", of_debian
    yield REST, sum(small.values()) - of_debian
