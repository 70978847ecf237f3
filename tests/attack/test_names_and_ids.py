"""Attack 1: names and ids are two things, and nobody reaches anything of others by either."""

import json
import threading
import time
from typing import Any

import pytest

from tests.contract.access_table import ROWS
from tests.support.attack_harness import Person, Target, refused, until


@pytest.fixture(scope="module")
def victim(target: Target) -> Any:
    view = target.alice.made("ids-victim", "attack-notes")
    yield view
    target.alice.destroy(view["id"])


def test_an_id_of_somebody_else_is_no_name(alice: Person, mallory: Person, admin: Person, victim: Any) -> None:
    answer = mallory.ask(victim["id"], "attack-notes")
    try:
        assert refused(answer) == "invalid_name"
        plan = {"kind": "create", "template": "attack-notes"}
        assert refused(mallory.http.post(f"/v1/environments/{victim['id']}/plan", json=plan))
    finally:
        if answer.status_code == 202:
            mallory.destroy(answer.json()["environment"]["id"])
    for person in (alice, admin):
        for word in (victim["id"], victim["name"]):
            shown = person.get(f"/v1/environments/{word}")
            assert (shown["id"], shown["name"], shown["owner"]) == (victim["id"], victim["name"], "alice")
    assert refused(mallory.http.get(f"/v1/environments/{victim['id']}")) == "unknown_environment"


@pytest.mark.parametrize("name", ["env-abcdefghjkmn", "env-zzzzzzzzzzzz"])
def test_what_looks_like_an_id_is_no_name(mallory: Person, name: str) -> None:
    answer = mallory.ask(name, "attack-notes")
    if answer.status_code == 202:
        mallory.destroy(name)
    assert refused(answer) == "invalid_name"


@pytest.mark.parametrize("name", ["env", "env-1", "environment", "env-test", "dep-abcdefghjkmn-x"])
def test_what_only_begins_like_one_is(mallory: Person, name: str) -> None:
    plan = mallory.http.post(
        f"/v1/environments/{name}/plan", json={"kind": "create", "template": "attack-notes", "parameters": {}}
    )
    assert plan.status_code == 201, plan.text


def test_a_stream_tells_nothing_of_others(target: Target, alice: Person, mallory: Person, victim: Any) -> None:
    heard: dict[str, list[Any]] = {"alice": [], "mallory": []}
    opened = threading.Barrier(3, timeout=60)
    enough = threading.Event()

    def listen(person: Person) -> None:
        with person.http.stream("GET", "/v1/events", timeout=30) as response:
            opened.wait()
            for line in response.iter_lines():
                if line.startswith("data:"):
                    heard[person.name].append(json.loads(line[5:]))
                if enough.is_set():
                    return

    threads = [threading.Thread(target=listen, args=(person,)) for person in (alice, mallory)]
    for thread in threads:
        thread.start()
    try:
        opened.wait()
        alice.put(f"/v1/environments/{victim['name']}", {"parameters": {"message": "for alice only"}})
        assert alice.settled(victim["name"])["state"] == "ready"
        until(lambda: any(event["type"] == "environment.state" for event in heard["alice"]), "alice hears nothing", 30)
        time.sleep(1)  # what mallory would hear has been sent by now
    finally:
        enough.set()
        for thread in threads:
            thread.join(60)  # a silent stream says something every 10 s
    assert heard["alice"]
    assert [event for event in heard["mallory"] if event.get("environment_id") == victim["id"]] == []
    assert "for alice only" not in json.dumps(heard["mallory"])


BODIES: dict[str, Any] = {
    "PUT /v1/environments/{name}": {"parameters": {"message": "mine"}},
    "POST /v1/environments/{name}/plan": {"kind": "destroy"},
    "POST /v1/environments/{name}/extend": {"ttl": "10m"},
    "POST /v1/environments/{name}/abandon": {"reason": "mine"},
    "POST /v1/environments/{name}/rollback": {"deployment": "last-good"},
    "POST /v1/environments/{name}/cancel": {"force": True},
}


def test_every_route_is_shut_to_others(mallory: Person, alice: Person, admin: Person, victim: Any) -> None:
    """Each route with something in its path, with the victim's name and id, and ids of what belongs to it."""
    deployment = victim["deployment"]["id"]
    plan = alice.post(f"/v1/environments/{victim['name']}/plan", {"kind": "update", "parameters": {"message": "x"}})
    (token,) = [found["id"] for found in admin.get("/v1/tokens") if found["owner"] == "alice"][:1]
    ids = {"deployment_id": [deployment], "plan_id": [plan["id"]], "token_id": [token]}
    asked = 0
    for path, methods in mallory.get("/openapi.json")["paths"].items():
        if "{" not in path or path.startswith(("/v1/templates/", "/v1/images/")):
            continue
        field = path[path.index("{") + 1 : path.index("}")]
        for method in methods:
            for value in ids.get(field, [victim["name"], victim["id"]]):
                body = BODIES.get(f"{method.upper()} {path}")
                response = mallory.http.request(method.upper(), path.replace(f"{{{field}}}", value), json=body)
                refused = (
                    (401,) if path.endswith("/deliveries") else (403, 404, 422)
                )  # those are signed: no token counts
                assert response.status_code in refused, (method, path, response.status_code, response.text)
                assert victim["id"] not in response.text or value == victim["id"]
                asked += 1
    assert asked > 25
    shown = alice.get(f"/v1/environments/{victim['name']}")
    assert shown["state"] == "ready"
    assert alice.get(f"/v1/deployments/{deployment}")["id"] == deployment


RANKS = ("viewer", "planner", "operator", "owner")


def forbidden(person: Person, victim: Any, plan: str, role: str) -> int:
    """Asks for all that takes more than the role, of the environment and its plan; how much that was."""
    asked = 0
    ids = {"name": victim["name"], "plan_id": plan, "other": "alice"}
    for row in ROWS:
        method, _, path = row.route.partition(" ")
        if row.who not in RANKS[RANKS.index(role) + 1 :] or not path.startswith(("/v1/environments/", "/v1/plans/")):
            continue
        body = json.loads(json.dumps(row.body).replace("{other}", "alice"))
        response = person.http.request(method, path.format(**ids), json=body)
        assert response.status_code == 403, (role, row.route, response.status_code, response.text)
        assert response.json()["details"] == {"needs": row.who, "has": role}, (role, row.route, response.text)
        asked += 1
    return asked


@pytest.mark.parametrize("role", RANKS[:-1])
def test_a_share_gives_what_its_role_may_and_its_end_takes_it(
    mallory: Person, alice: Person, victim: Any, role: str
) -> None:
    path = f"/v1/environments/{victim['name']}"
    before = mallory.http.get(path)
    assert before.status_code == 404
    plan = alice.post(f"{path}/plan", {"kind": "update", "parameters": {"message": "x"}})
    alice.put(f"{path}/shares", {"subject": "mallory", "role": role, "ttl": "1h"})
    try:
        shown = mallory.get(path)
        assert (shown["id"], shown["role"]) == (victim["id"], role)
        assert victim["name"] in [view["name"] for view in mallory.get("/v1/environments")]
        assert forbidden(mallory, victim, plan["id"], role) > 4
    finally:
        ended = alice.http.delete(f"{path}/shares", params={"subject": "mallory"})
    assert ended.status_code == 200, ended.text
    after = mallory.http.get(path)
    assert (after.status_code, after.json()["detail"]) == (404, before.json()["detail"])
    assert mallory.http.get(f"/v1/plans/{plan['id']}").status_code == 404
    assert victim["name"] not in [view["name"] for view in mallory.get("/v1/environments")]
    assert alice.get(path)["state"] == "ready"


def test_nobody_gives_themselves_a_role(mallory: Person, alice: Person, victim: Any) -> None:
    """Neither on the environment of somebody else nor on the service."""
    share = {"subject": "mallory", "role": "owner", "reveal": True}
    path = f"/v1/environments/{victim['name']}"
    assert mallory.http.put(f"{path}/shares", json=share).status_code == 404
    for role in ("admin", "auditor"):
        assert mallory.http.put("/v1/roles", json={"subject": "mallory", "role": role}).status_code == 403
    alice.put(f"{path}/shares", {"subject": "mallory", "role": "operator", "ttl": "1h"})
    try:
        assert mallory.http.put(f"{path}/shares", json=share).status_code == 403
        assert mallory.http.post(f"{path}/transfer", json={"to": "mallory"}).status_code == 403
        assert mallory.http.get(f"{path}/outputs", params={"reveal": "true"}).status_code == 403
    finally:
        alice.http.delete(f"{path}/shares", params={"subject": "mallory"})
    assert mallory.http.get(path).status_code == 404
