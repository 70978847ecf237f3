"""The CNI plugins of this machine, which give groups of tasks networks of their own."""

from pathlib import Path

PLUGINS = ("bridge", "firewall", "host-local", "loopback", "portmap")
"""The CNI plugins that Nomad runs for a group in bridge mode."""

PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
"""Where Debian installs them, and where their makers say that they belong."""

LEASES = Path("/var/run/cni/nomad")
"""Where the plugin `host-local` keeps which container has which address, for every Nomad of this machine."""
RESULTS = Path("/var/lib/cni/results")
"""Where CNI's library keeps what the plugins were given, and what they made, for each container."""


def plugin_folder() -> Path | None:
    """The folder with all plugins that bridge mode needs; None if there is none."""
    return next((folder for folder in PLUGIN_FOLDERS if all((folder / name).is_file() for name in PLUGINS)), None)


def lease_holder(lease: Path) -> str:
    """The container that has the address of a file in `LEASES`: its first line; empty if it has none.

    Raises `OSError`, `UnicodeDecodeError`.
    """
    return lease.read_text().partition("\n")[0].strip()
