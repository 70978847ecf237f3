"""The ports that a deployment needs on this machine: what another program has is told before anything starts."""

import errno
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from environments.domain.errors import NotAllowedNow, PortTaken
from jobs.database import POSTGRESQL
from jobs.places import Places
from jobs.ports import LOOPBACK, SERVICE_PORT, USUAL, USUAL_DATABASE

_UDP = ("consul_dns", "consul_serf", "nomad_serf")
"""What listens for datagrams too."""

_TITLES = {"consul": "Consul", "openbao": "OpenBao", "nomad": "Nomad"}

_MOVE = "To choose others, run `doit undeploy`, then `doit deploy --first-port PORT`."


class Needed(NamedTuple):
    """A port that something needs; `option` is what gives that part alone another one, if anything does."""

    port: int
    purpose: str
    address: str = LOOPBACK
    udp: bool = False
    option: str = ""


def refuse_other_ports(port: int | None, before: Mapping[str, Any] | None) -> None:
    """Raises `NotAllowedNow` if the service's port is given and isn't what it was: ports are chosen once."""
    kept = None if before is None else before.get("port", SERVICE_PORT)
    if kept is not None and port not in (None, kept):
        raise NotAllowedNow(
            f"This deployment has its ports already, that of the service is {kept}.",
            hint=f"Leave --first-port out, and they stay as they are. {_MOVE}",
        )


def check_ports(where: Places, parameters: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
    """Raises `PortTaken` if another program has a port that the deployment needs.

    `parameters` are those of `meta` that this deployment gives it, `before` those so far; None: nothing was deployed.
    """
    wanted = {**(before or {}), **parameters}
    # What is placed by a Nomad that runs already may be on another machine.
    needed = [] if wanted.get("nomad_address") else list(_of_parts(wanted))
    if not (runs := before is not None or where.agents.exists()):
        needed += _of_agents(wanted)
    allocations = _allocations(where.state)
    for each in needed:
        if not _is_taken(each):
            continue
        holder = _holder(each.port)
        if runs and (holder is None or _is_of(holder, allocations)):
            continue  # ours, or nobody can say whose
        whose = f" by {_name(holder)} ({holder})" if holder is not None else ""
        raise PortTaken(
            f"Port {each.port} of {each.address}, for {each.purpose}, is taken{whose}.",
            hint=_remedy(each, parameters, before),
        )


def _of_parts(wanted: Mapping[str, Any]) -> Iterator[Needed]:
    yield Needed(int(wanted.get("port", SERVICE_PORT)), "the provisioning service")
    if wanted.get("database") == POSTGRESQL:
        yield Needed(int(wanted.get("database_port", USUAL_DATABASE)), "PostgreSQL")
    if wanted.get("edge"):
        yield Needed(int(wanted["edge_port"]), "the edge", option="--listen 127.0.0.1:PORT")
        yield Needed(int(wanted["ui_port"]), "the web page", option="--web-page-port PORT")


def _of_agents(wanted: Mapping[str, Any]) -> Iterator[Needed]:
    ports = {**USUAL, **wanted.get("ports", {})}
    for name, port in ports.items():
        agent = name.partition("_")[0]
        if agent in _TITLES and not wanted.get(f"{agent}_address"):
            address = str(ports["dns_address"]) if name == "consul_dns" else LOOPBACK
            yield Needed(int(port), _TITLES[agent], address, udp=name in _UDP)


def _remedy(needed: Needed, parameters: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    shown = f"`ss -lntup 'sport = {needed.port}'` shows the program: stop it"
    alone = f", or give {needed.purpose} another port with `{needed.option}`" if needed.option else ""
    if before is not None:
        return f"{shown}{alone}. {_MOVE}"
    chosen = "choose another block" if parameters.get("ports") else "choose other ports for everything"
    return f"{shown}{alone}, or {chosen} with `doit deploy --first-port PORT`."


def _is_taken(needed: Needed) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM) if needed.udp else (socket.SOCK_STREAM,):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((needed.address, needed.port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return True
    return False


def _holder(port: int) -> int | None:
    """The id of a process that has a socket on this local port (proc_pid_net(5)); None if that can't be seen."""
    sockets = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(file.readlink()) in sockets for file in (process / "fd").iterdir()):
                return int(process.name)
    return None


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return "a program"


def _allocations(state: Path) -> Collection[str]:
    """Ids of what Nomad runs here."""
    with suppress(OSError):
        return [folder.name for folder in (state / "agents" / "nomad" / "data" / "alloc").iterdir()]
    return []


def _is_of(process: int, allocations: Collection[str]) -> bool:
    """Whether a process is in a container of one of them: it has folders of it mounted (proc_pid_mountinfo(5))."""
    try:
        mounts = Path(f"/proc/{process}/mountinfo").read_text(errors="replace")
    except OSError:
        return True  # nobody can say
    return any(f"/alloc/{allocation}/" in mounts for allocation in allocations)
