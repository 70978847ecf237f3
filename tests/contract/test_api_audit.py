"""The audit log over HTTP: what becomes an entry, who reads it, and how it is exported and verified."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from environments.client import Client
from environments.domain.errors import CalvinverseError, Forbidden, NameTaken, NotFound, UnknownEnvironment
from environments.engine.audit_writer import AuditWriter
from environments.service.audit_chain import AuditChain, chain_all
from environments.service.audit_collecting import EACH
from environments.stores.audit_schema import audit
from environments.wire.audit import AuditEntryView
from environments.wire.environments import CreateRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.service import AUDIT_KEY, Served, served


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def ada(api: Served) -> Iterator[Client]:
    with api.client() as admin:
        token = admin.create_token(TokenRequest(owner="ada"))
    with api.client(token.secret) as client:
        yield client


def create(client: Client, name: str) -> None:
    client.create(CreateRequest(name=name, template="web"))


def written(api: Served, **asked: Any) -> list[AuditEntryView]:
    """All entries, once everything that waits is written and chained."""
    AuditWriter(api.service.database, api.service.audit_collector).write(all=True)
    chain_all(AuditChain(api.service.database, AUDIT_KEY, lambda: datetime.now().astimezone()))
    with api.client() as client:
        return client.audit(asked)


def refused(client: Client, call: str, *arguments: Any) -> CalvinverseError:
    with pytest.raises(CalvinverseError) as caught:
        getattr(client, call)(*arguments)
    return caught.value


def test_a_change_is_one_entry_with_what_changed(api: Served, ada: Client) -> None:
    create(ada, "demo")
    (entry,) = written(api, action="environment:create")
    assert (entry.actor, entry.actor_kind, entry.outcome) == ("ada", "token", "allowed")
    assert (entry.object_name, entry.template, entry.address) == ("demo", "web", "127.0.0.1")
    assert entry.request == "POST /v1/environments"
    assert entry.before is None
    assert entry.after is not None
    assert (entry.after["owner"], entry.after["kind"]) == ("ada", "create")
    assert entry.position is not None


def test_a_refusal_of_a_known_caller_is_an_entry(api: Served, ada: Client) -> None:
    create(ada, "demo")
    assert isinstance(refused(ada, "create", CreateRequest(name="demo", template="web")), NameTaken)
    with api.client() as admin:
        other = admin.create_token(TokenRequest(owner="grace"))
    with api.client(other.secret) as grace:
        assert isinstance(refused(grace, "destroy", "demo"), UnknownEnvironment)
    taken, hidden = written(api, outcome="refused")[::-1]
    assert (taken.actor, taken.action, taken.code, taken.object_name) == (
        "ada",
        "environment:create",
        "name_taken",
        "demo",
    )
    assert (hidden.actor, hidden.code, hidden.request) == (
        "grace",
        "unknown_environment",
        "POST /v1/environments/{name}/destroy",
    )
    assert (hidden.object_kind, hidden.object_name) == ("environment", "demo")
    with api.client() as admin:
        assert hidden.object_id == admin.environment("demo").id


@pytest.mark.parametrize(
    ("method", "route", "kind"),
    [
        ("POST", "/v1/people/{person}/disable", "person"),
        ("PUT", "/v1/groups/{group}/members/{person}", "group"),
        ("POST", "/v1/local-people/{user_name}/disable", "local person"),
        ("DELETE", "/v1/service-accounts/{name}/tokens/{token_id}", "service_account"),
        ("DELETE", "/v1/auth/sessions/{token_id}", "session"),
    ],
)
def test_a_refusal_names_route_and_object_as_other_entries_do(api: Served, method: str, route: str, kind: str) -> None:
    with api.client() as admin:
        token = admin.create_token(TokenRequest(owner="ada"))
    path = route.replace("{", "").replace("}", "")
    headers = {"Authorization": f"Bearer {token.secret}"}
    answer = httpx2.request(method, f"{api.address}{path}", json={}, headers=headers, timeout=60, trust_env=False)
    assert answer.status_code in (403, 404)
    (entry,) = written(api, outcome="refused")
    assert (entry.request, entry.object_kind) == (f"{method} {route}", kind)


def test_a_refusal_is_told_to_the_owner_of_the_environment(api: Served, ada: Client) -> None:
    create(ada, "demo")
    with api.client() as admin:
        other = admin.create_token(TokenRequest(owner="grace"))
    with api.client(other.secret) as grace:
        refused(grace, "destroy", "demo")
        written(api)
        found = ada.audit({"environment": "demo"})
        assert [(one.actor, one.outcome) for one in found] == [("grace", "refused"), ("ada", "allowed")]
        assert [one.address for one in found] == ["", "127.0.0.1"]
        assert found[0].token_id == ""
        for client, asked, error in (
            (ada, {}, Forbidden),
            (ada, {"actor": "ada"}, Forbidden),
            (grace, {"environment": "demo"}, UnknownEnvironment),
        ):
            with pytest.raises(error):
                client.audit(asked)
        for call in ("audit_head", "verify_audit"):
            assert isinstance(refused(ada, call), Forbidden)
        assert isinstance(refused(ada, "audit_entry", found[0].id), Forbidden)


def test_what_is_revealed_is_an_entry_and_reading_is_none(api: Served, ada: Client) -> None:
    create(ada, "demo")
    ada.environment("demo")
    ada.outputs("demo", reveal=False)
    ada.outputs("demo", reveal=True)
    (entry,) = written(api, action="environment:reveal")
    assert (entry.actor, entry.object_name) == ("ada", "demo")
    assert {one.action for one in written(api, actor="ada")} == {"environment:create", "environment:reveal"}


def test_each_use_of_the_local_admins_token_is_told_reads_too(api: Served) -> None:
    with api.client() as admin:
        for _ in range(5):
            admin.environments()
    found = written(api, action="token:use")
    counts: dict[str, int] = {}
    for one in found:
        counts[one.request] = counts.get(one.request, 0) + one.count
        assert (one.actor, one.actor_kind) == ("root", "local_admin")
    assert counts["GET /v1/environments"] == 5


def test_unknown_callers_are_counted_by_address(api: Served) -> None:
    with api.client("cv_guess") as nobody:
        for _ in range(3):
            refused(nobody, "environments")
    (entry,) = written(api, action="request:unknown")
    assert (entry.address, entry.count, entry.outcome, entry.code) == ("127.0.0.1", 3, "refused", "unauthenticated")


def test_a_flood_of_guesses_stays_small(api: Served, ada: Client) -> None:
    for number in range(3 * EACH):
        refused(ada, "destroy", f"guess-{number}")
    found = written(api, actor="ada", outcome="refused")
    assert len(found) <= EACH + 2
    assert sum(one.count for one in found) == 3 * EACH


def test_an_invalid_request_is_an_entry_without_what_it_said(api: Served) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as http:
        assert http.post("/v1/environments", json={"name": 7, "swordfish": 1}).status_code == 422
        assert http.post("/v1/nothing", json={}).status_code == 404
    found = {one.request: one for one in written(api, outcome="refused")}
    assert found["POST /v1/environments"].code == "invalid_input"
    assert found["POST none"].code == "unknown_route"


def test_pages_and_followers(api: Served, ada: Client) -> None:
    for number in range(5):
        create(ada, f"demo-{number}")
    everything = written(api)
    with api.client() as admin:
        assert admin.audit({}, limit=2) == everything[:2]
        assert admin.audit({"before": everything[1].id}, limit=3) == everything[2:5]
        followed = list(admin.audit_after(0))
        assert [one.position for one in followed] == list(range(1, len(followed) + 1))
        assert list(admin.audit_after(followed[3].position or 0)) == followed[4:]
        assert admin.audit_entry(followed[0].id) == followed[0]
        with pytest.raises(NotFound):
            admin.audit_entry(10**9)


def test_filters(api: Served, ada: Client) -> None:
    create(ada, "one")
    create(ada, "two")
    now = datetime.now().astimezone()
    assert [one.object_name for one in written(api, environment="two")] == ["two"]
    assert {one.actor for one in written(api, actor="ada", since=(now - timedelta(hours=1)).isoformat())} == {"ada"}
    assert written(api, actor="ada", until=(now - timedelta(hours=1)).isoformat()) == []
    assert {one.action for one in written(api, object="one")} == {"environment:create"}
    with api.client() as admin:
        for asked in ({"outcome": "maybe"}, {"since": "yesterday"}, {"since": "2026-01-01T00:00:00"}, {"actor": ""}):
            with pytest.raises(CalvinverseError):
                admin.audit(asked)


def test_an_export_is_json_lines_in_order(api: Served, ada: Client) -> None:
    create(ada, "demo")
    everything = written(api)
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as http:
        answer = http.get("/v1/audit/export")
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert [line["position"] for line in lines] == list(range(1, len(lines) + 1))
        assert lines[0]["id"] == everything[-1].id
        some = http.get("/v1/audit/export", params={"after": 1, "limit": 1}).text.splitlines()
        assert [json.loads(line)["position"] for line in some] == [2]


def test_verifying_finds_a_removed_entry_and_a_removed_end(api: Served, ada: Client) -> None:
    for number in range(4):
        create(ada, f"demo-{number}")
    written(api)
    with api.client() as admin:
        head = admin.audit_head()
        good = admin.verify_audit(head=head.text)
        assert (good.findings, good.next, good.head.position) == ((), None, head.position)
        with api.service.database._writing() as connection:
            connection.execute(audit.delete().where(audit.c.position.in_([2, head.position])))
            connection.commit()
        assert [one.kind for one in admin.verify_audit().findings] == ["missing"]
        assert [one.kind for one in admin.verify_audit(head=head.text).findings] == ["missing", "tail"]
        with pytest.raises(CalvinverseError):
            admin.verify_audit(head="words")
