"""Reads and writes the rules on this node with iptables, and says why it can't.

It has to run as root in the network namespace of the node, as Nomad's client does; the service does neither.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from environments.domain.cleaning import Cleaner
from environments.domain.errors import MachineError
from environments.providers.local_cluster.isolation.model import Allocation, Network
from environments.providers.local_cluster.isolation.rules import TABLE, Ruleset, change, parse, rules, rules_ipv6

_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_SECONDS = 20
"""For one call. iptables itself waits 5 s for others that change rules (`-w 5`)."""

_ATTEMPTS = 3
"""Somebody else may change the built-in chains between our reading and our writing; the write then fails as a whole."""

_BRIDGED = Path("/proc/sys/net/bridge")
_IPV6 = Path("/proc/sys/net/ipv6")


class Reason(StrEnum):
    """Why jobs can't be isolated on a machine."""

    NOT_ROOT = "not_root"
    NO_IPTABLES = "no_iptables"
    NO_IP = "no_ip"
    NO_CNI_PLUGINS = "no_cni_plugins"
    NO_BRIDGE_NETFILTER = "no_bridge_netfilter"
    REFUSED = "refused"


@dataclass(frozen=True)
class Lack:
    """What keeps this machine from isolating jobs: one sentence, and what to do."""

    reason: Reason
    message: str
    hint: str


class NotIsolated(MachineError):
    """Jobs can't be isolated on this machine; `lack` says why."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(lack.message, hint=lack.hint)
        self.lack = lack


Run = Callable[[Sequence[str], str], str]
"""Runs a program with that input, and gives what it printed. Raises `NotIsolated`."""


class Firewall:
    """The rules of this node."""

    def __init__(self, run: Run | None = None, *, ipv6: bool | None = None) -> None:
        self._run = run or run_program
        self._ipv6 = _IPV6.exists() if ipv6 is None else ipv6

    def apply(self, network: Network, allocations: Iterable[Allocation]) -> bool:
        """Makes the rules those of these allocations, in one step for each family; returns whether any changed.

        Raises `NotIsolated`. The rules for IPv6 come first, since they depend on no allocation.
        """
        changed = self._ipv6 and self._set("ip6tables", network, rules_ipv6(network))
        return self._set("iptables", network, rules(network, allocations)) or changed

    def filter_bridge(self, network: Network) -> None:
        """Lets the rules see what the bridge carries from job to job, on this bridge alone. Raises `NotIsolated`.

        The switch for all bridges (`net.bridge.bridge-nf-call-iptables`) may be off, and stays as it is.
        """
        words = ("nf_call_iptables", "1", "nf_call_ip6tables", "1")
        self._run(("ip", "link", "set", "dev", network.bridge, "type", "bridge", *words), "")

    def remove(self, network: Network) -> None:
        """Removes our rules and chains of this bridge, and nothing else. Raises `NotIsolated`."""
        for program in ("iptables", *(["ip6tables"] if self._ipv6 else [])):
            self._set(program, network, None)

    def _set(self, program: str, network: Network, wanted: Ruleset | None) -> bool:
        for attempt in range(1, _ATTEMPTS + 1):
            current = parse(self._run((f"{program}-save", "-t", TABLE), ""))
            text = change(network, current, wanted)
            if not text:
                return False
            try:
                self._run((f"{program}-restore", "--noflush", "-w", "5", "-T", TABLE), text)
            except NotIsolated:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return True
        raise AssertionError("unreachable")


def lack(plugins: Path | None) -> Lack | None:
    """What this machine lacks to isolate jobs, found without changing anything; None: nothing.

    `plugins` is the folder with the plugins of CNI, None if there is none.
    """
    if os.geteuid() != 0:
        return Lack(Reason.NOT_ROOT, "Only root may write firewall rules.", "Start the agents as root.")
    needed = ["iptables-save", "iptables-restore", *(["ip6tables-save", "ip6tables-restore"] if _IPV6.exists() else [])]
    for program in needed:
        if shutil.which(program, path=_PATH) is None:
            return Lack(Reason.NO_IPTABLES, f"There is no {program} on this machine.", "Install the package iptables.")
    if shutil.which("ip", path=_PATH) is None:
        return Lack(Reason.NO_IP, "There is no program ip on this machine.", "Install the package iproute2.")
    if plugins is None or not (plugins / "firewall").exists():
        hint = "Install the package containernetworking-plugins, or the plugins of CNI in /opt/cni/bin."
        return Lack(Reason.NO_CNI_PLUGINS, "The plugins of CNI aren't installed on this machine.", hint)
    return bridge_lack() or _refusal()


def bridge_lack() -> Lack | None:
    """Whether the kernel shows the firewall what a bridge carries from one job to another; None: it does."""
    if _BRIDGED.exists():
        return None
    return Lack(
        Reason.NO_BRIDGE_NETFILTER,
        "What a bridge carries between two jobs doesn't pass this machine's firewall: br_netfilter isn't loaded.",
        "Run modprobe br_netfilter, and name it in a file of /etc/modules-load.d.",
    )


def _refusal() -> Lack | None:
    try:
        run_program(("iptables-save", "-t", TABLE), "")
    except NotIsolated as error:
        return error.lack
    return None


def run_program(command: Sequence[str], text: str) -> str:
    """Runs a program of the system, with a time limit and a clean environment. See `Run`."""
    name = command[0]
    hint = f"Run {name} as root in the network namespace of Nomad's client, and see what it says."
    if (program := shutil.which(name, path=_PATH)) is None:
        raise NotIsolated(Lack(Reason.REFUSED, f"There is no program {name} on this machine.", "Install it."))
    try:
        done = subprocess.run(
            [program, *command[1:]],
            input=text.encode(),
            capture_output=True,
            env={"PATH": _PATH, "LC_ALL": "C"},
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise NotIsolated(Lack(Reason.REFUSED, f"{name} didn't end within {_SECONDS} s.", hint)) from error
    if done.returncode:
        said = Cleaner().clean(done.stderr.decode(errors="replace"), 500).strip().replace("\n", " ")
        raise NotIsolated(Lack(Reason.REFUSED, f"{name} failed: {said or f'it ended with {done.returncode}'}.", hint))
    return done.stdout.decode(errors="replace")
