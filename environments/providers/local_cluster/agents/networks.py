"""The bridge of a Nomad agent: whether this machine can have one, its own subnet, and removing what is left of it.

Nomad makes the bridge when the first group needs it, and the CNI plugins connect groups to it. Several agents of one
machine share nothing here but chains of the firewall, in which each has rules of its own.
"""

import contextlib
import fcntl
import ipaddress
import re
import secrets
import shlex
import socket
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

from environments import cni
from environments.domain.errors import MachineError
from environments.kept_files import NotKept, read_kept
from environments.node_firewall import find, run_program
from environments.private_files import discard, locked, remove_folder
from environments.providers.local_cluster.agents.patience import wait_for

_BLOCKS = (ipaddress.IPv4Network("172.28.0.0/15"), ipaddress.IPv4Network("172.30.0.0/16"))
SUBNETS = tuple(subnet for block in _BLOCKS for subnet in block.subnets(new_prefix=21))
"""Where subnets are chosen: private addresses that neither Docker's first networks nor Nomad's own default take."""

_CLAIMS = Path("/run/calvinverse/subnets")
"""A file for each subnet in use, which holds the folder of its agent. It is empty after a start of the machine."""
_LEASES, _RESULTS = cni.LEASES, cni.RESULTS
_ROUTES = Path("/proc/net/route")
_INTERFACES = Path("/sys/class/net")

_BRIDGE = re.compile(r"cv([0-9a-f]{8})")
_ID = re.compile(r'id: "([^"]+)"')
_SECONDS = 30.0
_SIOCSIFFLAGS, _SIOCBRDELBR = 0x8914, 0x89A1  # linux/sockios.h


def bridge_name(cluster: str) -> str:
    """The name of the bridge; the kernel allows 15 characters. `cluster`: 8 characters that name the cluster."""
    return f"cv{cluster}"


def claim(folder: Path, before: str = "", claims: Path = _CLAIMS, routes: Path = _ROUTES) -> str:
    """A subnet (`172.28.8.0/21`) for the agent with this data folder, which no other agent and no route has.

    The one from `before`, unless another agent has claimed it since. Raises `MachineError` if all are taken.
    """
    with _held(claims):
        taken = dict(_claimed(claims))
        for subnet in [subnet for subnet, owner in taken.items() if not owner.is_dir()]:
            discard(_place(claims, subnet))
            del taken[subnet]
        if before and taken.get(before, folder) == folder:
            _write(claims, before, folder)
            return before
        used = [ipaddress.IPv4Network(subnet) for subnet in taken] + list(_routed(routes))
        free = [subnet for subnet in SUBNETS if not any(subnet.overlaps(other) for other in used)]
        if not free:
            raise MachineError(
                "No subnet is free for the networks of jobs.",
                hint=f"Free one of {SUBNETS[0]} to {SUBNETS[-1]}: all have routes or agents.",
            )
        chosen = str(secrets.choice(free))
        _write(claims, chosen, folder)
        return chosen


def release(folder: Path, claims: Path = _CLAIMS) -> None:
    """Gives back the subnets of the agent with this data folder."""
    if not claims.is_dir():
        return
    with _held(claims):
        for subnet, owner in list(_claimed(claims)):
            if owner == folder:
                discard(_place(claims, subnet))


def subnets_of(folder: Path, claims: Path = _CLAIMS) -> frozenset[str]:
    """The subnets that the agent with this data folder has claimed; none where this user can't see claims."""
    return frozenset(subnet for subnet, owner in _seen(claims).items() if owner == folder)


def subnets_of_others(folder: Path, claims: Path = _CLAIMS) -> frozenset[str]:
    """The subnets that other agents have claimed, which are there; none where this user can't see claims."""
    return frozenset(subnet for subnet, owner in _seen(claims).items() if owner != folder and owner.is_dir())


def _seen(claims: Path) -> dict[str, Path]:
    """Subnets with the folders of their agents, as far as this user can see claims."""
    with contextlib.suppress(OSError, MachineError):
        if claims.is_dir():
            with _held(claims):
                return dict(_claimed(claims))
    return {}


def clusters_in(subnets: Collection[str], routes: Path = _ROUTES) -> frozenset[str]:
    """The clusters whose bridges have one of these subnets on this machine now."""
    if not subnets:
        return frozenset()
    bridges = {name for name, network in _routed_by(routes) if str(network) in subnets}
    return frozenset(found[1] for name in bridges if (found := _BRIDGE.fullmatch(name)))


def kept_subnet(path: Path) -> str:
    """The subnet in a file; empty if there is none that an agent can have."""
    with contextlib.suppress(NotKept):
        text = read_kept(path).strip()
        return text if is_subnet(text) else ""
    return ""


def is_subnet(text: str) -> bool:
    """Whether it is a subnet that agents choose."""
    return text in map(str, SUBNETS)


def clear(bridge: str, subnet: str, allocations: Collection[str]) -> None:
    """Removes the bridge, and what CNI plugins left of groups in the subnet: rules and chains, leases, results.

    Rules of others stay, and so do the chains that all users of the plugins share. Raises `MachineError`.
    """
    network = ipaddress.IPv4Network(subnet)
    leases = [path for path in _LEASES.glob("*") if _is_in(path.name, network)]
    ids = {*allocations, *filter(None, map(cni.lease_holder, leases))}

    def clear_tables() -> bool:
        return sum(_clear_table(table, bridge, network, ids) for table in ("nat", "filter")) == 0

    # A call that fails because somebody else changes the rules is repeated, and a rule that a program of the killed
    # Nomad adds late is found.
    if not wait_for(clear_tables, _SECONDS):
        raise MachineError(
            f"The firewall keeps rules of the bridge {bridge}.",
            hint="See them with `iptables -S` and `iptables -t nat -S`, then run `doit undeploy` again.",
        )
    for path in leases:
        path.unlink(missing_ok=True)
    for allocation in ids:
        for path in _RESULTS.glob(f"nomad-{allocation}-*"):
            path.unlink(missing_ok=True)
    if (_INTERFACES / bridge / "bridge").is_dir():
        _remove_bridge(bridge)


def drop_leases(allocations: Collection[str]) -> None:
    """Removes the addresses that the plugin `host-local` keeps for these allocations."""
    for lease in _LEASES.glob("*.*.*.*"):
        if cni.lease_holder(lease) in allocations:
            lease.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(claims: Path) -> Iterator[None]:
    """Holds the lock of the claims. Nobody else may enter the folder: whoever can read a file can lock it for ever."""
    with contextlib.suppress(FileNotFoundError):
        claims.chmod(0o700)
    lock = claims / "lock"
    if lock.is_dir() and not lock.is_symlink():
        remove_folder(lock)
    with locked(lock):
        yield


def _claimed(claims: Path) -> Iterator[tuple[str, Path]]:
    """Subnets with the folders of their agents, which may be gone, or on a disk that isn't mounted here."""
    for path in claims.glob("*_*"):
        owner = _owner(path)
        if owner is not None and _is_network(subnet := path.name.replace("_", "/")):
            yield subnet, owner
        else:
            discard(path)


def _owner(claim: Path) -> Path | None:
    """The folder that a claim names; None if the claim can't be read."""
    with contextlib.suppress(NotKept, OSError, ValueError):
        owner = Path(read_kept(claim))
        return owner if owner.is_absolute() and "\0" not in str(owner) else None
    return None


def _place(claims: Path, subnet: str) -> Path:
    return claims / subnet.replace("/", "_")


def _write(claims: Path, subnet: str, folder: Path) -> None:
    _place(claims, subnet).write_text(str(folder))


def _routed(routes: Path) -> Iterator[ipaddress.IPv4Network]:
    """Networks with a route."""
    return (network for _, network in _routed_by(routes))


def _routed_by(routes: Path) -> Iterator[tuple[str, ipaddress.IPv4Network]]:
    """Interfaces with networks (proc_net(5): address and mask in hexadecimal, the lowest byte first)."""
    for line in routes.read_text().splitlines()[1:]:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[index]), "little") for index in (1, 7))
        if mask:
            yield fields[0], ipaddress.IPv4Network((address, mask.bit_count()), strict=False)


def _is_network(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.IPv4Network(text))
    return False


def _is_in(text: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.IPv4Network(text, strict=False).subnet_of(network)
    except ValueError:
        return False


def _clear_table(table: str, bridge: str, network: ipaddress.IPv4Network, ids: set[str]) -> int:
    """Removes what it finds of the bridge; returns the number of rules that it found."""
    rules = [shlex.split(line) for line in _iptables(table, "-S").splitlines() if line.startswith("-A ")]
    ours = [rule for rule in rules if bridge in rule or any(_is_in(word, network) for word in rule)]
    ids |= {found[1] for rule in ours for word in rule if (found := _ID.search(word))}
    ours += [rule for rule in rules if rule not in ours and any(_named(word, ids) for word in rule)]
    # Chains of single containers are named after a hash; all others are shared.
    own = {rule[-1] for rule in ours if re.fullmatch(r"CNI-(DN-)?[0-9a-f]{20,}", rule[-1])}
    for rule in ours:
        if rule[1] not in own:
            _iptables(table, "-D", *rule[1:])
    for chain in sorted(own):
        _iptables(table, "-F", chain)
        _iptables(table, "-X", chain)
    return len(ours)


def _named(word: str, ids: Collection[str]) -> bool:
    found = _ID.search(word)
    return found is not None and found[1] in ids


def _iptables(table: str, *arguments: str) -> str:
    """What iptables printed. A change that fails is made again by the caller; raises `MachineError` for a listing."""
    if find("iptables") is None:
        return ""  # no rules without it
    try:
        return run_program(("iptables", "-w", "10", "-t", table, *arguments), seconds=_SECONDS)
    except MachineError:
        if arguments[0] == "-S":
            raise
        return ""


def _remove_bridge(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        try:
            fcntl.ioctl(channel, _SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), 0))
            fcntl.ioctl(channel, _SIOCBRDELBR, name.encode() + b"\0")
        except OSError as error:
            raise MachineError(
                f"The bridge {name} can't be removed: {error.strerror}.", hint=f"Remove it: `ip link delete {name}`."
            ) from error
