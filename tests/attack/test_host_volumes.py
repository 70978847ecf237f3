"""Attack 9: no way around an admin to a template that declares host volumes."""

from typing import Any

import pytest

from tests.support.attack_harness import CASES, Person, bundle, refused

DECLARED = {'version = "1"': 'version = "2"\nhost_volumes = ["builds"]'}


@pytest.fixture
def shared(alice: Person, admin: Person) -> Any:
    """Alice's environment, whose admin has taken it to the version with a host volume and back."""
    folder = CASES / "volumes"
    first = admin.push(folder)
    view = alice.made("volumes", "attack-volumes")
    second = admin.push(folder, DECLARED)
    assert second["host_volumes"] == ["builds"]
    admin.put("/v1/environments/volumes", {"digest": second["digest"]})
    assert admin.settled("volumes")["state"] == "ready"
    declared = admin.get("/v1/environments/volumes")["deployment"]["id"]
    admin.put("/v1/environments/volumes", {"digest": first["digest"]})
    assert admin.settled("volumes")["state"] == "ready"
    yield view, first, second, declared
    admin.destroy("volumes")
    admin.push(folder, {'version = "1"': 'version = "3"'})


def test_a_user_gets_no_host_volume_by_any_way(alice: Person, admin: Person, shared: Any) -> None:
    _, first, second, declared = shared
    base = "/v1/environments/volumes"
    ways = {
        "create": alice.ask("volumes-more", "attack-volumes"),
        "update": alice.http.put(base, json={}),
        "named": alice.http.put(base, json={"digest": second["digest"]}),
        "rollback": alice.http.post(f"{base}/rollback", json={"deployment": declared}),
        "plan": alice.http.post(f"{base}/plan", json={"kind": "update"}),
        "plan back": alice.http.post(f"{base}/plan", json={"kind": "update", "rollback_to": declared}),
        "plan new": alice.http.post(
            "/v1/environments/volumes-more/plan", json={"kind": "create", "template": "attack-volumes"}
        ),
    }
    for kind in ({"kind": "update"}, {"kind": "update", "rollback_to": declared}):
        made = admin.http.post(f"{base}/plan", json=kind)
        if made.status_code == 201:
            ways[f"apply {kind}"] = alice.http.post(f"/v1/plans/{made.json()['id']}/apply")
    codes = {way: (response.status_code, response.text) for way, response in ways.items()}
    for way, response in ways.items():
        # A plan may be shown to its environment's owner; it is applied by admins.
        if not (way.startswith("plan") and response.status_code == 201):
            assert refused(response) in ("forbidden", "unknown_plan"), codes
        else:
            assert refused(alice.http.post(f"/v1/plans/{response.json()['id']}/apply")) == "forbidden", codes
    assert admin.get(base)["bundle"] == first["digest"]


def test_what_is_not_for_users_is_refused_to_them(mallory: Person) -> None:
    image = {"reference": f"sha256:{'1' * 64}", "channel": "qa"}
    answers = [
        mallory.http.post("/v1/templates", json={"files": bundle(CASES / "notes")}),
        mallory.http.post("/v1/templates/from-git", json={"url": "https://example.org/x.git"}),
        mallory.http.put("/v1/images/web", json=image),
        mallory.http.delete("/v1/images/web"),
        mallory.http.post("/v1/tokens", json={"owner": "mallory", "role": "admin"}),
        mallory.http.post("/v1/tokens", json={"owner": "alice"}),
    ]
    assert [refused(answer) for answer in answers] == ["forbidden"] * len(answers)
