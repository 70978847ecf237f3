"""What is needed to build each tool, and the error that names every missing tool."""

import importlib.util
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from images.errors import ToolsMissing
from images.toolchain.catalogue import GoModule, Tool
from images.toolchain.find import NotFound
from images.toolchain.go import MachineGo, machine_go, wheel_builds
from images.toolchain.versions import Version

TASKS = {"deploy": "doit tools", "tests": "doit forge"}
"""The task that builds the tools of a purpose; those that are asked for are built by name."""


@dataclass(frozen=True)
class Builders:
    """The compilers and package managers of this machine."""

    go: MachineGo | None
    compiler: bool
    pip: bool

    @classmethod
    def detect(cls) -> "Builders":
        """Find them on this machine."""
        compiler = shutil.which(os.environ.get("CC") or "gcc") is not None
        return cls(machine_go(), compiler, importlib.util.find_spec("pip") is not None)

    def machine_builds(self, wanted: Version | None) -> bool:
        """Whether the Go of this machine builds what requires `wanted`."""
        return wanted is None or (self.go is not None and self.go.fits(wanted))

    def lack(self, tool: Tool) -> str:
        """What is missing to build this tool, as the end of a sentence, or an empty text."""
        if not tool.buildable:
            return "can be built from a checkout only"
        if not isinstance(tool.source, GoModule):
            return "" if self.pip else "needs pip, which this Python lacks"
        wanted = tool.go_version()
        if not self.machine_builds(wanted) and not (self.pip and wheel_builds(wanted)):
            there = f"this is {self.go.version}" if self.go else "there is none"
            return f"needs Go {wanted} or later, and {there}"
        if tool.source.cgo and not self.compiler:
            return "needs a C compiler, and gcc is missing"
        return ""

    def go_for(self, tool: Tool) -> str:
        """Which Go builds a tool that lacks nothing, as the end of a sentence; empty for a wheel."""
        wanted = tool.go_version()
        if wanted is None:
            return ""
        return f"needs Go {wanted} or later, which {'is here' if self.machine_builds(wanted) else 'comes with it'}"


def missing_error(missing: Mapping[Tool, NotFound], builders: Builders) -> ToolsMissing:
    """The error that names every missing tool, and two ways to get each."""
    lines = [line for tool, seen in missing.items() for line in _ways(tool, seen, builders)]
    return ToolsMissing(
        f"{_tools(tool.name for tool in missing)} missing: neither on the PATH in a suitable version nor built yet.",
        hint="\n".join(lines),
        details={
            "tools": [{"name": tool.name, "wanted": str(tool.wanted), "lacks": builders.lack(tool)} for tool in missing]
        },
    )


def task_for(tool: Tool) -> str:
    """The command that gets a tool."""
    return TASKS.get(tool.purpose, f"python -m images.toolchain ensure {tool.name}")


def _ways(tool: Tool, seen: NotFound, builders: Builders) -> Iterable[str]:
    task = task_for(tool)
    about = builders.lack(tool) or builders.go_for(tool)
    build = f"build {tool.pinned} with `{task}` ({about})" if about else f"get {tool.pinned} with `{task}`"
    if tool.provider or tool.tests_only:
        yield f"{tool.name}: {build}."
        return
    yield f"{tool.name}: put {tool.wanted}, on the PATH; or {build}."
    for program, why in seen.unfit:
        yield f"  {program} {why}."


def _tools(names: Iterable[str]) -> str:
    known = list(names)
    if len(known) == 1:
        return f"The tool {known[0]} is"
    return f"The tools {', '.join(known[:-1])} and {known[-1]} are"
