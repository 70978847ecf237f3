"""A right that the deployed service loses for a while, so that something of it fails without anything being broken."""

from collections.abc import Iterator
from contextlib import contextmanager

from environments.adapters.calls import Caller

POLICY = "calvinverse-manager"


@contextmanager
def denied(vault: Caller, environment: str) -> Iterator[None]:
    """OpenBao, asked as an admin, refuses the service everything in the folder of an environment's secrets."""
    before = vault.call("GET", f"/v1/sys/policies/acl/{POLICY}")["data"]["policy"]
    shut = "".join(
        f'\npath "secret/{kind}/environments/{environment}{below}" {{ capabilities = ["deny"] }}'
        for kind in ("data", "metadata")
        for below in ("", "/", "/*")
    )
    vault.call("PUT", f"/v1/sys/policies/acl/{POLICY}", {"policy": before + shut + "\n"})
    try:
        yield
    finally:
        vault.call("PUT", f"/v1/sys/policies/acl/{POLICY}", {"policy": before})
