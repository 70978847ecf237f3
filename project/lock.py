"""Locks of dependencies: the checkout's, and those of images. A line has a version and its hashes, and no address."""

import json
import shutil
import sys
from pathlib import Path

from images.commands import run
from images.places import CHECKOUT, state_folder
from project.declared import GROUP, read_declared

LOCK = "requirements.lock"
"""What the wheel needs, with its extras, and the dependency group `dev`."""

RUNTIME_LOCK = "images/provisioning/requirements.lock"
"""What the wheel needs without its extras: the service's image and releases are installed from it."""

OTHERS = ("images/build-agent/requirements", "images/ui/requirements")
"""What other images need, each as a list (`.in`) and its lock (`.lock`)."""

COMPILE_LIMIT = 600.0
"""Seconds that resolving the dependencies may take."""


def lock(upgrade: bool = False) -> None:
    """Write all locks; versions that are locked stay as they are unless `upgrade`."""
    _compile_checkout(upgrade)
    _compile(RUNTIME_LOCK, "pyproject.toml", "--constraint", LOCK, upgrade=upgrade)
    for name in OTHERS:
        _compile(f"{name}.lock", f"{name}.in", "--constraint", LOCK, upgrade=upgrade)


def _compile_checkout(upgrade: bool) -> None:
    """Write requirements.lock. pip-compile doesn't know dependency groups, so it gets a pyproject.toml without them."""
    declared = read_declared()
    folder = state_folder() / "lock"
    folder.mkdir(parents=True, exist_ok=True)
    extras = (requirement for extra in declared.extras.values() for requirement in extra)
    requirements = [*declared.dependencies, *extras, *declared.groups[GROUP]]
    lines = ["[project]"]
    for key, value in {"name": declared.name, "version": declared.version, "dependencies": requirements}.items():
        lines.append(f"{key} = {json.dumps(value)}")
    (folder / "pyproject.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.copyfile(CHECKOUT / LOCK, folder / LOCK)
    _compile(LOCK, "pyproject.toml", upgrade=upgrade, folder=folder)
    shutil.copyfile(folder / LOCK, CHECKOUT / LOCK)


def _compile(output: str, source: str, *arguments: str, upgrade: bool, folder: Path = CHECKOUT) -> None:
    log = state_folder() / "lock.log"
    log.unlink(missing_ok=True)
    pip_compile = Path(sys.executable).parent / "pip-compile"
    command = [str(pip_compile), source, "--output-file", output, *arguments, "--quiet", "--generate-hashes"]
    command += ["--upgrade"] if upgrade else []
    command += [
        "--no-emit-index-url",
        "--no-emit-find-links",
        "--no-emit-trusted-host",
        "--no-header",
        "--strip-extras",
    ]
    command += ["--allow-unsafe"]
    run(command, limit=COMPILE_LIMIT, cwd=folder, log=log).check(f"{output} can't be compiled", log=log)
