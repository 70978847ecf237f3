"""A right that the deployed service loses for a while, so that something of it fails without anything being broken."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from environments.providers.backend.calls import Caller

POLICIES = ("calvinverse-service", "calvinverse-manager")
"""The policy of the service in OpenBao, by its name in this version and in older ones."""


@contextmanager
def denied(vault: Caller, environment: str) -> Iterator[None]:
    """OpenBao, asked as an admin, refuses the service everything in the folder of an environment's secrets."""
    known = vault.call("GET", "/v1/sys/policies/acl?list=true")["data"]["keys"]
    with ExitStack() as stack:
        for policy in POLICIES:
            if policy in known:
                stack.enter_context(_without(vault, policy, environment))
        yield


@contextmanager
def _without(vault: Caller, policy: str, environment: str) -> Iterator[None]:
    before = vault.call("GET", f"/v1/sys/policies/acl/{policy}")["data"]["policy"]
    shut = "".join(
        f'\npath "secret/{kind}/environments/{environment}{below}" {{ capabilities = ["deny"] }}'
        for kind in ("data", "metadata")
        for below in ("", "/", "/*")
    )
    vault.call("PUT", f"/v1/sys/policies/acl/{policy}", {"policy": before + shut + "\n"})
    try:
        yield
    finally:
        vault.call("PUT", f"/v1/sys/policies/acl/{policy}", {"policy": before})
