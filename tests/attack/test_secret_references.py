"""Attack 4: a text that looks like a reference to a secret is a text."""

import json
from typing import Any

import pytest

from tests.support.attack_harness import REFUSED_CASES, Person, Target, bundle, refused


@pytest.fixture(scope="module")
def password(target: Target) -> Any:
    """Alice's, in `refs-victim`."""
    target.alice.made("refs-victim", "attack-notes")
    yield target.alice.get("/v1/environments/refs-victim/outputs?reveal=true")["password"]["value"]
    target.alice.destroy("refs-victim")


def test_its_owner_reads_a_secret(alice: Person, password: str) -> None:
    assert len(password) == 32
    hidden = alice.get("/v1/environments/refs-victim/outputs")["password"]["value"]
    assert hidden != password


def test_no_secret_output_holds_what_somebody_types(admin: Person) -> None:
    answer = admin.http.post("/v1/templates", json={"files": bundle(REFUSED_CASES / "login")})
    assert refused(answer) == "invalid_template"
    assert "secret" in answer.json()["detail"]


WAYS: dict[str, Any] = {
    "plain": {"admin_login": "secret:environments/refs-victim/database#password"},
    "service": {"admin_login": "secret:environments/meta/sealing-key#key"},
    "dots": {"admin_login": "secret:environments/refs-plain/../refs-victim/database#password"},
    "kept": {"kept": "secret:environments/refs-victim/database#password"},
    "own": {"kept": "secret:environments/refs-own/own#password"},
    "nested": {"more": {"a": "secret:environments/refs-victim/database#password", "secret": True}},
    "shaped": {"more": {"path": "environments/refs-victim/database", "key": "password"}},
    "typed": {"more": {"$secret": {"path": "environments/refs-victim/database", "key": "password"}}},
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_nobody_reads_a_secret_by_typing_where_it_is(target: Target, mallory: Person, password: str, way: str) -> None:
    name = f"refs-{way}"
    found = target.part("vault", "GET", "/v1/secret/data/environments/meta/sealing-key")
    sealing = found["data"]["data"]["key"] if found else password
    answer = mallory.ask(name, "attack-login", {"kept": "nothing", **WAYS[way]})
    if answer.status_code == 422:
        return
    try:
        mallory.settled(name)
        shown = mallory.http.get(f"/v1/environments/{name}/outputs?reveal=true")
        said = shown.text + mallory.logs(name) + json.dumps(mallory.get(f"/v1/environments/{name}"))
        assert shown.status_code < 500
        assert password not in said
        assert sealing not in said
    finally:
        mallory.destroy(name)


def test_who_reveals_is_noted_by_openbao(target: Target, alice: Person, password: str) -> None:
    logs = [*target.folder.rglob("audit.log"), *target.folder.parent.rglob("audit.log")]
    lines = [
        line for log in logs for line in log.read_text().splitlines() if "environments/refs-victim/database" in line
    ]
    reads = [line for line in lines if json.loads(line)["request"]["operation"] == "read"]
    assert reads
    assert password not in "".join(lines)
