"""Which Go builds the tools: the machine's, if it is recent enough for them, else one from a wheel, in the cache."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from images.commands import output
from images.toolchain.catalogue import Tool, tools
from images.toolchain.find import on_path
from images.toolchain.versions import Version

NAME = "go"
"""The Go of the wheel is a tool of the catalogue, so it is locked and kept like the others."""

TOOLCHAINS_SINCE = Version((1, 21, 0))
"""From this version on, Go downloads the Go that a go.mod requires, unless GOTOOLCHAIN forbids it."""


@dataclass(frozen=True)
class Go:
    """A Go to build with. `own` is the cache folder of the one from the wheel; None for the machine's."""

    program: str = NAME
    own: Path | None = None

    def environment(self) -> dict[str, str]:
        """The user's environment for it. Ours never fetches another Go, and keeps its caches in our cache folder."""
        env = dict(os.environ)
        if self.own is None:
            return env
        env.pop("GOROOT", None)
        caches = self.own / "go-caches"
        return env | {
            "GOTOOLCHAIN": "local",
            "GOCACHE": str(caches / "compiled"),
            "GOMODCACHE": str(caches / "modules"),
            "GOPATH": str(caches / "path"),
            "PATH": f"{Path(self.program).parent}{os.pathsep}{env.get('PATH', os.defpath)}",
        }


@dataclass(frozen=True)
class MachineGo:
    """The Go on the PATH, and whether it downloads a newer one when a module requires that."""

    version: Version
    fetches_newer: bool

    def fits(self, wanted: Version | None) -> bool:
        """Whether it builds a module that requires `wanted`."""
        return wanted is None or self.version >= wanted or self.fetches_newer


def machine_go() -> MachineGo | None:
    """The Go on the PATH; None if there is none that tells its version."""
    if next(on_path(NAME), None) is None:
        return None
    version = Version.find(output([NAME, "version"], limit=20) or "")
    if version is None:
        return None
    setting = ""
    if version >= TOOLCHAINS_SINCE:
        setting = (output([NAME, "env", "GOTOOLCHAIN"], limit=20) or "").strip()
    return MachineGo(version, setting == "auto" or setting.endswith("+auto"))


def wanted_go(missing: Iterable[Tool]) -> Version | None:
    """The Go that builds all of these tools, so that they share what it compiled; None if no tool needs a Go."""
    return max((version for tool in missing if (version := tool.go_version()) is not None), default=None)


def wheel_builds(wanted: Version | None) -> bool:
    """Whether the Go of the wheel is recent enough, and its lock is here; an installed Calvinverse lacks it."""
    tool = tools()[NAME]
    return tool.buildable and (wanted is None or tool.pinned >= wanted)
