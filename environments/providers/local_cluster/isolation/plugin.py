"""What Nomad runs as CNI's plugin `firewall` for each allocation on its bridge: our rules first, then that plugin.

Run as `python -m environments.providers.local_cluster.isolation.plugin FOLDER` with CNI's environment and input
(https://www.cni.dev/docs/spec/). `FOLDER` is that of `records`. Nomad runs it before the allocation's tasks start, and
tells the allocation's namespace, which no job can change. An allocation whose rules can't be written doesn't start.
"""

import json
import os
import sys
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any, NoReturn

from environments.domain.errors import CalvinverseError, InvalidInput
from environments.node_firewall import NotIsolated, bridge_lack
from environments.private_files import locked
from environments.providers.local_cluster.isolation.firewall import Firewall
from environments.providers.local_cluster.isolation.model import Allocation, Network, check_arguments
from environments.providers.local_cluster.isolation.records import Records

_MAXIMUM_INPUT = 4 * 1024 * 1024
_FAILED = 100
"""CNI: codes from 100 on are the plugin's own."""


def arguments(text: str) -> dict[str, str]:
    """CNI_ARGS. Raises `InvalidInput` if one comes twice: then a job may have written one that is Nomad's."""
    found: dict[str, str] = {}
    for word in filter(None, text.split(";")):
        key, _, value = word.partition("=")
        if key in found:
            raise InvalidInput(f"The argument {key[:80]!r} of CNI comes twice.")
        found[key] = value
    return found


def allocation(network: Network, given: Mapping[str, str], container: str, config: Any) -> Allocation:
    """The allocation that gets an address. Raises `InvalidInput` if Nomad doesn't say which one, or where."""
    outgoing = check_arguments(given)
    namespace = given.get("NOMAD_NAMESPACE", "")
    if not namespace or given.get("NOMAD_ALLOC_ID") != container:
        raise InvalidInput(
            "Nomad doesn't tell plugins of CNI which allocation this is.", hint="Use Nomad 1.10 or later."
        )
    try:
        result = config["prevResult"]
        bridges = [found["name"] for found in result["interfaces"] if not found.get("sandbox")]
        addresses = [IPv4Interface(found["address"]).ip for found in result["ips"] if ":" not in found["address"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"What the plugins before this one found can't be read: {error!r}.") from error
    if network.bridge not in bridges or len(addresses) != 1:
        raise InvalidInput(
            f"The allocation isn't at one address on the bridge {network.bridge!r}.", hint="Run `doit deploy` again."
        )
    return Allocation(container, namespace, IPv4Address(addresses[0]), outgoing)


def connect(records: Records, firewall: Firewall, environment: Mapping[str, str], config: Any) -> None:
    """Records the allocation and writes the rules. Raises `CalvinverseError`."""
    if (lack := bridge_lack()) is not None:
        raise NotIsolated(lack)
    network = records.settings().network
    new = allocation(
        network, arguments(environment.get("CNI_ARGS", "")), environment.get("CNI_CONTAINERID", ""), config
    )
    with locked(records.lock):
        records.add(new)
        firewall.apply(network, records.allocations())
        firewall.filter_bridge(network)


def disconnect(records: Records, firewall: Firewall, container: str) -> None:
    """Forgets the allocation and writes the rules; Nomad may say nothing but its id. Raises `CalvinverseError`."""
    with locked(records.lock):
        records.discard(container)
        firewall.apply(records.settings().network, records.allocations())


def with_dns(network: Network, config: Any) -> Any:
    """The input of CNI's plugin, so that the tasks of the allocation ask the network's DNS server, if there is one.

    Nomad takes the servers from what the plugins print, unless the job file has a block `dns`.
    """
    if network.dns is None:
        return config
    servers = {"nameservers": [str(network.dns.gateway)]}
    return {**config, "prevResult": {**config["prevResult"], "dns": servers}}


def main() -> NoReturn:
    """Our part, then CNI's own plugin in this process, with the same input. A failure is printed as CNI wants it."""
    records = Records(Path(sys.argv[1]))
    command = os.environ.get("CNI_COMMAND", "")
    text = b"" if not command else sys.stdin.buffer.read(_MAXIMUM_INPUT)
    version = "1.0.0"
    try:
        if command in ("ADD", "CHECK"):
            config = json.loads(text)
            version = str(config.get("cniVersion", version))
            connect(records, Firewall(), os.environ, config)
            if command == "ADD":
                text = json.dumps(with_dns(records.settings().network, config)).encode()
        elif command == "DEL":
            _try_to_disconnect(records)
        plugin = records.settings().firewall
    except (CalvinverseError, OSError, ValueError, AttributeError) as error:
        hint = f" {error.hint}" if isinstance(error, CalvinverseError) else ""
        message = f"The jobs of this environment can't be isolated. {error}{hint}"
        sys.stdout.write(json.dumps({"cniVersion": version, "code": _FAILED, "msg": message}) + "\n")
        sys.stdout.flush()
        os._exit(1)
    _become(plugin, text)


def _try_to_disconnect(records: Records) -> None:
    """An allocation must end also where rules can't be written; what is left of it opens nothing."""
    try:
        disconnect(records, Firewall(), os.environ.get("CNI_CONTAINERID", ""))
    except (CalvinverseError, OSError) as error:
        sys.stderr.write(f"The rules of an allocation that ended remain: {error}\n")


def _become(plugin: Path, text: bytes) -> NoReturn:
    handle = os.memfd_create("input", 0)
    os.write(handle, text)
    os.lseek(handle, 0, os.SEEK_SET)
    os.dup2(handle, 0)
    os.execv(plugin, [str(plugin)])  # noqa: S606 - no shell: it takes this process's place


if __name__ == "__main__":
    main()
