"""The fake that stands in for the HTTP client does what the protocol says."""

import inspect

from environments.client import Client, HttpClient
from tests.fakes.client import FakeClient


def test_fake_and_http_client_fit_the_protocol() -> None:
    fake: Client = FakeClient()
    real: Client = HttpClient("http://127.0.0.1:1", None)
    for name, member in inspect.getmembers(Client, inspect.isfunction):
        if name.startswith("_"):
            continue
        wanted = inspect.signature(member)
        for client in (fake, real):
            found = inspect.signature(getattr(type(client), name))
            assert list(found.parameters.values()) == list(wanted.parameters.values()), name
    real.close()
