"""The ports that a deployment needs on this machine: what another program has is told before anything starts."""

import errno
import ipaddress
import socket
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from environments.domain.errors import NotAllowedNow, PortTaken
from images.open_files import processes_with
from jobs.database import POSTGRESQL
from jobs.places import Places
from jobs.ports import LOOPBACK, SERVICE_PORT, USUAL, USUAL_DATABASE

_UDP = ("consul_dns", "consul_serf", "nomad_serf")
"""What listens for datagrams too."""

_LISTENS = "0A"
"""The state of a socket that takes connections."""

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
        holders = _holders(each)
        if runs and (not holders or any(_is_of(holder, allocations) for holder in holders)):
            continue  # ours, or nobody can say whose
        whose = f" by {_name(holders[0])} ({holders[0]})" if holders else ""
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


def _holders(needed: Needed) -> list[int]:
    """Ids of the processes that listen there (proc_pid_net(5)); none if that can't be seen."""
    sockets: set[str] = set()
    for table in ("tcp", "tcp6", "udp", "udp6") if needed.udp else ("tcp", "tcp6"):
        with suppress(OSError):
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
            sockets |= {f"socket:[{inode}]" for inode in _inodes(lines, needed, listening=table.startswith("tcp"))}
    return processes_with(sockets)


def _inodes(lines: Iterable[str], needed: Needed, *, listening: bool) -> Iterator[str]:
    """The sockets of a table that have the port, of this address or of every one; `listening`: those of connections
    don't count, which are of a port's clients, too."""
    for fields in map(str.split, lines):
        address, _, port = fields[1].rpartition(":")
        if int(port, 16) != needed.port or (listening and fields[3] != _LISTENS):
            continue
        own = ipaddress.ip_address(needed.address)
        found = _address(address)
        if found == own or found.is_unspecified or own.is_unspecified:
            yield fields[9]


def _address(words: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as the kernel writes it, in words of 32 bits in the machine's order; v4-mapped ones are of IPv4."""
    packed = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    found = ipaddress.ip_address(packed)
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


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
