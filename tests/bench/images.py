"""`doit bench:images`: the whole set of images, ours beside plain `packer build` of the same recipes.

Both make the same things ready beforehand and run as many recipes side by side. Ours leaves validation out here, for a
plain script has none: what is left is the keys, records, locks, labels and tags.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from images import toolchain
from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel
from images.docker import Docker
from images.pipeline.builder import Builder
from images.pipeline.preparation import Preparation
from images.pipeline.prepare import prepare, remove_work
from images.pipeline.recipe import Recipe, load_recipes
from images.places import CACHE_VARIABLE, CHECKOUT, cache_folder, state_folder
from images.report import PlainReport, Report, console, size
from tests.bench.figures import Figure, Sample, Table
from tests.bench.telling import Run

ENOUGH = 3
"""Pairs that the page in the docs is made from; fewer show a tendency."""

NOTHING = 7
"""How often a run that has nothing to do is measured."""

LIMIT = 1200.0

PIP_CACHE = "PIP_CACHE_DIR"
"""The variable by which pip knows where to keep what it fetched."""


@dataclass(frozen=True)
class Round:
    """Seconds of one round of ours and of the plain script."""

    ours: float
    plain: float

    @property
    def overhead(self) -> float:
        """How much longer ours took, in per cent."""
        return (self.ours / self.plain - 1) * 100


def main(pairs: int = ENOUGH, parallel: int = 2) -> bool:
    """Measures, prints and compares the figures, and keeps them if there were enough pairs."""
    report = console()
    run = Run("bench:images", report)
    recipes = load_recipes()
    with _cold_cache():
        report(f"Cold: {len(recipes)} images, {parallel} at a time, no wheels and no images there.")
        cold = _round(recipes, parallel, report, first_ours=True, between=_forget_wheels)
        warm = []
        for number in range(pairs):
            report(f"Warm, pair {number + 1} of {pairs}.")
            warm.append(_round(recipes, parallel, report, first_ours=number % 2 == 0))
    report("Nothing to do.")
    nothing = sorted(_no_op(parallel) for _ in range(NOTHING))
    run.tell(
        _figures(warm, nothing),
        tables=[_rounds(cold, warm), _sizes()],
        note=f"{parallel} at a time.",
        too_few="" if pairs >= ENOUGH else f"{ENOUGH} pairs",
    )
    return True


def _round(
    recipes: dict[str, Recipe],
    parallel: int,
    report: Report,
    *,
    first_ours: bool,
    between: Callable[[], None] = lambda: None,
) -> Round:
    took: dict[str, float] = {}
    runs = {"ours": _ours, "plain": _plain}
    between()
    for name in ("ours", "plain") if first_ours else ("plain", "ours"):
        began = time.monotonic()
        made = runs[name](recipes, parallel)
        took[name] = time.monotonic() - began
        report(f"  {name}: {took[name]:.1f} s")
        for image_id in reversed(made):
            Docker().remove_untagged(image_id)
        between()
    return Round(took["ours"], took["plain"])


def _ours(recipes: dict[str, Recipe], parallel: int) -> list[str]:
    """The builder, without validation; gives the ids of the images."""
    with tempfile.TemporaryDirectory(prefix="calvinverse-bench-") as state, Path(os.devnull).open("w") as nowhere:
        builder = Builder(state=Path(state), anew=True, validates=False)
        report = PlainReport(nowhere)

        def make(recipe: Recipe, parent: str) -> str:
            return builder.build_one(recipe.name, report).image_id

        return _in_order(recipes, parallel, make)


def _plain(recipes: dict[str, Recipe], parallel: int) -> list[str]:
    """What somebody would write who has the recipes and Packer and nothing else; gives the ids of the images."""
    packer = str(toolchain.require("packer")["packer"])
    environment = {**os.environ, **toolchain.packer_environment()}

    def make(recipe: Recipe, parent: str) -> str:
        work = Path(tempfile.mkdtemp(prefix="calvinverse-bench-"))
        work.chmod(0o711)
        try:
            prepare(Preparation(recipe, work, work / "log", CHECKOUT, parent), lambda step: None)
            values = {
                **recipe.build.variables,
                "work": str(work),
                "python": sys.executable,
                "parent": parent,
                "container": work.name,
                "labels": json.dumps({"bench": "plain"}),
                "source_date_epoch": "1735689600",
            }
            variables = {f"PKR_VAR_{name}": value for name, value in values.items()}
            command = [packer, "build", str(recipe.packer_folder)]
            _run(command, {**environment, **variables, "TMPDIR": str(work)})
            if (work / "image.tar").exists():
                said = _run(["docker", "load", "--quiet", "--input", str(work / "image.tar")], environment)
                return said.strip().rpartition("ID: ")[2]
            built = json.loads((work / "manifest.json").read_text())["builds"][-1]
            return str(built["artifact_id"])
        finally:
            remove_work(work)

    return _in_order(recipes, parallel, make)


def _in_order(recipes: dict[str, Recipe], parallel: int, make: Callable[[Recipe, str], str]) -> list[str]:
    """Makes each image as soon as the one that it starts from is there, so many at a time."""
    made: dict[str, str] = {}
    with ThreadPoolExecutor(parallel) as pool:
        waiting = dict(recipes)
        while waiting:
            ready = [recipe for recipe in waiting.values() if (recipe.image.parent or "") in {"", *made}]
            parents = [made.get(recipe.image.parent or "", "") for recipe in ready]
            for recipe, image_id in zip(ready, pool.map(make, ready, parents), strict=True):
                made[recipe.name] = image_id
                del waiting[recipe.name]
    return list(made.values())


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=LIMIT, check=True
    )
    return done.stdout


def _no_op(parallel: int) -> float:
    began = time.monotonic()
    _run([sys.executable, "-m", "doit", "-n", str(parallel), "build"], dict(os.environ))
    return time.monotonic() - began


@contextmanager
def _cold_cache() -> Iterator[None]:
    """Caches, ours and pip's, that have the tools and no wheels, for as long as this lasts."""
    before = {name: os.environ.get(name) for name in (CACHE_VARIABLE, PIP_CACHE)}
    there = cache_folder()
    with tempfile.TemporaryDirectory(prefix="calvinverse-bench-cache-") as folder:
        for path in there.iterdir():
            if path.name not in ("wheelhouse", "pip"):
                (Path(folder) / path.name).symlink_to(path)
        os.environ |= {CACHE_VARIABLE: folder, PIP_CACHE: str(Path(folder) / "pip")}
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _forget_wheels() -> None:
    for name in ("wheelhouse", "pip"):
        shutil.rmtree(cache_folder() / name, ignore_errors=True)


def _figures(warm: list[Round], nothing: list[float]) -> list[Figure]:
    overheads = [each.overhead for each in warm]
    idle = Sample("", nothing)
    return [
        Figure(
            f"overhead, median of {len(warm)} warm pairs",
            statistics.median(overheads),
            10,
            "%",
            noise=(max(overheads) - min(overheads)) / 2 if len(warm) > 1 else None,
        ),
        Figure.of(f"`doit build` with nothing to do, median of {len(nothing)}", idle, 0.5, 2000),
    ]


def _rounds(cold: Round, warm: list[Round]) -> Table:
    rounds = [("cold", cold), *(("warm", each) for each in warm)]
    return Table(
        ("round", "ours, without validation", "plain Packer", "overhead"),
        tuple((name, f"{each.ours:.1f} s", f"{each.plain:.1f} s", f"{each.overhead:+.1f} %") for name, each in rounds),
    )


def _sizes() -> Table:
    catalogue = Catalogue(state_folder())
    rows = []
    for name in load_recipes():
        record = catalogue.at(name, Channel.QA)
        if record is None:
            continue
        parent = (catalogue.docker.inspect(record.parent_id) or {}).get("Size", 0) if record.parent_id else 0
        taken = record.validation.seconds if record.validation else 0.0
        packages = str(len(catalogue.packages(record)))
        rows.append((name, size(record.size), size(record.size - parent), packages, f"{taken:.1f} s"))
    return Table(("image", "size", "of that its own", "packages", "validation took"), tuple(rows))
