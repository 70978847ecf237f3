"""The pinned toolchain: finds the tools that Calvinverse uses, and builds missing ones, once for a machine.

`require` takes milliseconds and names all missing tools; `ensure` builds missing tools. Run Packer with
`{**os.environ, **packer_environment()}`, and OpenTofu with `provider_mirror()` as its mirror of providers.
"""

from collections.abc import Iterable
from pathlib import Path

from images.report import Report
from images.toolchain import mirror, plugins
from images.toolchain.catalogue import Tool, tools
from images.toolchain.find import Found, NotFound, find_tool, memory
from images.toolchain.needs import Builders, missing_error
from images.toolchain.work import build_all, choose_go, ensure_packages

__all__ = [
    "DEPLOYED",
    "NAMES",
    "PROVIDERS",
    "TESTS_ONLY",
    "ensure",
    "find_all",
    "locate",
    "packer_environment",
    "provider_mirror",
    "require",
]

NAMES: tuple[str, ...] = tuple(name for name, tool in tools().items() if tool.purpose in ("deploy", "asked"))
"""The names of the tools that Calvinverse works with."""

DEPLOYED: tuple[str, ...] = tuple(name for name, tool in tools().items() if tool.purpose == "deploy")
"""The names of those that every deployment needs; the others are built when they are asked for."""

TESTS_ONLY: tuple[str, ...] = tuple(name for name, tool in tools().items() if tool.tests_only)
"""The names of those that nothing but tests needs."""

PROVIDERS: tuple[str, ...] = tuple(name for name, tool in tools().items() if tool.provider)
"""The names of the OpenTofu providers among them."""


def find_all(names: Iterable[str] = NAMES) -> dict[Tool, Found | NotFound]:
    """Where each tool is, if it is installed. KeyError for an unknown tool."""
    versions = memory()
    return {tool: find_tool(tool, versions) for tool in (tools()[name] for name in names)}


def locate(name: str) -> Path | None:
    """The program of a tool: on the PATH in a suitable version, else in the cache, else None."""
    found = find_all([name])[tools()[name]]
    return found.path if isinstance(found, Found) else None


def require(*names: str) -> dict[str, Path]:
    """The programs of tools by name; ToolsMissing names all missing ones and how to get each."""
    seen = find_all(names)
    missing = {tool: found for tool, found in seen.items() if isinstance(found, NotFound)}
    if missing:
        raise missing_error(missing, Builders.detect())
    return {tool.name: found.path for tool, found in seen.items() if isinstance(found, Found)}


def ensure(names: Iterable[str], report: Report) -> dict[str, Path]:
    """Like `require`, but builds missing tools, at most two at the same time, with a Go from a wheel where none fits.

    Before anything is built, ToolsMissing names all tools that can't be built here; ToolBuildFailed names all whose
    build failed, when the others are done.
    """
    wanted = tuple(names)
    seen = find_all(wanted)
    missing = {tool: found for tool, found in seen.items() if isinstance(found, NotFound)}
    if missing:
        ensure_packages(missing, report)
        builders = Builders.detect()
        hopeless = {tool: found for tool, found in missing.items() if builders.lack(tool)}
        if hopeless:
            raise missing_error(hopeless, builders)
        build_all(list(missing), report, choose_go(missing, builders, report))
    return require(*wanted)


def packer_environment() -> dict[str, str]:
    """The variables that Packer needs in addition; its docker plugin is installed in the cache.

    Raises ToolsMissing without Packer or the plugin.
    """
    return plugins.packer_environment(require("packer", "packer-plugin-docker"))


def provider_mirror() -> Path:
    """A folder with our providers for OpenTofu's `filesystem_mirror`, in the cache.

    Raises ToolsMissing without the providers.
    """
    return mirror.mirror_folder({tools()[name]: path for name, path in require(*PROVIDERS).items()})
