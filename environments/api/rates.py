"""Limits on how often something may be asked for: by a client's address, or by the name of who is signed in.

By address only what nobody has signed in for: a whole office may share one. What a known caller asks for is counted
by the caller's name. `Rate` counts; `by_address` and `by_principal` make dependencies of routes from it.
"""

from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address

from fastapi import Request
from starlette.types import Scope

from environments.api.clients import beyond, client_of
from environments.domain.errors import Unauthenticated
from environments.service.rates import Rate, site_of

__all__ = ["Rate", "address_key", "apart", "by_address", "by_principal"]


def address_key(scope: Scope) -> str:
    """The client's address as one key for all that one client can have: IPv6 by its first 64 bits."""
    return site_of(client_of(scope))


def apart(scope: Scope) -> str:
    """The same for a client with an address of its own; empty for one on loopback that the edge didn't tell of.

    The service's machine runs many programs, jobs too, that share loopback: one could take what is for all of them.
    """
    return "" if _is_loopback(client_of(scope)) and not beyond(scope) else address_key(scope)


def _is_loopback(told: str) -> bool:
    try:
        address = ip_address(told)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def by_address(rate: Rate) -> Callable[[Request], Awaitable[None]]:
    """A dependency that counts each request of a route, by the client's address."""

    async def counted(request: Request) -> None:
        rate.count(address_key(request.scope))

    return counted


def by_principal(rate: Rate) -> Callable[[Request], Awaitable[None]]:
    """A dependency that counts each request of a route, by the name of the signed-in caller."""

    async def counted(request: Request) -> None:
        principal = request.scope["state"].get("principal")
        if principal is None:
            raise Unauthenticated("There is no token in the request.")
        rate.count(principal.owner)

    return counted
