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


@dataclass(frozen=True)
class BuiltIn:
    """All of the built-in provider: its calls, its people, and the page for signing in."""

    calls: PeopleCalls
    people: OpenBaoLocalPeople
    page: OpenBaoAuthorizationPage


def connect(connections: "Callable[[], Connections]", external_address: str, clock: Callable[[], datetime]) -> BuiltIn:
    """The built-in provider in the OpenBao of these connections."""
    from environments.providers.openbao_people.client import OpenBaoPeople

    return assemble(OpenBaoPeople(connections), external_address, clock)


def assemble(calls: PeopleCalls, external_address: str, clock: Callable[[], datetime]) -> BuiltIn:
    """The same on given calls."""
    people = OpenBaoLocalPeople(calls, external_address, clock)
    return BuiltIn(calls, people, OpenBaoAuthorizationPage(calls, people, clock))
