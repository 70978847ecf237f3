"""Builds images in a build environment: sends the sources, dispatches a build, follows it, imports the records."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from environments.client import Client, connect
from environments.context import find_context
from environments.domain.lifecycle import State
from environments.named_contexts import DEFAULT
from environments.wire.environments import EnvironmentView
from images.catalogue.channels import Catalogue
from images.catalogue.records import BuildRecord
from images.catalogue.transfer import import_records
from images.errors import RecordsRefused
from images.interrupts import delaying_exit
from images.pipeline.recipe import load_recipes, with_parents
from images.places import CHECKOUT
from images.report import Report, size
from jobs import dispatched
from jobs.dispatched import Dispatched
from jobs.errors import DispatchFailed, NoBuildEnvironment, RemoteBuildFailed
from jobs.places import Places
from jobs.registry import push_sources
from jobs.sources import make_archive

TEMPLATE = "build"
LIMIT = 3600.0
"""Time limit in seconds of a build."""


@dataclass
class Built:
    """The result: references of the pushed images (`host:port/repository@digest`), and the records of the builds."""

    references: list[str] = field(default_factory=list)
    records: list[BuildRecord] = field(default_factory=list)


def build_remotely(
    where: Places, environment: str, images: Sequence[str], report: Report, *, anew: bool = False, limit: float = LIMIT
) -> Built:
    """Builds images of this checkout in a build environment: by default all images, in the only build environment.

    Ctrl-C stops the build there. Raises UnknownImage and InvalidRecipe before anything is sent; NoBuildEnvironment,
    DispatchFailed, RemoteBuildFailed; RecordsRefused when the returned records aren't valid.
    """
    with_parents(load_recipes(), images or None)
    with connect(find_context(current=DEFAULT)) as client:
        chosen = choose(client, environment)
    registry = str(chosen.outputs["registry"].value)
    nomad = dispatched.connect(where, chosen.name)
    archive = make_archive(CHECKOUT)
    report(f"Sending the sources ({size(len(archive))}) to {registry}.")
    source = push_sources(registry, archive)
    order = {"source": source, "images": " ".join(images), "anew": "true" if anew else ""}
    catalogue = Catalogue(where.state)
    with delaying_exit():
        run = Dispatched.start(nomad, str(chosen.outputs["job"].value), order)
        report(f"Building in {chosen.name}: {run.job}.")
        built = Built()
        pushed = re.compile(rf"{re.escape(registry)}/calvinverse/[a-z0-9-]+@sha256:[0-9a-f]{{64}}")

        def on_line(stream: str, line: str) -> None:
            if stream == "stdout" and pushed.fullmatch(line):
                built.references.append(line)
            else:
                report(f"  {line}")

        try:
            status = run.follow(limit, on_line)
        except KeyboardInterrupt:
            _stop(run, report, on_line)
            raise
        except DispatchFailed:
            _stop(run, report, on_line)
            raise
        built.records = _import_results(run, catalogue, chosen, registry, report)
    if status != 0:
        raise RemoteBuildFailed(f"The build in {chosen.name} ended with status {status}.")
    return built


def choose(client: Client, named: str) -> EnvironmentView:
    """The build environment of this name, or the only one. Raises NoBuildEnvironment, UnknownEnvironment."""
    if named:
        found = client.environment(named)
        if found.template != TEMPLATE:
            raise NoBuildEnvironment(f"The environment {named} is made from {found.template}, and builds nothing.")
        if found.state is not State.READY:
            raise NoBuildEnvironment(
                f"The build environment {named} is {found.state.value}.", hint=f"See `calvinverse env show {named}`."
            )
        return found
    ready = [one for one in client.environments() if one.template == TEMPLATE and one.state is State.READY]
    if not ready:
        raise NoBuildEnvironment("No build environment is ready.")
    if len(ready) > 1:
        names = ", ".join(sorted(one.name for one in ready))
        raise NoBuildEnvironment(
            f"There are several build environments: {names}.", hint="Choose one with --environment."
        )
    # The list has fewer details of each environment.
    return client.environment(ready[0].name)


def _stop(run: Dispatched, report: Report, on_line: dispatched.OnLine) -> None:
    report(f"Stopping {run.job}.")
    try:
        ended = run.stop(on_line)
    except DispatchFailed as error:
        report(f"{error.message} It may still be running: `nomad job stop {run.job}` ends it.")
        return
    report("The build was stopped there; nothing incomplete is left." if ended else f"{run.job} hasn't stopped yet.")


def _import_results(
    run: Dispatched, catalogue: Catalogue, chosen: EnvironmentView, registry: str, report: Report
) -> list[BuildRecord]:
    archive = run.records()
    if not archive:
        report("The agent wrote no records.")
        return []
    try:
        records = import_records(archive, catalogue, f"{run.job} in {chosen.name} ({chosen.id})", registry)
    except RecordsRefused as error:
        file = dispatched.kept(catalogue.state, archive)
        raise RecordsRefused(error.message, hint=f"The received archive is in {file}. {error.hint}") from error
    if records:
        report(f"Recorded here: {', '.join(f'{record.image} {record.build}' for record in records)}.")
    return records
