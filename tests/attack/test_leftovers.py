"""Attack 12: whoever gets a name gets nothing of who had it before."""

from collections.abc import Iterator

import pytest

from tests.support.attack_harness import Person, Target, refused
from tests.support.denial import denied

HAND = {"data": {"k": "of the first owner"}}


def test_a_secret_left_by_hand_does_not_reach_the_next_owner(target: Target, alice: Person, mallory: Person) -> None:
    name, path = "left", "/v1/secret/data/environments/left/nothing"
    alice.made(name, "attack-notes")
    target.part("vault", "POST", path, HAND)
    try:
        ended = alice.destroy(name)
        if ended["state"] == "destroyed":
            assert target.secrets(name) == []
        else:
            assert ended["state"] == "destroy_failed"
            assert "nothing" in alice.logs(ended["id"]) + str(alice.get(f"/v1/environments/{ended['id']}/resources"))
            assert refused(mallory.ask(name, "attack-notes")) == "name_taken"
            target.part("vault", "DELETE", path.replace("/data/", "/metadata/"))
            assert alice.destroy(ended["id"])["state"] == "destroyed"
        assert mallory.made(name, "attack-notes")["owner"] == "mallory"
        assert target.secrets(name) == ["database"]
        assert mallory.destroy(name)["state"] == "destroyed"
    finally:
        target.part("vault", "DELETE", path.replace("/data/", "/metadata/"))


@pytest.mark.parametrize("part", ["vault", "consul"])
def test_a_folder_that_holds_something_is_not_taken_over(target: Target, mallory: Person, part: str) -> None:
    """Somebody's secret, or key, lies where no environment is."""
    name = f"claimed-{part}"
    if part == "vault":
        target.part("vault", "POST", f"/v1/secret/data/environments/{name}/database", HAND)
        target.part("vault", "POST", f"/v1/secret/data/environments/{name}/deep/nothing", HAND)
    else:
        target.parts["consul"].put(f"/v1/kv/environments/{name}/state", content=b"of somebody")
    try:
        view = mallory.create(name, "attack-notes")
        assert view["state"] == "failed", view
        assert view["failure"]["code"] == "foreign_resource", view["failure"]
    finally:
        for way in ("database", "deep/nothing"):
            target.part("vault", "DELETE", f"/v1/secret/metadata/environments/{name}/{way}")
        target.parts["consul"].delete(f"/v1/kv/environments/{name}/?recurse=true")
        mallory.destroy(name)


@pytest.fixture
def behind(target: Target, alice: Person) -> Iterator[str]:
    """An environment whose folder in Consul somebody emptied, marker and all, and an app wrote a key again."""
    name = "behind"
    alice.made(name, "attack-notes")
    assert target.parts["consul"].delete(f"/v1/kv/environments/{name}/?recurse=true").status_code == 200
    assert target.parts["consul"].put(f"/v1/kv/environments/{name}/state", content=b"by the app").status_code == 200
    yield name
    target.parts["consul"].delete(f"/v1/kv/environments/{name}/?recurse=true")
    if alice.http.get(f"/v1/environments/{name}").json().get("state") not in ("destroyed", None):
        alice.destroy(name)


def test_a_lost_marker_is_seen_and_nothing_is_left(target: Target, alice: Person, behind: str) -> None:
    seen = alice.post(f"/v1/environments/{behind}/observe")
    assert seen["drift"]["steps"] or seen["drift"].get("unexpected") or seen["drift"].get("problems"), seen
    found = [step for step in seen["drift"]["steps"] if step["changes"] or step.get("failure")]
    assert found or seen["drift"].get("unexpected"), seen
    ended = alice.destroy(behind)
    if ended["state"] == "destroyed":
        assert target.keys(behind) == []
    else:
        assert ended["state"] == "destroy_failed"
        said = alice.logs(ended["id"]) + str(alice.get(f"/v1/environments/{ended['id']}/resources"))
        assert "state" in said
        target.parts["consul"].delete(f"/v1/kv/environments/{behind}/?recurse=true")
        assert alice.destroy(ended["id"])["state"] == "destroyed"
    assert alice.made(behind, "attack-notes")["state"] == "ready"
    assert alice.destroy(behind)["state"] == "destroyed"


def test_a_lost_marker_is_repaired(target: Target, alice: Person, behind: str) -> None:
    """Repair puts back what its steps made, or says what stands in its way; never one for ever without the other."""
    alice.post(f"/v1/environments/{behind}/repair")
    view = alice.settled(behind)
    if view["state"] != "ready":
        assert view["failure"]["code"] == "foreign_resource", view["failure"]
        target.parts["consul"].delete(f"/v1/kv/environments/{behind}/?recurse=true")
        alice.post(f"/v1/environments/{behind}/repair")
        assert alice.settled(behind)["state"] == "ready"
    assert f"environments/{behind}/message" in target.keys(behind)


def test_the_name_of_an_abandoned_environment_stays_taken(target: Target, alice: Person, mallory: Person) -> None:
    name = "given-up"
    view = alice.made(name, "attack-notes")
    try:
        with denied(target.connections.caller("vault"), name):
            assert alice.destroy(view["id"])["state"] == "destroy_failed"
            given_up = alice.post(f"/v1/environments/{view['id']}/abandon", {"reason": "nobody looks after it"})
            assert given_up["state"] == "abandoned"
        assert target.secrets(name) == ["database"]
        for person in (mallory, alice):
            answer = person.ask(name, "attack-notes")
            if answer.status_code == 202:
                person.destroy(answer.json()["environment"]["id"])
            assert refused(answer) == "name_taken"
    finally:
        target.part("vault", "DELETE", f"/v1/secret/metadata/environments/{name}/database")
