"""The folder that Packer takes its plugins from."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from images.commands import run
from images.places import cache_folder
from images.toolchain.once import made_once

SOURCE = "github.com/hashicorp/docker"
"""The address by which a Packer file asks for the docker plugin in `required_plugins`."""


def plugin_folder(packer: Path, plugin: Path) -> Path:
    """A folder in the cache with the docker plugin, installed for exactly this Packer and plugin.

    Raises CommandFailed when Packer refuses the plugin.
    """
    facts = plugin.stat()
    mark = f"{packer}\0{plugin}\0{facts.st_mtime_ns}\0{facts.st_size}"
    folder = cache_folder() / "packer-plugins" / hashlib.sha256(mark.encode()).hexdigest()[:16]

    def make(unfinished: Path) -> None:
        command = [str(packer), "plugins", "install", "--path", str(plugin), SOURCE]
        run(command, limit=120, env={**os.environ, **_settings(unfinished)}).check("Packer refuses its docker plugin")

    return made_once(folder, make)


def packer_environment(found: Mapping[str, Path]) -> dict[str, str]:
    """The variables that Packer needs in addition; `found` has packer and packer-plugin-docker."""
    return _settings(plugin_folder(found["packer"], found["packer-plugin-docker"]))


def _settings(folder: Path) -> dict[str, str]:
    return {
        "PACKER_PLUGIN_PATH": str(folder),
        "CHECKPOINT_DISABLE": "1",
        "PACKER_NO_COLOR": "1",
    }
