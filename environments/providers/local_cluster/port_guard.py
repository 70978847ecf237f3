"""What Nomad runs as CNI's plugin `portmap`: refuses ports of the node that are somebody's, then becomes that plugin.

`portmap` leads connections to a port of the node to the job before the kernel looks for a listener. So without this a
job with a static port gets the connections to whatever listens there on loopback, and so does, by chance, one whose
port Nomad has chosen: Nomad knows the ports of its jobs, and nothing of other programs.

Run as `python -m environments.providers.local_cluster.port_guard PORTMAP RESERVED` with CNI's environment and input
(https://www.cni.dev/docs/spec/), in the network namespace of the node. `PORTMAP` is CNI's own plugin, `RESERVED` a file
with ports that no job gets, free or not. Nomad runs it before the tasks of an allocation start.
"""

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, NoReturn

from environments.domain.errors import InvalidInput, PortTaken
from environments.private_files import private_folder, write_if_changed

_MAXIMUM_INPUT = 4 * 1024 * 1024
_FAILED = 100
"""CNI: codes from 100 on are the plugin's own."""

_TABLES = Path("/proc/self/net")
_LISTENING = {"tcp": "0A", "udp": "07"}
"""States of sockets that wait for anybody (proc_pid_net(5)): TCP that listens, UDP that isn't connected."""

_PATIENCE = 3.0
"""Seconds for a listener that is ending, such as that of the version before."""

_HINT = "Choose another port, or leave `static` out of the job file: then Nomad chooses one."

Socket = tuple[str, IPv4Address | IPv6Address, int]
"""Protocol, address and port."""


def install(folder: Path, plugins: Path, reserved: Iterable[int]) -> Path:
    """Writes the plugin, and gives the folder that stands in Nomad's `cni_path` before that of CNI's own plugins.

    Raises `MachineError`.
    """
    ports = folder / "reserved.json"
    private_folder(folder)
    write_if_changed(ports, json.dumps(sorted(reserved)) + "\n")
    script = private_folder(folder / "cni") / "portmap"
    command = [sys.executable, "-I", "-m", __name__, str(plugins / "portmap"), str(ports)]
    write_if_changed(script, f"#!/bin/sh\nexec {shlex.join(command)}\n")
    script.chmod(0o700)
    return script.parent


def check(
    config: Any,
    reserved: Collection[int],
    listening: Callable[[], Iterable[Socket]],
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Raises `PortTaken` for a port of the node that the allocation may not have, `InvalidInput` for what isn't CNI's.

    `listening` gives what listens now. A listener has a moment to end.
    """
    try:
        asked = [_asked(mapping) for mapping in (config.get("runtimeConfig") or {}).get("portMappings") or ()]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"The ports of the allocation can't be read: {error!r}.") from error
    for _, _, port in asked:
        if port in reserved:
            raise PortTaken(f"Port {port} of the node is kept for Calvinverse itself.", hint=_HINT)
    end = now() + _PATIENCE
    while asked and (found := _first_taken(asked, listening())) is not None:
        if now() > end:
            protocol, listener, port = found
            said = f"Port {port} of the node is taken: a program listens there ({protocol}, {listener})."
            raise PortTaken(said, hint=_HINT)
        pause(0.1)


def _first_taken(asked: Iterable[Socket], listening: Iterable[Socket]) -> Socket | None:
    wanted = list(asked)
    for found in listening:
        if any(found[::2] == each[::2] and _overlap(each[1], found[1]) for each in wanted):
            return found
    return None


def sockets(tables: Path = _TABLES) -> Iterator[Socket]:
    """Everything that listens on this node. Raises `OSError` if the kernel doesn't say."""
    for protocol, state in _LISTENING.items():
        for table in (protocol, f"{protocol}6"):
            path = tables / table
            if table.endswith("6") and not path.exists():
                continue
            for line in path.read_text().splitlines()[1:]:
                local, found = line.split()[1], line.split()[3]
                address, _, port = local.partition(":")
                if found == state:
                    yield protocol, _address(address), int(port, 16)


def _address(text: str) -> IPv4Address | IPv6Address:
    """The kernel writes words of 32 bits in the order of the machine's own bytes."""
    words = [int(text[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(text), 8)]
    if len(words) == 1:
        return IPv4Address(words[0])
    found = IPv6Address(b"".join(words))
    return found.ipv4_mapped or found


def _asked(mapping: Any) -> Socket:
    """CNI writes `hostPort`, Nomad writes `HostPort`: the plugin that reads it, in Go, makes no difference."""
    found = {str(name).lower(): value for name, value in mapping.items()}
    address = IPv4Address(found.get("hostip") or "0.0.0.0")  # noqa: S104 - what CNI means by none
    return str(found.get("protocol") or "tcp").lower(), address, int(found["hostport"])


def _overlap(asked: IPv4Address | IPv6Address, listener: IPv4Address | IPv6Address) -> bool:
    """Whether the listener could get connections to the address that is asked for; one on `::` may take IPv4, too."""
    if listener.is_unspecified:
        return True
    return listener.version == asked.version and (asked.is_unspecified or asked == listener)


def main() -> NoReturn:
    """The check, then CNI's own plugin in this process, with the same input. A failure is printed as CNI wants it."""
    plugin, reserved = sys.argv[1:3]
    command = os.environ.get("CNI_COMMAND", "")
    text = sys.stdin.buffer.read(_MAXIMUM_INPUT) if command else b""
    version = "1.0.0"
    if command == "ADD":
        try:
            config = json.loads(text)
            version = str(config.get("cniVersion", version))
            check(config, frozenset(json.loads(Path(reserved).read_text())), sockets)
        except (PortTaken, InvalidInput, OSError, ValueError, AttributeError, TypeError) as error:
            hint = f" {error.hint}" if isinstance(error, PortTaken) else ""
            sys.stdout.write(json.dumps({"cniVersion": version, "code": _FAILED, "msg": f"{error}{hint}"}) + "\n")
            sys.stdout.flush()
            os._exit(1)
    _become(plugin, text)


def _become(plugin: str, text: bytes) -> NoReturn:
    handle = os.memfd_create("input", 0)
    os.write(handle, text)
    os.lseek(handle, 0, os.SEEK_SET)
    os.dup2(handle, 0)
    os.execv(plugin, [plugin])  # noqa: S606 - no shell: it takes this process's place


if __name__ == "__main__":
    main()
