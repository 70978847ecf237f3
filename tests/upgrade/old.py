"""An older commit: in a git worktree of its own, made ready by itself, and deployed by itself."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from images.places import CHECKOUT
from jobs.ports import block

SECONDS = 1800.0
"""How long one command may take."""

IMAGES = ("web", "postgres", "provisioning")

_DEPLOY = """
import json, sys
from environments.domain.views import PublishImageRequest
from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel
from images.toolchain import require
from jobs.database import Choice
from jobs.deploy import Wish, deploy
from jobs.places import places
told, images = json.loads(sys.argv[1]), Catalogue()
wish = Wish(
    image=images.deployable("provisioning").reference,
    binaries=require("consul", "bao", "nomad"),
    images={
        image.name: PublishImageRequest(
            reference=image.reference, channel=image.channel, key=image.key, build=image.build
        )
        for image in images.deployables(Channel("qa"))
    },
    ports=told["ports"], port=told["port"], database=Choice(*told["database"]),
)
deploy(places(), wish, lambda line: print(line, flush=True))
"""
"""How a commit without `doit deploy --first-port` is told its ports."""

_GC = re.compile(r'"gc": \{"image": False, "container": True\}|"gc": \{([^{}]*)\}')

Tell = Callable[[str], object]


class OldCheckout:
    """A commit in a folder of its own."""

    def __init__(self, commit: str, folder: Path, tell: Tell) -> None:
        self.commit = commit
        self.folder = folder
        self._tell = tell

    def make(self, records: Path) -> None:
        """Checks it out, makes it ready, and builds its images, whose records it leaves in the state folder given.

        What the current checkout has built counts, where nothing differs.
        """
        self._tell(f"Checking out {self.commit}.")
        _run(["git", "worktree", "add", "--detach", str(self.folder), self.commit], CHECKOUT, self._tell)
        self._leave_others_alone()
        self._tell("Making it ready; this takes a minute or two.")
        _run(["make", "ready"], self.folder, self._tell)
        self._tell(f"Building its images: {', '.join(IMAGES)}.")
        self.doit(records, *(f"build:{name}" for name in IMAGES))

    def deploy(self, state: Path, database: str, workers: int, first_port: int) -> None:
        """Deploys it on a block of ports."""
        arguments = ["--database", database, *(["--workers", str(workers)] if database == "postgresql" else [])]
        if "first_port" in (self.folder / "dodo.py").read_text(encoding="utf-8"):
            self.doit(state, "deploy", *arguments, "--first-port", str(first_port))
            return
        ports = block(first_port)
        postgres = database == "postgresql"
        choice = [database, workers if postgres else None, ports.database if postgres else None]
        told = {"ports": ports.agents, "port": ports.service, "database": choice}
        _run([self._program("python"), "-c", _DEPLOY, json.dumps(told)], self.folder, self._tell, state)

    def doit(self, state: Path, *arguments: str) -> None:
        """Runs its own tasks on a state folder."""
        _run([self._program("doit"), *arguments], self.folder, self._tell, state)

    def remove(self) -> None:
        """Leaves nothing of it, in git neither."""
        shutil.rmtree(self.folder, ignore_errors=True)
        subprocess.run(["git", "worktree", "prune"], cwd=CHECKOUT, check=False, timeout=60, capture_output=True)

    def _program(self, name: str) -> str:
        return str(self.folder / ".venv" / "bin" / name)

    def _leave_others_alone(self) -> None:
        """Up to some commit, our Nomad removed every container with Nomad's label that it didn't know, of any Nomad."""
        path = self.folder / "environments" / "adapters" / "agents" / "nomad.py"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if not text or "dangling_containers" in text:
            return
        found = _GC.search(text)
        if found is None:
            raise AssertionError(f"no setting for the removal of containers was found in {path}")
        inner = found.group(0)[len('"gc": {') : -1].rstrip().rstrip(",")
        path.write_text(text.replace(found.group(0), f'"gc": {{{inner}, "dangling_containers": {{"enabled": False}}}}'))
        self._tell(f"{self.commit} is deployed with `dangling_containers` off: it would remove containers of others.")


def upgrade(state: Path, tell: Tell) -> None:
    """`doit deploy` of the current checkout, on a state folder that an older commit was deployed from."""
    _run([str(Path(sys.executable).parent / "doit"), "deploy"], CHECKOUT, tell, state)


def undeploy(state: Path, tell: Tell, *arguments: str) -> None:
    """`doit undeploy` of the current checkout."""
    _run([str(Path(sys.executable).parent / "doit"), "undeploy", *arguments], CHECKOUT, tell, state)


def _run(command: Sequence[str], folder: Path, tell: Tell, state: Path | None = None) -> None:
    """Runs to the end, showing what is said. Raises `AssertionError` with its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CALVINVERSE_")}
    if "CALVINVERSE_CACHE" in os.environ:
        environment["CALVINVERSE_CACHE"] = os.environ["CALVINVERSE_CACHE"]
    if state is not None:
        environment["CALVINVERSE_STATE"] = str(state)
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            tell(f"  {line.rstrip()}")
        status = process.wait(SECONDS)
    assert status == 0, "\n".join([f"`{' '.join(command[:3])}` ended with status {status}:", *lines[-30:]])
