"""A folder with our providers in the layout that OpenTofu's `filesystem_mirror` reads."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from images.places import cache_folder
from images.toolchain.catalogue import Tool
from images.toolchain.once import made_once

DEFAULT_SOURCE_HOST = "registry.opentofu.org"
"""The host in a provider's address when a module names none. It is part of the layout; no request is sent to it."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Go's names of architectures by the kernel's."""


def platform() -> str:
    """This machine's platform in names of providers: `linux_amd64`."""
    facts = os.uname()
    return f"{facts.sysname.lower()}_{ARCHITECTURES.get(facts.machine, facts.machine)}"


def lay_out(found: Mapping[Tool, Path], mirror: Path) -> None:
    """Copies providers into the layout below `mirror`."""
    for tool, program in found.items():
        kind = tool.provider.rpartition("/")[2]
        folder = mirror / DEFAULT_SOURCE_HOST / tool.provider / str(tool.pinned) / platform()
        folder.mkdir(parents=True)
        copy = folder / f"terraform-provider-{kind}_v{tool.pinned}"
        shutil.copyfile(program, copy)
        copy.chmod(0o755)


def mirror_folder(found: Mapping[Tool, Path]) -> Path:
    """A folder in the cache with these providers, made if it is missing."""
    mark = "\0".join(sorted(f"{tool.provider} {tool.key()}" for tool in found))
    folder = cache_folder() / "providers" / hashlib.sha256(mark.encode()).hexdigest()[:16]

    def make(unfinished: Path) -> None:
        lay_out(found, unfinished)
        unfinished.chmod(0o755)

    return made_once(folder, make)
