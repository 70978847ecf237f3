"""What `calvinverse doctor` checks of this machine. No check raises: a check that fails to run is a warning."""

import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from environments.cni import PLUGINS, plugin_folder
from environments.context import state_folder
from environments.node_firewall import REACHED, lack
from images.docker_engine import ask_engine
from images.errors import RightsMissing
from images.job_networks import CNI_PACKAGE, WITHOUT_CNI
from images.neighbours import ADVICE, neighbours
from images.places import cache_folder
from images.report import size
from images.system import can_install_packages, is_root
from images.toolchain import find_all
from images.toolchain.catalogue import tools
from images.toolchain.find import Found
from images.toolchain.go import NAME, wanted_go, wheel_builds
from images.toolchain.needs import Builders

Verdict = Literal["ok", "warn", "bad"]

_EDGE, _PAGE = "the edge", "the web page"

PORTS = {
    8400: "the provisioning service",
    8500: "Consul",
    8200: "OpenBao",
    4646: "Nomad",
    8443: _EDGE,
    8401: _PAGE,
}
"""The ports of loopback that a deployment uses, and for what."""


class Listener(NamedTuple):
    """Where a part of this state folder's deployment listens. `port` is None if it isn't on loopback.

    `ours`: the program there accepts this deployment's credential. `address` is for people.
    """

    purpose: str
    port: int | None
    ours: bool
    address: str


SPACE_NEEDED = 3 * 1024**3
"""Bytes for images, containers and data."""

SPACE_FOR_BUILDING = 12 * 1024**3
"""Bytes for building every tool: Go's caches take most of it."""


@dataclass(frozen=True)
class Check:
    """The result of one check: a sentence, and what to do if something is wrong."""

    name: str
    verdict: Verdict
    sentence: str
    hint: str = ""


def examine(deployed: Collection[Listener] = ()) -> list[Check]:
    """Make every check; takes a second or two, and changes nothing. `deployed`: listeners of the present deployment."""
    groups: tuple[tuple[str, Callable[[], Iterable[Check]]], ...] = (
        ("python", python),
        ("rights", rights),
        ("docker", docker),
        ("neighbours", others),
        ("cgroups", cgroups),
        ("iptables", iptables),
        ("networks", job_networks),
        ("isolation", isolation),
        ("kernel", kernel),
        ("tools", toolchain),
        ("disk", disk),
        ("ports", lambda: ports(deployed=deployed)),
    )
    checks: list[Check] = []
    for name, group in groups:
        try:
            checks += group()
        except Exception as error:  # noqa: BLE001 - doctor must report the other checks even if one fails
            checks.append(Check(name, "warn", f"This couldn't be checked: {error}", "Report this: it is a bug."))
    return checks


def python() -> Iterator[Check]:
    """The version of Python; an older one than required can't run this code."""
    yield Check("python", "ok", f"This is Python {'.'.join(map(str, sys.version_info[:3]))}.")


CAP_SYS_ADMIN = 21
"""The bit of CAP_SYS_ADMIN in /proc/self/status, see capabilities(7): mounts, namespaces and cgroups need it."""


def rights() -> Iterator[Check]:
    """Whether Nomad's client can run: it mounts file systems and makes cgroups."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    capable = found is not None and bool(int(found.group(1), 16) >> CAP_SYS_ADMIN & 1)
    if is_root() and capable:
        yield Check("rights", "ok", "This is root with the rights that Nomad's client needs.")
    elif is_root():
        hint = "Start this container with more rights (`docker run --privileged`), or use a machine of its own."
        yield Check("rights", "bad", "This is root, but may not mount file systems, which Nomad's client does.", hint)
    else:
        hint = "Run `make deploy` as root, or give the addresses of clusters that run elsewhere."
        yield Check("rights", "warn", "This isn't root, which Nomad's client needs.", hint)


def require_client_rights() -> None:
    """Raise RightsMissing, with what to do, unless Nomad's client can run here."""
    for check in rights():
        if check.verdict != "ok":
            raise RightsMissing(check.sentence, hint=check.hint)


def docker() -> Iterator[Check]:
    """Whether a Docker engine answers."""
    engine = ask_engine()
    if engine.answers:
        yield Check("docker", "ok", f"A Docker engine {engine.version} answers.")
    elif can_install_packages():
        yield Check("docker", "warn", f"No Docker engine answers: {engine.reason}.", "`doit docker` starts one.")
    else:
        yield Check("docker", "bad", f"No Docker engine answers: {engine.reason}.", "Install Docker and start it.")


def others() -> Iterator[Check]:
    """Whether another Nomad uses the same Docker engine: it may remove containers of this deployment."""
    if seen := neighbours(state_folder()):
        yield Check("neighbours", "warn", seen.sentence(), ADVICE)
    else:
        yield Check("neighbours", "ok", "No other Nomad was seen on this Docker engine.")


def cgroups() -> Iterator[Check]:
    """Whether control groups, with which Nomad and Docker limit processes, are mounted and writable."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").is_file():
        version, place = "2", root
    elif (root / "memory").is_dir():
        version, place = "1", root / "memory"
    else:
        yield Check(
            "cgroups", "bad", "Control groups aren't mounted.", "Mount them: `mount -t cgroup2 none /sys/fs/cgroup`."
        )
        return
    if os.access(place, os.W_OK):
        yield Check("cgroups", "ok", f"Control groups version {version} can be written.")
    else:
        hint = "Run as root, in a container with `--privileged`."
        yield Check("cgroups", "warn", f"Control groups version {version} can't be written.", hint)


def iptables() -> Iterator[Check]:
    """Whether Docker finds iptables."""
    found = shutil.which("iptables", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found:
        yield Check("iptables", "ok", f"iptables is {found}.")
    else:
        yield Check(
            "iptables", "warn", "iptables is missing, without which dockerd doesn't start.", "Install `iptables`."
        )


def job_networks() -> Iterator[Check]:
    """Whether jobs can have networks of their own: Nomad needs CNI plugins for that, and iptables."""
    folder = plugin_folder()
    if folder is not None:
        yield Check("networks", "ok", f"Jobs can have networks of their own: CNI plugins are in {folder}.")
        return
    said = f"The CNI plugins {', '.join(PLUGINS)} are missing: Nomad runs no job in bridge mode."
    hint = f"`doit docker` installs {CNI_PACKAGE}." if can_install_packages() else WITHOUT_CNI
    yield Check("networks", "warn", said, hint)


def isolation() -> Iterator[Check]:
    """Whether jobs of different environments can be kept apart, where they have networks of their own."""
    if (plugins := plugin_folder()) is None:
        return
    if (found := lack(plugins)) is None:
        yield Check("isolation", "ok", "Jobs of different environments can be kept apart by this machine's firewall.")
    else:
        yield Check("isolation", "warn", f"{found.message} {REACHED}", found.hint)


def kernel() -> Iterator[Check]:
    """Whether the kernel has the file systems that containers and the secrets of tasks need."""
    known = {line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines() if line.split()}
    if "tmpfs" not in known:
        yield Check("kernel", "bad", "The kernel has no tmpfs, where tasks keep secrets.", "Use another kernel.")
    elif "overlay" in known:
        yield Check("kernel", "ok", f"Linux {os.uname().release} has overlay and tmpfs.")
    else:
        hint = "Load it: `modprobe overlay`."
        yield Check("kernel", "warn", "The kernel shows no overlay file system; Docker would copy every layer.", hint)


def toolchain() -> Iterator[Check]:
    """Where each tool is, or how it can be obtained, and what is needed to build tools."""
    builders = Builders.detect()
    missing = False
    for tool, seen in find_all().items():
        if isinstance(seen, Found):
            where = f"on the PATH at {seen.path}" if seen.origin == "PATH" else "built, in the cache"
            yield Check(tool.name, "ok", f"{tool.name} {seen.version} is {where}.")
            continue
        missing = True
        unfit = "".join(f" {program} {why}." for program, why in seen.unfit)
        lack = builders.lack(tool)
        if lack:
            hint = f"Put {tool.name} {tool.wanted}, on the PATH; building it {lack}."
            yield Check(tool.name, "bad", f"{tool.name} is missing.{unfit}", hint)
        elif tool.purpose == "asked":
            yield Check(tool.name, "ok", f"{tool.name} isn't built yet; an image that contains it builds it.{unfit}")
        else:
            hint = f"`doit tools` gets {tool.pinned}; or put {tool.wanted}, on the PATH."
            yield Check(tool.name, "warn", f"{tool.name} is missing.{unfit}", hint)
    yield _go(builders, missing)


def _go(builders: Builders, missing: bool) -> Check:
    """Whether tools can be built: with the Go of this machine, or with that of a wheel."""
    wanted = wanted_go(tools().values())
    there = f"Go {builders.go.version} is too old for some tools" if builders.go else "Go isn't installed"
    if builders.go is not None and builders.machine_builds(wanted):
        return Check("go", "ok", f"Go {builders.go.version} can build the tools.")
    if builders.pip and wheel_builds(wanted):
        return Check("go", "ok", f"{there}; what has to be built is built with Go {tools()[NAME].pinned} from a wheel.")
    hint = f"Install Go {wanted} or later; only building tools needs it."
    return Check("go", "bad" if missing else "ok", f"{there}.", hint)


def disk() -> Iterator[Check]:
    """Whether there is enough space for the state, for images, and for building missing tools."""
    building = any(not isinstance(seen, Found) for seen in find_all().values())
    wanted = {state_folder(): SPACE_NEEDED, cache_folder(): SPACE_FOR_BUILDING if building else 0}
    seen: dict[int, tuple[Path, int]] = {}
    for folder, needed in wanted.items():
        place = _existing(folder)
        device = place.stat().st_dev
        kept, sum_needed = seen.get(device, (place, 0))
        seen[device] = (kept, sum_needed + needed)
    for place, needed in seen.values():
        free = shutil.disk_usage(place).free
        if free >= needed:
            yield Check("disk", "ok", f"{size(free)} are free at {place}.")
        else:
            yield Check(
                "disk",
                "warn",
                f"Only {size(free)} are free at {place}.",
                f"Free some space: {size(needed)} may be needed.",
            )


def ports(wanted: Mapping[int, str] = PORTS, deployed: Collection[Listener] = ()) -> Iterator[Check]:
    """Whether the ports on loopback are free; for the present deployment, whether it has its ports."""
    for listener in deployed:
        if listener.port is not None:
            yield _port_of(listener)
    known = {listener.purpose for listener in deployed}
    for port, purpose in wanted.items():
        if purpose in known or (known and purpose in (_EDGE, _PAGE)):
            continue  # a deployment without an edge needs no port for it, nor one for the page
        if (reason := taken(port)) is None:
            yield Check(f"port {port}", "ok", f"Port {port}, for {purpose}, is free.")
        else:
            hint = f"`ss -ltnp 'sport = {port}'` shows its program; `doit deploy --first-port N` uses other ports."
            yield Check(f"port {port}", "warn", f"Port {port}, for {purpose}, is taken: {reason}.", hint)


def _port_of(listener: Listener) -> Check:
    name, part = f"port {listener.port}", listener.purpose
    if listener.ours:
        return Check(name, "ok", f"Port {listener.port} is used by {part} of this deployment.")
    assert listener.port is not None
    if taken(listener.port) is None:
        said = f"Nothing listens on port {listener.port}, where {part} of this deployment was."
        return Check(name, "warn", said, "`doit deploy` starts it again; `doit status` shows what runs.")
    said = f"What has port {listener.port} doesn't answer as {part} of this deployment."
    shown = f"`ss -ltnp 'sport = {listener.port}'` shows what it is"
    return Check(name, "warn", said, f"{shown}; if it is something else, end it and run `doit deploy` again.")


def taken(port: int) -> str | None:
    """Why a port of loopback can't be used; None if it is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
