"""Attack 10: a token's children end with it, and never outrank it."""

import time
from datetime import datetime, timedelta
from typing import Any

from tests.support.attack_harness import Person, Target, refused


def holder(target: Target, secret: str) -> Person:
    return Person("alice", target.address, secret, target.admin.ca_file)


def ends(token: dict[str, Any]) -> datetime | None:
    return datetime.fromisoformat(token["expires_at"]) if token["expires_at"] else None


def test_a_child_lives_no_longer_than_its_parent(target: Target, admin: Person) -> None:
    parent = admin.post("/v1/tokens", {"owner": "alice", "ttl": "10m"})
    mine = holder(target, parent["secret"])
    end = ends(parent["token"])
    assert end is not None
    children = []
    for ttl in (None, "1h", "5m", "3650d"):
        response = mine.http.post("/v1/tokens", json={"owner": "alice", **({"ttl": ttl} if ttl else {})})
        if response.status_code == 201:
            children.append(response.json())
            child = ends(response.json()["token"])
            assert child is not None, ttl
            assert child <= end + timedelta(seconds=1), ttl
        else:
            refused(response)
    assert children
    grandchild = holder(target, children[0]["secret"]).http.post("/v1/tokens", json={"owner": "alice"})
    secrets = [child["secret"] for child in children]
    if grandchild.status_code == 201:
        last = ends(grandchild.json()["token"])
        assert last is not None
        assert last <= end + timedelta(seconds=1)
        secrets.append(grandchild.json()["secret"])
    for secret in secrets:
        assert holder(target, secret).http.get("/v1/environments").status_code == 200

    assert admin.http.delete(f"/v1/tokens/{parent['token']['id']}").status_code == 200
    for secret in (parent["secret"], *secrets):
        assert holder(target, secret).http.get("/v1/environments").status_code == 401


def test_a_child_never_outranks_its_parent(target: Target, admin: Person) -> None:
    chief = admin.post("/v1/tokens", {"owner": "chief", "role": "admin", "ttl": "10m"})
    child = holder(target, chief["secret"]).post("/v1/tokens", {"owner": "mallory", "role": "user", "ttl": "1h"})
    mallory = holder(target, child["secret"])
    assert refused(mallory.http.post("/v1/tokens", json={"owner": "mallory", "role": "admin"})) == "forbidden"
    assert refused(mallory.http.post("/v1/tokens", json={"owner": "chief"})) == "forbidden"
    assert admin.http.delete(f"/v1/tokens/{chief['token']['id']}").status_code == 200
    assert mallory.http.get("/v1/environments").status_code == 401


def test_a_stream_of_a_child_ends_with_its_parent(target: Target, admin: Person) -> None:
    parent = admin.post("/v1/tokens", {"owner": "alice", "ttl": "10m"})
    child = holder(target, parent["secret"]).post("/v1/tokens", {"owner": "alice", "ttl": "5m"})
    with holder(target, child["secret"]).http.stream("GET", "/v1/events", timeout=90) as response:
        assert admin.http.delete(f"/v1/tokens/{parent['token']['id']}").status_code == 200
        revoked = time.monotonic()
        for _ in response.iter_lines():  # a silent stream says something every 10 s
            assert time.monotonic() - revoked < 90, "the stream of a revoked token goes on"


def test_the_deployed_service_was_told_no_token(target: Target, admin: Person) -> None:
    jobs = target.part("nomad", "GET", "/v1/jobs?namespace=meta") or []
    for job in jobs:
        text = target.parts["nomad"].get(f"/v1/job/{job['ID']}?namespace=meta").text
        assert admin.token not in text
