"""Holds over the API: who sees them, who decides, and where else they show."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from environments.service.expiry import Expiry
from tests.fakes.service import Served, served


@pytest.fixture
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Eleven environments that became due at once, and nobody was warned."""
    with served(tmp_path_factory.mktemp("holds")) as running:
        with _client(running, running.token) as client:
            for number in range(11):
                made = {"name": f"held-{number}", "template": "web", "ttl": "1h"}
                client.post("/v1/environments", json=made).raise_for_status()
        Expiry(
            running.service.database,
            lambda: datetime.now(UTC) + timedelta(hours=2),
            lambda kind: f"{kind}-{'a' * 12}",
        ).destroy_due()
        yield running


def _client(api: Served, token: str) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60)


@pytest.fixture
def admin(api: Served) -> Iterator[httpx2.Client]:
    with _client(api, api.token) as client:
        yield client


@pytest.fixture
def user(api: Served, admin: httpx2.Client) -> Iterator[httpx2.Client]:
    made = admin.post("/v1/tokens", json={"owner": "grace"}).raise_for_status().json()
    with _client(api, made["secret"]) as client:
        yield client


def test_an_explanation_says_that_the_destroy_is_held(admin: httpx2.Client) -> None:
    found = admin.get("/v1/environments/held-0/explain").json()
    (hold,) = admin.get("/v1/holds").json()
    assert found["held"] == {"hold": hold["id"], "kind": "too_many", "since": hold["opened_at"]}
    assert (found["past"][0]["action"], found["past"][0]["by"]) == ("held", "clock")
    admin.post(f"/v1/holds/{hold['id']}/release", json={"reason": "they are over"}).raise_for_status()
    assert admin.get("/v1/environments/held-0/explain").json()["held"] is None


def test_a_hold_shows_on_environments_in_readiness_and_in_metrics(admin: httpx2.Client, user: httpx2.Client) -> None:
    (hold,) = admin.get("/v1/holds").json()
    assert (hold["kind"], hold["environments"], hold["decision"]) == ("too_many", 11, None)
    assert len(hold["names"]) == 11
    assert [(found["names"], found["environments"]) for found in user.get("/v1/holds").json()] == [([], 0)]
    assert user.get("/metrics").status_code == 403
    assert "11 by person of root" in hold["reason"]
    for told in (user.get("/v1/holds").text, user.get("/self/readiness").text):
        assert "11 of 11" in told
        assert "root" not in told, "users see nothing of others"
    assert admin.get("/v1/environments/held-3").json()["held_by"] == hold["id"]
    ready = admin.get("/self/readiness").json()
    assert ready["ready"]
    assert "11 so far" in ready["notices"][hold["id"]]
    metrics = admin.get("/metrics").text
    assert 'calvinverse_holds{kind="too_many"} 1.0' in metrics
    assert 'calvinverse_held_environments{kind="too_many"} 11.0' in metrics


def test_only_an_admin_decides_and_only_with_a_reason(admin: httpx2.Client, user: httpx2.Client) -> None:
    (hold,) = admin.get("/v1/holds").json()
    for what in ("release", "cancel"):
        path = f"/v1/holds/{hold['id']}/{what}"
        assert user.post(path, json={"reason": "mine"}).status_code == 403
        assert admin.post(path, json={"reason": ""}).status_code == 422
        assert admin.post(f"/v1/holds/nothing/{what}", json={"reason": "why"}).status_code == 404
    assert admin.get("/v1/holds").json() == [hold]


def test_a_release_says_how_many_were_seen(admin: httpx2.Client) -> None:
    (hold,) = admin.get("/v1/holds").json()
    path = f"/v1/holds/{hold['id']}/release"
    assert admin.post(path, json={"reason": "they are over", "environments": 10}).status_code == 409
    admin.post(path, json={"reason": "they are over", "environments": hold["environments"]}).raise_for_status()


def test_a_cancelled_hold_is_kept_with_its_reason(admin: httpx2.Client) -> None:
    (hold,) = admin.get("/v1/holds").json()
    path = f"/v1/holds/{hold['id']}/cancel"
    assert admin.post(path, json={"reason": "why", "keep_for": "soon"}).status_code == 422
    done = admin.post(path, json={"reason": "a mistake", "keep_for": "3h"}).raise_for_status().json()
    assert (done["decision"], done["decided_by"], done["environments"]) == ("cancelled", "root", 11)
    assert admin.post(path, json={"reason": "again"}).status_code == 409
    assert admin.get("/v1/holds").json() == []
    (kept,) = admin.get("/v1/holds?ended=true").json()
    assert kept["decision_reason"] == "a mistake"
    environment = admin.get("/v1/environments/held-3").json()
    assert environment["held_by"] is None
    assert environment["deadline_because"]["by"] == "root"
