"""Switches the isolation of a node on and off, and renews its rules. Runs where Nomad's client runs, as root."""

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from environments import cni, node_firewall
from environments.domain.errors import CalvinverseError, MachineError
from environments.node_firewall import NotIsolated
from environments.private_files import locked, private_folder, remove_folder, write_if_changed
from environments.providers.local_cluster.isolation import plugin
from environments.providers.local_cluster.isolation.adopting import connected, replaced
from environments.providers.local_cluster.isolation.firewall import Firewall
from environments.providers.local_cluster.isolation.model import Network
from environments.providers.local_cluster.isolation.records import Records, Settings

PERIOD = 5.0
"""Seconds between two looks at the rules: somebody may have flushed the firewall."""


def plugins(folder: Path) -> Path:
    """The folder that comes first in Nomad's `cni_path` where the isolation is switched on."""
    return Records(folder).plugins


def settings_file(folder: Path) -> Path:
    """The configuration of the program that this module is (`main`)."""
    return Records(folder).settings_file


def switch_on(folder: Path, network: Network, plugins: Path | None) -> Path:
    """Writes the rules of what is known, and gives the folder that comes first in Nomad's `cni_path`.

    Allocations that run on the bridge already are recorded before the rules are written. Nomad's client runs the plugin
    when it starts the next time. Raises `NotIsolated`, `MachineError`.
    """
    if (lack := node_firewall.lack(plugins)) is not None:
        raise NotIsolated(lack)
    assert plugins is not None
    records = Records(folder)
    private_folder(folder)
    records.write_settings(Settings(network, plugins / "firewall"))
    private_folder(records.plugins)
    script = records.plugins / "firewall"
    command = [sys.executable, "-I", "-m", plugin.__name__, str(folder)]
    write_if_changed(script, f"#!/bin/sh\nexec {shlex.join(command)}\n")
    script.chmod(0o700)
    adopt(folder)
    return records.plugins


def adopt(folder: Path) -> bool:
    """Records allocations on the bridge that Nomad has connected without the plugin, then does what `renew` does."""
    return renew(folder, adopting=True)


def renew(folder: Path, *, adopting: bool = False) -> bool:
    """Puts back whatever is missing of the rules; returns whether that was anything. Raises `MachineError`."""
    records = Records(folder)
    rules = Firewall()
    with locked(records.lock):
        network = records.settings().network
        if adopting:
            for ended in list(replaced(records.allocations(), cni.LEASES)):
                records.discard(ended.id)
            for found in connected(network, records.allocations(), cni.LEASES, cni.RESULTS):
                records.add(found)
        changed = rules.apply(network, records.allocations())
        if Path("/sys/class/net", network.bridge).exists():
            rules.filter_bridge(network)
    return changed


def limit(folder: Path) -> bool:
    """Puts back whatever is missing of the rules that limit connections, and removes those of another port.

    Returns whether that was anything. Raises `MachineError`.
    """
    records = Records(folder)
    with locked(records.lock):
        return Firewall().limit(records.settings().network)


def switch_off(folder: Path, bridges: Sequence[str] = (), *, certain: bool = True) -> None:
    """Removes the rules and the folder, if there are any. Nomad's client must have ended. Raises `MachineError`.

    `bridges`: whose rules are removed where the settings can't be read, or aren't `certain` to be of this folder.
    """
    records = Records(folder)
    if not folder.is_dir():
        return
    with locked(records.lock):
        try:
            networks = [records.settings().network] if certain else [Network(bridge) for bridge in bridges]
        except MachineError:
            written = any(records.plugins.glob("*"))
            if written and not bridges:
                raise
            networks = [Network(bridge) for bridge in bridges] if written else []
        for network in networks:
            Firewall().remove(network)
        remove_folder(folder)


def keep(folder: Path, pause: Callable[[float], None], say: Callable[[str], None]) -> None:
    """Renews the rules until the folder is gone; says what changed, and each failure once."""
    failures = {renew: "", limit: ""}
    while settings_file(folder).exists():
        for do, failure in failures.items():
            try:
                if do(folder):
                    say("The rules were not as they should be; they are renewed.")
                failures[do] = ""
            except (CalvinverseError, OSError) as error:
                if str(error) != failure:
                    failures[do] = str(error)
                    say(f"The rules can't be renewed: {error}")
        pause(PERIOD)


def main() -> None:
    """Renews the rules of the folder of this configuration file until that is gone or a signal comes."""
    keep(Path(sys.argv[-1]).parent, time.sleep, lambda text: print(text, flush=True))


if __name__ == "__main__":
    main()
