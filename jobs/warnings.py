"""Channels of warnings, and the address in their links, of a deployment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from environments.channel_settings import read_channels

NONE = "none"


def warning_parameters(choice: str, edge: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of `meta` for warnings, with the content of a new file of channels.

    `choice` is the path of that file, `none`, or empty: as before. `edge` are the parameters of the edge: links
    lead there, if there is one. Raises `InvalidInput` for a file that can't be used.
    """
    address = f"https://{edge['edge_address']}:{edge['edge_port']}" if "edge_address" in edge else NONE
    if not choice:
        return {"external_address": address, "warnings": bool((before or {}).get("warnings"))}
    if choice == NONE:
        return {"external_address": address, "warnings": False}
    read_channels(Path(choice))
    text = Path(choice).read_text(encoding="utf-8")
    return {"external_address": address, "warnings": True, "warning_channels": text}
