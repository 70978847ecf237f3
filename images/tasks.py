"""The actions of the task graph for this machine, its tools and images."""

from images.assets import ensure_assets
from images.browser import ensure_browser
from images.catalogue import promotion
from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel
from images.docker_engine import ensure_engine
from images.errors import InvalidRecipe, ToolBuildFailed, ToolsMissing
from images.job_networks import ensure_plugins
from images.names import RENAME, misnamed_folders
from images.pipeline.builder import Builder
from images.pipeline.check import check_recipes
from images.pipeline.recipe import load_recipes, with_parents
from images.postgres_server import ensure_postgres
from images.report import Report, console
from images.toolchain import DEPLOYED, NAMES, PROVIDERS, TESTS_ONLY, ensure, find_all, locate
from images.toolchain.__main__ import offer
from images.toolchain.clean import removable
from images.toolchain.find import Found


def tools() -> None:
    """Find or build every tool that a deployment needs, and report the versions."""
    report = console()
    ensure(DEPLOYED, report)
    found = {tool.name: seen for tool, seen in find_all().items() if isinstance(seen, Found)}
    report("; ".join(f"{name} {seen.version} ({seen.origin})" for name, seen in found.items()))


def docker() -> None:
    """Make sure that a Docker engine answers, and that jobs can have networks of their own, as far as that goes."""
    report = console()
    report(f"Docker engine {ensure_engine(report)}")
    ensure_plugins(report)


def postgres() -> None:
    """Make sure that PostgreSQL is installed, and report its version."""
    report = console()
    found = ensure_postgres(report)
    report(f"PostgreSQL {found.version} in {found.folder}")


def browser() -> None:
    """Make sure that a browser is installed, and report where."""
    report = console()
    report(f"Chromium: {ensure_browser(report)}")


def assets() -> None:
    """Make sure that the files of npm packages that pages use are in the cache, and report where."""
    report = console()
    report(f"Files of pages: {ensure_assets(report)}")


def forge() -> None:
    """Find or build Gitea, the forge of tests, and beside it what `tools` would build, which shares the cores.

    A failure is reported and no more: the tests that need the forge will fail and say so, and all others run.
    """
    report = console()
    try:
        ensure((*NAMES, *TESTS_ONLY), report)
    except (ToolBuildFailed, ToolsMissing) as error:
        report(f"{error.message}\n{error.hint}")
    found = locate("gitea")
    report(f"Gitea: {found}" if found else "There is no Gitea: every test that needs a forge will fail.")


def providers() -> None:
    """Find or build every provider of OpenTofu."""
    ensure(PROVIDERS, console())


def recipes() -> None:
    """Check every recipe before anything is built, and name the folders that can't be images."""
    for sentence in misnamed_folders().values():
        console()(f"Warning: {sentence} {RENAME}")
    count, looked = check_recipes()
    if looked:
        console()(f"The recipes of {count} images are valid.")


def build(image: str, anew: bool = False) -> None:
    """Build and validate an image if its inputs changed, and the tools that it contains."""
    report = console()
    _ensure_binaries(image, report)
    Builder(anew=anew).build_one(image, report)


def refuse(folder: str) -> None:
    """Say why a folder of images/ is never built. Raises InvalidRecipe."""
    if (sentence := misnamed_folders().get(folder)) is not None:
        raise InvalidRecipe(sentence, hint=RENAME)


def built() -> None:
    """Keep the images current that were built on request before, and report the validated images."""
    report = console()
    catalogue = Catalogue()
    for name, recipe in load_recipes().items():
        if recipe.image.on_request and catalogue.at(name, Channel.QA) is not None:
            build(name)
    known = {name: catalogue.at(name, Channel.QA) for name in load_recipes()}
    report("Good: " + ", ".join(found.reference for found in known.values() if found is not None))
    report("See them with `calvinverse image list`; run them with `doit deploy`.")


def validate(image: str) -> None:
    """Validate an image again."""
    report = console()
    _ensure_binaries(image, report)
    Builder().validate(image, report)


def _ensure_binaries(image: str, report: Report) -> None:
    """Find or build the tools that an image and its parents contain: not every one is built for all deployments."""
    ensure({name for recipe in with_parents(load_recipes(), [image]) for name in recipe.build.binaries}, report)


def promote(image: str, build: str = "", undo: bool = False) -> None:
    """Move production to a build of an image, or undo that."""
    report = console()
    catalogue = Catalogue()
    if undo:
        left, now = promotion.undo(catalogue, image)
        report(
            f"{image}: {left.reference} is no longer in production; "
            + (f"{now.reference} is again." if now else "nothing is.")
        )
        return
    record = promotion.promote(catalogue, image, build or Channel.QA)
    report(f"{image}: {record.reference} is in production.")
    report(f"Deploy it with `doit deploy --channel production`; take it back with `doit promote:{image} --undo`.")


def tidy() -> None:
    """Show what builds of tools have left, and remove it if the user agrees."""
    offer(removable(), agreed=False)
