"""Channels of warnings, and the address in their links, of a deployment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from environments.channel_settings import read_channels

NONE = "none"


def external_address(edge: Mapping[str, Any]) -> str:
    """By which people reach the service through the edge with these parameters, as browsers write it; else `none`."""
    if "edge_address" not in edge:
        return NONE
    port = "" if edge["edge_port"] == 443 else f":{edge['edge_port']}"
    return f"https://{edge['edge_address']}{port}"


def warning_parameters(choice: str, edge: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of `meta` for warnings, with the content of a new file of channels.

    `choice` is the path of that file, `none`, or empty: as before. `edge` are the parameters of the edge: links
    lead there, if there is one. Raises `InvalidInput` for a file that can't be used.
    """
    address = external_address(edge)
    if not choice:
        return {"external_address": address, "warnings": bool((before or {}).get("warnings"))}
    if choice == NONE:
        return {"external_address": address, "warnings": False}
    read_channels(Path(choice))
    text = Path(choice).read_text(encoding="utf-8")
    return {"external_address": address, "warnings": True, "warning_channels": text}
