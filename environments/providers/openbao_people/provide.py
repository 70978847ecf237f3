"""OpenBao as the built-in OpenID provider."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from environments.providers.openbao_people.page import OpenBaoAuthorizationPage
from environments.providers.openbao_people.people import OpenBaoLocalPeople
from environments.providers.openbao_people.ports import PeopleCalls

if TYPE_CHECKING:
    from environments.providers.backend.connections import Connections
    from environments.providers.oidc.fetching import BackChannel
    from environments.providers.openbao_people.identity import BuiltInIdentity


@dataclass(frozen=True)
class BuiltIn:
    """All of the built-in provider: its calls, its people, the page for signing in, and the provider itself."""

    calls: PeopleCalls
    people: OpenBaoLocalPeople
    page: OpenBaoAuthorizationPage
    identity: "BuiltInIdentity"


def connect(connections: "Callable[[], Connections]", external_address: str, clock: Callable[[], datetime]) -> BuiltIn:
    """The built-in provider in the OpenBao of these connections.

    `external_address`: by which people reach the service; the provider is there only if it was set up with that one.
    """
    from environments.providers.oidc.fetching import BackChannel
    from environments.providers.openbao_people.client import OpenBaoPeople

    def back_channel() -> BackChannel:
        endpoint = connections().endpoint("vault")
        return BackChannel(endpoint.address, endpoint.ca_file, endpoint.server_name)

    return assemble(OpenBaoPeople(connections), external_address, clock, back_channel)


def assemble(
    calls: PeopleCalls,
    external_address: str,
    clock: Callable[[], datetime],
    back_channel: "Callable[[], BackChannel]",
) -> BuiltIn:
    """The same on given calls; `back_channel`: where their OpenBao is."""
    from environments.providers.openbao_people.identity import BuiltInIdentity

    people = OpenBaoLocalPeople(calls, external_address, clock)
    page = OpenBaoAuthorizationPage(calls, people, clock)
    return BuiltIn(calls, people, page, BuiltInIdentity(calls, people.issuer, back_channel, clock))
