"""The resolvers of this machine, to which names go that aren't Consul's."""

import re
from collections.abc import Sequence
from pathlib import Path


def resolvers(file: Path = Path("/etc/resolv.conf")) -> Sequence[str]:
    """Addresses of the node's own resolvers (resolv.conf(5))."""
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return ()
    return re.findall(r"^\s*nameserver\s+(\S+)", text, re.MULTILINE)
