"""Calls of Nomad's API about volumes."""

from collections.abc import Mapping, Sequence
from typing import Any

import nomad
from nomad.api.base import Requester

from environments.providers.backend.link import CALL_LIMIT


class _Volume(Requester):  # type: ignore[misc]
    """What the library has no class for."""

    ENDPOINT = "volume"


def remove_volume(client: nomad.Nomad, path: Sequence[str], params: Mapping[str, str]) -> int:
    """Deletes the volume at that path; gives the status."""
    volume = _Volume(**client.requester_settings)
    return int(volume.request(*path, method="delete", params=dict(params), timeout=CALL_LIMIT).status_code)


class _Volumes(Requester):  # type: ignore[misc]
    """Likewise."""

    ENDPOINT = "volumes"


def volumes(client: nomad.Nomad, params: Mapping[str, str]) -> list[dict[str, Any]]:
    """Volumes as Nomad's API lists them."""
    requester = _Volumes(**client.requester_settings)
    found: list[dict[str, Any]] | None = requester.request(method="get", params=dict(params), timeout=CALL_LIMIT).json()
    return found or []
