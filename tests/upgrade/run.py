"""`doit test:upgrade --from COMMIT`: deploys it, makes environments, upgrades in place, updates, destroys, counts."""

import random
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

from doit.exceptions import TaskFailed

from environments.client import connect
from environments.context import stored_context
from environments.domain.errors import CalvinverseError
from environments.providers.local_cluster.agents.ports import free_ports
from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel
from images.places import state_folder
from jobs.edge import ADDRESS
from jobs.ports import edge_port
from tests.suite import say
from tests.upgrade import scenario
from tests.upgrade.old import IMAGES, OldCheckout, undeploy, upgrade

BEFORE = "d192df60"
"""The newest commit of the issue before."""

DATABASES = ("sqlite", "postgresql")


def main(commit: str = "", database: str = "") -> object:
    """Whether nothing was lost or left, on both databases or on one. Removes all that it made, also when it fails."""
    root = state_folder() / "upgrade"
    old = OldCheckout(commit or BEFORE, root / "old", say)
    faults: dict[str, list[str]] = {}
    before = _images()
    try:
        _remove_earlier(root, old)
        records = root / "records"
        records.mkdir(mode=0o700, parents=True)
        shutil.copytree(state_folder() / "images", records / "images")
        old.make(records)
        for kind in (database,) if database else DATABASES:
            faults[kind] = _on(kind, old, records, root / kind)
    finally:
        _remove_images(root / "records", before)
        old.remove()
        shutil.rmtree(root, ignore_errors=True)
    for kind, found in faults.items():
        say(f"{kind}: {'nothing was lost, and nothing is left' if not found else ''}")
        for fault in found:
            say(f"  {fault}")
    count = sum(len(found) for found in faults.values())
    return TaskFailed(f"The upgrade from {old.commit} shows {count} faults.") if count else True


def _on(kind: str, old: OldCheckout, records: Path, state: Path) -> list[str]:
    """What went wrong on one database."""
    state.mkdir(mode=0o700)
    shutil.copytree(records / "images", state / "images")
    began = time.monotonic()

    def tell(text: str) -> None:
        say(f"[{kind}, {time.monotonic() - began:3.0f} s] {text}")

    try:
        _deploy(kind, old, state, tell)
        tell("Making environments.")
        made = scenario.make(state, old.commit, tell)
        tell("Upgrading in place.")
        shutil.rmtree(state / "images")
        shutil.copytree(state_folder() / "images", state / "images")
        upgrade(state, tell)
        made.reach(state)
        faults = scenario.compare(made) + _edge(state)
        tell("Updating each of them.")
        faults += scenario.update(state, made)
        tell("Destroying each of them.")
        faults += scenario.destroy(state, made)
        tell("Removing the deployment.")
        undeploy(state, tell)
        return faults + _left(state)
    finally:
        if (state / "local").exists():
            undeploy(state, tell, "--force")


def _deploy(kind: str, old: OldCheckout, state: Path, tell: scenario.Tell) -> None:
    """Deploys the older commit; on other ports when somebody has taken one meanwhile. Raises `AssertionError`."""
    for left in reversed(range(3)):
        first_port = int(free_ports(random.SystemRandom()).consul_http)
        tell(f"Deploying {old.commit} on ports from {first_port} on.")
        try:
            old.deploy(state, kind, 1, first_port)
        except AssertionError as error:
            if not left or "which is taken" not in str(error):
                raise
            tell("Somebody was faster with one of these ports; trying others.")
            undeploy(state, tell, "--force")
        else:
            return


def _edge(state: Path) -> list[str]:
    """What is wrong with the edge, which a deployment that never chose gets in its own block of ports."""
    context = stored_context(state)
    if context is None or context.behind_edge is None:
        return ["the context doesn't lead through an edge"]
    service = urlsplit(context.behind_edge.address).port or 0
    wanted = f"https://{ADDRESS}:{edge_port(service)}"
    with connect(context) as client:
        client.info()
    return [] if context.address == wanted else [f"the edge is at {context.address}, and not at {wanted}"]


def _images() -> set[str]:
    """Ids of the images that the engine has."""
    done = subprocess.run(
        ["docker", "images", "--quiet", "--no-trunc"], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def _remove_images(records: Path, before: set[str]) -> None:
    """Removes the images that were built for the older commit, and lets the tags be those of this checkout again."""
    for name in IMAGES:
        try:
            theirs = Catalogue(records).deployable(name).reference
            ours = Catalogue().deployable(name).reference
        except CalvinverseError:
            continue  # it came to nothing
        if theirs not in before and theirs != ours:
            subprocess.run(["docker", "image", "rm", "--force", theirs], capture_output=True, check=False, timeout=120)
        tag = ["docker", "tag", ours, f"calvinverse/{name}:{Channel.QA.value}"]
        subprocess.run(tag, capture_output=True, check=False, timeout=60)


def _left(state: Path) -> list[str]:
    """What an undeploy has left of a state folder."""
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(state) in line]
    processes = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(state) in command:
                processes.append(command.replace("\0", " "))
    return [f"left by undeploy: {thing}" for thing in (*mounts, *processes)]


def _remove_earlier(root: Path, old: OldCheckout) -> None:
    """What a run has left that was killed."""
    for kind in DATABASES:
        if (root / kind / "local").exists():
            say(f"Removing what an earlier run has left in {root / kind}.")
            undeploy(root / kind, say, "--force")
    old.remove()
    if root.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=True, timeout=120)
