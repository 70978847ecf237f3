"""Signing in, put together: providers, sessions, devices, and the pages."""

from collections.abc import Callable
from datetime import datetime

from starlette.middleware import Middleware

from environments.service.device_grant import DeviceGrants
from environments.service.sessions import Sessions
from environments.service.sign_in import SignIn
from environments.service.sign_in_ports import IdentityProviders
from environments.service.storage.transaction import Storage
from environments.service.tokens import Tokens
from environments.web.app import Pages, WithPages
from environments.web.ports import Service


def signing_in(
    storage: Storage,
    tokens: Tokens,
    providers: IdentityProviders,
    clock: Callable[[], datetime],
    new_id: Callable[[str], str],
    address: str,
) -> tuple[SignIn, Sessions, DeviceGrants]:
    """The use cases. `address`: that of the service as people reach it; empty: the one that somebody has asked."""
    sessions = Sessions(storage, clock, new_id, tokens.tell_revoked)
    sign_in = SignIn(storage, sessions, providers, clock)
    return sign_in, sessions, DeviceGrants(storage, sessions, clock, new_id, address)


def pages(service: Service, derive: Callable[[str], bytes], clock: Callable[[], datetime], address: str) -> Middleware:
    """What `environments.api.app.create_app` puts before the API. `derive` gives 32 bytes for a label."""
    return Middleware(WithPages, pages=Pages(service, derive, clock, address))
