"""What the edge asks the API for: nobody else may, not with any token, and not through the edge."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from environments.api.routes.edge import PATHS, credential
from images.edge.app.service import LABEL, make_key
from tests.fakes.service import FakeService, listening, make_service

SECRET = "the secret of edge and service"
CREDENTIAL = f"Edge {credential(SECRET.encode())}"


@dataclass
class Api:
    """A service behind its API."""

    service: FakeService
    address: str

    def post(self, path: str, body: object, **headers: str) -> httpx2.Response:
        """The answer."""
        return httpx2.post(self.address + path, json=body, headers=headers, timeout=60, trust_env=False)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    service = make_service(tmp_path / "service")
    service.edge_routes.start()
    (tmp_path / "secret").write_text(SECRET + "\n")
    try:
        with listening(service, edge_secret=tmp_path / "secret") as address:
            yield Api(service, address)
    finally:
        service.edge_routes.stop()
        service.database.close()


def test_the_edge_gets_the_table_and_then_waits(api: Api) -> None:
    answer = api.post("/v1/edge/routes", {"edge": "one", "wait": 20}, Authorization=CREDENTIAL)
    assert answer.status_code == 200
    table = answer.json()
    assert table["environments"] == []
    body = {"edge": "one", "version": table["version"], "wait": 0}
    assert api.post("/v1/edge/routes", body, Authorization=CREDENTIAL).status_code == 204


@pytest.mark.parametrize("path", sorted(PATHS))
def test_nobody_else_may_ask(api: Api, path: str) -> None:
    token = api.service.tokens.first_token("root", "test")
    shown = [
        {},
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"Edge {SECRET}"},
        {"Authorization": f"Edge {token}"},
        {"Authorization": CREDENTIAL.replace("Edge", "Bearer")},
        {"Calvinverse-Edge": SECRET},
        {"Calvinverse-Edge": SECRET, "Calvinverse-Client": "192.0.2.7"},
        {"Authorization": f"Bearer {token}", "Calvinverse-Edge": SECRET, "Calvinverse-Client": "192.0.2.7"},
        # What the edge passes on for a client, even one that knows the credential.
        {"Authorization": CREDENTIAL, "Calvinverse-Edge": SECRET, "Calvinverse-Client": "192.0.2.7"},
    ]
    for headers in shown:
        answer = api.post(path, {}, **headers)
        assert answer.status_code == 401, headers
        assert SECRET not in answer.text


def test_without_an_edge_nobody_may_ask(tmp_path: Path) -> None:
    service = make_service(tmp_path / "service")
    try:
        with listening(service) as address:
            for path in PATHS:
                headers = {"Authorization": f"Edge {credential(b'')}"}
                answer = httpx2.post(address + path, json={}, headers=headers, timeout=60, trust_env=False)
                assert answer.status_code == 401
    finally:
        service.database.close()


@pytest.mark.parametrize(
    "body", [{}, {"edge": ""}, {"edge": "a b"}, {"edge": "one", "wait": 3600}, {"edge": "one", "more": 1}]
)
def test_other_questions_are_refused(api: Api, body: object) -> None:
    assert api.post("/v1/edge/routes", body, Authorization=CREDENTIAL).status_code == 422


def test_an_environment_without_entry_points_gets_no_certificate(api: Api) -> None:
    body = {"environment": "env-unknown", "request": "x"}
    assert api.post("/v1/edge/certificates", body, Authorization=CREDENTIAL).status_code == 404


def test_both_sides_derive_the_same_credential() -> None:
    assert LABEL == b"calvinverse: what the edge asks the service for"
    assert credential(b"a") != credential(b"b")


def test_it_is_in_no_description(api: Api) -> None:
    token = api.service.tokens.first_token("root", "test")
    headers = {"Authorization": f"Bearer {token}"}
    found = httpx2.get(f"{api.address}/openapi.json", headers=headers, timeout=60, trust_env=False)
    assert not [path for path in json.loads(found.text)["paths"] if "edge" in path]


def test_a_key_is_made_with_a_request_that_is_signed_by_it() -> None:
    key, request = make_key()
    assert "PRIVATE KEY" in key
    assert request.startswith("-----BEGIN CERTIFICATE REQUEST-----")
