"""Calls of Nomad's API for volumes that python-nomad doesn't have."""

from collections.abc import Mapping, Sequence
from typing import Any

import nomad
from nomad.api.base import Requester

from environments.providers.backend.link import CALL_LIMIT


class _Volume(Requester):  # type: ignore[misc]
    """A volume."""

    ENDPOINT = "volume"


def remove_volume(client: nomad.Nomad, path: Sequence[str], params: Mapping[str, str]) -> int:
    """Deletes the volume at that path; returns the HTTP status."""
    volume = _Volume(**client.requester_settings)
    return int(volume.request(*path, method="delete", params=dict(params), timeout=CALL_LIMIT).status_code)


class _Volumes(Requester):  # type: ignore[misc]
    """The list of volumes."""

    ENDPOINT = "volumes"


def volumes(client: nomad.Nomad, params: Mapping[str, str]) -> list[dict[str, Any]]:
    """The volumes in the form of Nomad's API."""
    requester = _Volumes(**client.requester_settings)
    found: list[dict[str, Any]] | None = requester.request(method="get", params=dict(params), timeout=CALL_LIMIT).json()
    return found or []
