"""What this machine lacks to isolate jobs of different environments, and how its firewall's programs are run."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from environments.domain.cleaning import Cleaner
from environments.domain.errors import MachineError

TABLE = "mangle"
"""The table of iptables that has the rules between environments."""

_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
SECONDS = 20.0
"""For one call of a program. iptables itself waits 5 s for others that change rules (`-w 5`)."""

_BRIDGED = Path("/proc/sys/net/bridge")
IPV6 = Path("/proc/sys/net/ipv6")

REACHED = "Jobs of different environments reach each other, and whatever listens on all addresses of this machine."
"""What is not isolated on a machine that lacks something."""


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


def lack(plugins: Path | None) -> Lack | None:
    """What this machine lacks to isolate jobs, found without changing anything; None: nothing.

    `plugins` is the folder with the plugins of CNI, None if there is none.
    """
    if os.geteuid() != 0:
        return Lack(Reason.NOT_ROOT, "Only root may write firewall rules.", "Start the agents as root.")
    needed = ["iptables-save", "iptables-restore", *(["ip6tables-save", "ip6tables-restore"] if IPV6.exists() else [])]
    for program in needed:
        if find(program) is None:
            return Lack(Reason.NO_IPTABLES, f"There is no {program} on this machine.", "Install the package iptables.")
    if find("ip") is None:
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


def find(program: str) -> str | None:
    """The path of a program of the system; None if there is none."""
    return shutil.which(program, path=_PATH)


def run_program(command: Sequence[str], text: str = "", *, seconds: float = SECONDS) -> str:
    """Runs a program of the system with that input, in a clean environment; gives what it printed.

    Raises `NotIsolated` if there is no such program, if it fails, or if it takes longer than `seconds`.
    """
    name = command[0]
    hint = f"Run {name} as root in the network namespace of Nomad's client, and see what it says."
    if (program := find(name)) is None:
        raise NotIsolated(Lack(Reason.REFUSED, f"There is no program {name} on this machine.", "Install it."))
    try:
        done = subprocess.run(
            [program, *command[1:]],
            input=text.encode(),
            capture_output=True,
            env={"PATH": _PATH, "LC_ALL": "C"},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise NotIsolated(Lack(Reason.REFUSED, f"{name} didn't end within {seconds:.0f} s.", hint)) from error
    if done.returncode:
        said = Cleaner().clean(done.stderr.decode(errors="replace"), 500).strip().replace("\n", " ")
        raise NotIsolated(Lack(Reason.REFUSED, f"{name} failed: {said or f'it ended with {done.returncode}'}.", hint))
    return done.stdout.decode(errors="replace")
