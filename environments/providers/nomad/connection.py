"""Builds python-nomad's client for one address, and explains its exceptions; see `Link`."""

import nomad
import requests
from nomad.api.exceptions import BaseNomadException, TimeoutNomadException, URLNotFoundNomadException

from environments.providers.backend.connections import Endpoint
from environments.providers.backend.link import CALL_LIMIT, Fault


def build(endpoint: Endpoint, token: str, session: requests.Session) -> nomad.Nomad:
    """The library's client of one address."""
    return nomad.Nomad(
        address=endpoint.address.rstrip("/"),
        token=token,
        session=session,
        timeout=CALL_LIMIT,
        verify=str(endpoint.ca_file) if endpoint.ca_file else True,
    )


def explain(error: Exception) -> Fault | None:
    """What an exception of the library means."""
    if isinstance(error, URLNotFoundNomadException):
        return Fault(404, error.nomad_resp.text)
    if not isinstance(error, BaseNomadException | TimeoutNomadException):
        return None
    answer = getattr(error, "nomad_resp", None)
    if isinstance(answer, requests.Response):
        return Fault(answer.status_code, answer.text)
    late = isinstance(answer, requests.Timeout)
    return Fault(None, "it didn't answer in time" if late else "it can't be reached")
