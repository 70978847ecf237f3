"""What is needed to build each tool, and the error that names every missing tool."""

import importlib.util
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from images.commands import output
from images.errors import ToolsMissing
from images.toolchain.catalogue import GoModule, Tool
from images.toolchain.find import NotFound
from images.toolchain.versions import Version

TOOLCHAINS_SINCE = Version((1, 21, 0))
"""From this version on, Go downloads the Go that a go.mod requires, unless GOTOOLCHAIN forbids it."""


@dataclass(frozen=True)
class Builders:
    """The compilers and package managers of this machine."""

    go: Version | None
    go_fetches_newer: bool
    compiler: bool
    pip: bool

    @classmethod
    def detect(cls) -> "Builders":
        """Find them on this machine."""
        said = output(["go", "version"], limit=20) if shutil.which("go") else None
        go = Version.find(said) if said else None
        fetches = False
        if go is not None and go >= TOOLCHAINS_SINCE:
            setting = (output(["go", "env", "GOTOOLCHAIN"], limit=20) or "").strip()
            fetches = setting == "auto" or setting.endswith("+auto")
        compiler = shutil.which(os.environ.get("CC") or "gcc") is not None
        return cls(go, fetches, compiler, importlib.util.find_spec("pip") is not None)

    def lack(self, tool: Tool) -> str:
        """What is missing to build this tool, as the end of a sentence, or an empty text."""
        if not tool.buildable:
            return "can be built from a checkout only"
        if not isinstance(tool.source, GoModule):
            return "" if self.pip else "needs pip, which this Python lacks"
        wanted = tool.go_version()
        if self.go is None:
            return f"needs Go {wanted} or later, and there is none"
        if wanted is not None and self.go < wanted and not self.go_fetches_newer:
            return f"needs Go {wanted} or later, and this is {self.go}"
        if tool.source.cgo and not self.compiler:
            return "needs a C compiler, and gcc is missing"
        return ""


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


def _ways(tool: Tool, seen: NotFound, builders: Builders) -> Iterable[str]:
    lack = builders.lack(tool)
    task = "doit forge" if tool.tests_only else "doit tools"
    if lack:
        build = f"build {tool.pinned} with `{task}` ({lack})"
    elif (wanted := tool.go_version()) is not None:
        build = f"build {tool.pinned} with `{task}` (needs Go {wanted} or later, which is here)"
    else:
        build = f"get {tool.pinned} with `{task}`"
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
