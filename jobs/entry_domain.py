"""The domain below which the edge of a deployment serves entry points of environments."""

from collections.abc import Mapping
from typing import Any

from environments.domain.entry_points import check_entry_domain, shared_parent
from environments.domain.errors import InvalidInput

LOCAL = "localhost"
DEFAULT = f"apps.{LOCAL}"
"""The domain beside an edge that only the machine itself reaches."""

NONE = "none"
"""What the user gives for no entry points."""


def entry_parameters(choice: str, edge: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of `meta` for entry points; empty: as before.

    `choice` is a domain, `none`, or empty: as before. `edge` are the parameters of the edge; `before` are the
    parameters so far. Raises `InvalidInput`.
    """
    if not edge["edge"]:
        if choice not in ("", NONE):
            raise InvalidInput(
                "There is no edge that could serve entry points.", hint="Switch it on with --listen or --address."
            )
        return {}
    address = edge["edge_address"]
    domain = choice or _chosen(before or {}) or _default(address)
    if domain == NONE:
        return {"entry_domain": NONE}
    check_entry_domain(domain, address)
    return {"entry_domain": domain, "entry_port": edge["edge_port"]}


def entry_warning(parameters: Mapping[str, Any]) -> str:
    """What a person should know about the domain that was chosen; mostly nothing."""
    domain, address = parameters.get("entry_domain", ""), parameters.get("edge_address", "")
    if domain in ("", NONE) or not (parent := shared_parent(domain, address)):
        return ""
    return (
        f"Environments below {domain} can set cookies for {parent}, which browsers send to {address} as well. "
        "Choose a domain that doesn't end like the service's address, with --entry-domain."
    )


def _chosen(before: Mapping[str, Any]) -> str:
    """The domain, or `none`, that was chosen; empty: nothing was, because there was never an edge."""
    had_edge = before.get("edge") or before.get("edge_off")
    domain = str(before.get("entry_domain", ""))
    return "" if domain == NONE and not had_edge else domain


def _default(address: str) -> str:
    return DEFAULT if address.endswith(f".{LOCAL}") else NONE
