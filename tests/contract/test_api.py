"""Every route of the API, on the real use cases and database, over a real socket."""

import base64
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from environments.api.bodies import LARGEST_BODY
from environments.api.open_paths import SIGN_IN_PATHS
from environments.api.statuses import http_status
from environments.domain.errors import CalvinverseError, all_errors
from environments.domain.references import MASK
from environments.wire.system import Problem
from environments.wire.tokens import TokenRequest
from tests.fakes.service import WEB, Served, served

SIGNED = {("POST", "/v1/webhooks/{webhook}/deliveries")}
"""What takes a signature in place of a token."""

SIGNING_IN = {
    ("GET", "/v1/auth/providers"),
    ("POST", "/v1/auth/exchange"),
    ("POST", "/v1/auth/exchange/ci"),
    ("POST", "/v1/auth/claims"),
    ("POST", "/v1/auth/device"),
    ("POST", "/v1/auth/device/token"),
}
"""Who asks for these has no token yet."""

ROUTES = {
    ("GET", "/v1/triggers"),
    ("POST", "/v1/triggers"),
    ("POST", "/v1/triggers/test"),
    ("GET", "/v1/triggers/{trigger_id}"),
    ("PUT", "/v1/triggers/{trigger_id}"),
    ("DELETE", "/v1/triggers/{trigger_id}"),
    ("GET", "/v1/environments/{name}/triggers"),
    ("POST", "/v1/environments/{name}/triggers"),
    ("GET", "/v1/received-events"),
    ("GET", "/v1/received-events/{event_id}"),
    ("POST", "/v1/received-events/{event_id}/replay"),
    ("GET", "/v1/previews"),
    ("GET", "/v1/webhooks"),
    ("POST", "/v1/webhooks"),
    ("GET", "/v1/webhooks/{webhook}"),
    ("PATCH", "/v1/webhooks/{webhook}"),
    ("DELETE", "/v1/webhooks/{webhook}"),
    ("POST", "/v1/webhooks/{webhook}/rotate"),
    ("PUT", "/v1/webhooks/{webhook}/token"),
    ("POST", "/v1/webhooks/{webhook}/check"),
    ("POST", "/v1/webhooks/{webhook}/deliveries"),
    ("GET", "/v1/environments"),
    ("GET", "/v1/overview"),
    ("POST", "/v1/environments"),
    ("GET", "/v1/environments/{name}"),
    ("POST", "/v1/environments/check"),
    ("PUT", "/v1/environments/{name}"),
    ("POST", "/v1/environments/{name}/retry"),
    ("POST", "/v1/environments/{name}/extend"),
    ("POST", "/v1/environments/{name}/heartbeat"),
    ("POST", "/v1/environments/{name}/destroy"),
    ("POST", "/v1/environments/{name}/cancel"),
    ("POST", "/v1/environments/{name}/stop"),
    ("POST", "/v1/environments/{name}/start"),
    ("POST", "/v1/environments/{name}/plan"),
    ("POST", "/v1/environments/{name}/promote"),
    ("POST", "/v1/environments/{name}/repair"),
    ("POST", "/v1/environments/{name}/rollback"),
    ("POST", "/v1/environments/{name}/abandon"),
    ("POST", "/v1/environments/{name}/observe"),
    ("GET", "/v1/environments/{name}/drift"),
    ("GET", "/v1/environments/{name}/explain"),
    ("GET", "/v1/environments/{name}/containers"),
    ("GET", "/v1/environments/{name}/containers/log"),
    ("GET", "/v1/environments/{name}/rules"),
    ("POST", "/v1/environments/{name}/rules"),
    ("DELETE", "/v1/environments/{name}/rules"),
    ("PUT", "/v1/environments/{name}/pin"),
    ("DELETE", "/v1/environments/{name}/pin"),
    ("POST", "/v1/rules/check"),
    ("GET", "/v1/policies"),
    ("PUT", "/v1/policies/{scope}/{name}"),
    ("DELETE", "/v1/policies/{scope}/{name}"),
    ("GET", "/v1/calendars"),
    ("GET", "/v1/calendars/{name}"),
    ("PUT", "/v1/calendars/{name}"),
    ("DELETE", "/v1/calendars/{name}"),
    ("GET", "/v1/plans/{plan_id}"),
    ("POST", "/v1/plans/{plan_id}/apply"),
    ("GET", "/v1/environments/{name}/outputs"),
    ("GET", "/v1/environments/{name}/deployments"),
    ("GET", "/v1/environments/{name}/resources"),
    ("GET", "/v1/environments/{name}/events"),
    ("GET", "/v1/events"),
    ("GET", "/v1/deployments/{deployment_id}"),
    ("GET", "/v1/deployments/{deployment_id}/why"),
    ("GET", "/v1/workers"),
    ("PUT", "/v1/mirror/{name}"),
    ("GET", "/v1/templates"),
    ("POST", "/v1/templates"),
    ("POST", "/v1/templates/from-git"),
    ("POST", "/v1/templates/validate"),
    ("GET", "/v1/templates/{name}"),
    ("DELETE", "/v1/templates/{name}"),
    ("GET", "/v1/templates/{name}/bundle"),
    ("GET", "/v1/templates/{name}/versions"),
    ("GET", "/v1/images"),
    ("GET", "/v1/images/{name}"),
    ("GET", "/v1/images/{name}/history"),
    ("PUT", "/v1/images/{name}"),
    ("DELETE", "/v1/images/{name}"),
    ("GET", "/v1/tokens"),
    ("POST", "/v1/tokens"),
    ("DELETE", "/v1/tokens/{token_id}"),
    *SIGNING_IN,
    ("POST", "/v1/environments/{name}/transfer"),
    ("GET", "/v1/groups"),
    ("POST", "/v1/groups"),
    ("DELETE", "/v1/groups/{group}"),
    ("GET", "/v1/groups/{group}"),
    ("PUT", "/v1/groups/{group}"),
    ("DELETE", "/v1/groups/{group}/members/{person}"),
    ("PUT", "/v1/groups/{group}/members/{person}"),
    ("GET", "/v1/memberships"),
    ("GET", "/v1/people"),
    ("GET", "/v1/people/{person}"),
    ("POST", "/v1/people/{person}/assign"),
    ("POST", "/v1/people/{person}/disable"),
    ("POST", "/v1/people/{person}/enable"),
    ("PUT", "/v1/people/{person}/successor"),
    ("GET", "/v1/audit"),
    ("GET", "/v1/audit/entries/{entry_id}"),
    ("GET", "/v1/audit/export"),
    ("GET", "/v1/audit/head"),
    ("GET", "/v1/audit/verify"),
    ("GET", "/v1/service-accounts"),
    ("POST", "/v1/service-accounts"),
    ("GET", "/v1/service-accounts/{name}"),
    ("PATCH", "/v1/service-accounts/{name}"),
    ("POST", "/v1/service-accounts/{name}/disable"),
    ("POST", "/v1/service-accounts/{name}/enable"),
    ("GET", "/v1/service-accounts/{name}/tokens"),
    ("POST", "/v1/service-accounts/{name}/tokens"),
    ("DELETE", "/v1/service-accounts/{name}/tokens/{token_id}"),
    ("GET", "/v1/auth/whoami"),
    ("POST", "/v1/auth/sign-out"),
    ("GET", "/v1/auth/sessions"),
    ("DELETE", "/v1/auth/sessions"),
    ("DELETE", "/v1/auth/sessions/{token_id}"),
    ("GET", "/v1/access/table"),
    ("GET", "/v1/access/why"),
    ("GET", "/v1/creators"),
    ("GET", "/v1/environments/{name}/access"),
    ("DELETE", "/v1/environments/{name}/shares"),
    ("PUT", "/v1/environments/{name}/shares"),
    ("DELETE", "/v1/roles"),
    ("GET", "/v1/roles"),
    ("PUT", "/v1/roles"),
    ("DELETE", "/v1/templates/{name}/creators"),
    ("PUT", "/v1/templates/{name}/creators"),
    ("GET", "/v1/warnings/channels"),
    ("POST", "/v1/warnings/test"),
    ("GET", "/v1/holds"),
    ("POST", "/v1/holds/{hold_id}/release"),
    ("POST", "/v1/holds/{hold_id}/cancel"),
    ("GET", "/v1/ca"),
    ("GET", "/v1/local-people"),
    ("POST", "/v1/local-people"),
    ("POST", "/v1/local-people/{user_name}/disable"),
    ("POST", "/v1/local-people/{user_name}/enable"),
    ("POST", "/v1/local-people/{user_name}/reset"),
    ("PUT", "/v1/local-people/{user_name}/groups"),
    ("GET", "/v1/issuers"),
    ("POST", "/v1/issuers/move"),
    ("GET", "/self/info"),
    ("GET", "/self/liveness"),
    ("GET", "/self/readiness"),
    ("GET", "/self/started"),
    ("GET", "/metrics"),
}
OPEN = {("GET", "/self/liveness"), ("GET", "/self/readiness")}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that all tests share which change nothing."""
    with served(tmp_path_factory.mktemp("calm")) as running:
        yield running


@pytest.fixture
def calm_http(calm: Served) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {calm.token}"}
    with httpx2.Client(base_url=calm.address, headers=headers, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def http(api: Served) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as client:
        yield client


def problem_of(response: httpx2.Response) -> Problem:
    """The problem document of an answer, checked as one."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(response.content)
    assert problem.status == response.status_code
    assert problem.type.endswith(problem.code)
    assert problem.title
    assert problem.detail
    assert problem.hint
    return problem


def create(http: httpx2.Client, name: str = "demo", **body: Any) -> httpx2.Response:
    return http.post("/v1/environments", json={"name": name, "template": "web", **body})


def test_openapi_describes_exactly_the_routes(calm_http: httpx2.Client) -> None:
    document = calm_http.get("/openapi.json").json()
    found = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert found == ROUTES
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in ids)
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]
        for status, response in operation["responses"].items():
            if int(status) >= 400 and operation["operationId"] != "readiness":
                assert list(response["content"]) == ["application/problem+json"], (operation["operationId"], status)
        if operation["operationId"] not in ("liveness", "readiness"):
            assert {"401", "422", "500"} <= set(operation["responses"])
    for path, item in document["paths"].items():
        for method, operation in item.items():
            opened = (method.upper(), path) in OPEN | SIGNING_IN | SIGNED
            assert operation["security"] == ([] if opened else [{"HTTPBearer": []}]), (method, path)
    not_there = document["paths"]["/v1/ca"]["get"]["responses"]["503"]["description"]
    assert "`not_connected`" in not_there, "a service without a cluster has no CA"
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references <= set(document["components"]["schemas"])


@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer", "Bearer cv_nobody-knows-this-token", "Basic cm9vdDpyb290", "bearer \x00", "x" * 5000],
)
def test_nothing_but_liveness_and_readiness_answers_without_a_token(calm: Served, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.replace("\x00", "~")}
    others = {("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/nope"), ("POST", "/self/liveness")}
    with httpx2.Client(base_url=calm.address, headers=headers, trust_env=False, timeout=60) as http:
        for method, path in sorted(ROUTES - OPEN - SIGNING_IN - SIGNED | others - {("POST", "/self/liveness")}):
            response = http.request(method, path.replace("{", "").replace("}", ""))
            assert response.status_code == 401, (method, path)
            assert problem_of(response).code == "unauthenticated"
            assert response.headers["www-authenticate"].startswith("Bearer")
        for method, path in OPEN:
            assert http.request(method, path).status_code == 200
        for method, path in SIGNING_IN:
            assert http.request(method, path).status_code in (200, 422), (method, path)
        for method, path in SIGNED:
            response = http.request(method, path)
            assert (response.status_code, problem_of(response).code) == (401, "delivery_unsigned")
        assert not SIGN_IN_PATHS - {path for _, path in SIGNING_IN}


def test_a_revoked_and_an_expired_token_are_refused(api: Served) -> None:
    with api.client() as admin:
        made = admin.create_token(TokenRequest(owner="ada"))
        with api.client(made.secret) as ada:
            assert ada.info().owner == "ada"
            admin.revoke_token(made.token.id)
            with pytest.raises(CalvinverseError) as refusal:
                ada.info()
        assert refusal.value.code == "unauthenticated"


def test_routes_that_do_not_exist(calm_http: httpx2.Client) -> None:
    assert problem_of(calm_http.get("/v1/nope")).code == "unknown_route"
    assert problem_of(calm_http.get("/v1/environments/")).code == "unknown_route"
    assert problem_of(calm_http.get("/docs")).code == "unknown_route"
    response = calm_http.delete("/v1/environments")
    assert problem_of(response).code == "method_not_allowed"
    assert "GET" in response.headers["allow"]


@pytest.mark.parametrize("cls", all_errors(), ids=lambda cls: cls.__name__)
def test_every_error_arrives_as_itself(
    calm: Served, calm_http: httpx2.Client, monkeypatch: pytest.MonkeyPatch, cls: type[CalvinverseError]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise cls("It is so.", hint="Do this.", details={"n": 1})

    monkeypatch.setattr(type(calm.service.reading), "environment", fail)
    problem = problem_of(calm_http.get("/v1/environments/demo"))
    assert (problem.code, problem.status) == (cls.code, http_status(cls))
    with calm.client() as client, pytest.raises(CalvinverseError) as told:
        client.environment("demo")
    assert type(told.value) is cls
    assert (told.value.message, told.value.hint, told.value.details) == ("It is so.", "Do this.", {"n": 1})


def test_an_error_that_nobody_foresaw_tells_nothing_of_the_inside(
    calm: Served, calm_http: httpx2.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the inside")

    monkeypatch.setattr(type(calm.service.reading), "environment", fail)
    with caplog.at_level(logging.ERROR):
        response = calm_http.get("/v1/environments/demo")
    assert problem_of(response).code == "internal"
    assert 'inside"' not in response.text
    assert "ZeroDivision" not in response.text
    assert "Traceback" not in response.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"name": "a", "template": "web", "parameters": {"replicas": NaN}}', "NaN"),
        (b'{"name": "a", "template": "web", "parameters": {"message": "\\ud800"}}', "surrogate"),
        (b'{"name": "a", "template": "web", "parameters": {"replicas": 1' + b"0" * 5000 + b"}}", "larger than any"),
        (b'{"name": "a"}', "body.template"),
        (b'{"name": 1, "template": "web"}', "body.name"),
        (b'{"name": "a", "template": "web", "surprise": 1}', "body.surprise"),
        (b'["a"]', "body"),
        (b"", "body"),
    ],
)
def test_bodies_that_are_not_valid(calm_http: httpx2.Client, body: bytes, what: str) -> None:
    response = calm_http.post("/v1/environments", content=body, headers={"Content-Type": "application/json"})
    problem = problem_of(response)
    assert (problem.code, problem.status) == ("invalid_input", 422)
    assert what in problem.detail


def test_what_was_sent_is_not_repeated(calm_http: httpx2.Client) -> None:
    response = create(calm_http, template=["hunter2"], parameters="hunter2")
    assert response.status_code == 422
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_bodies_of_another_type_are_refused(calm_http: httpx2.Client, kind: str) -> None:
    response = calm_http.post(
        "/v1/environments", content=b'{"name": "demo", "template": "web"}', headers={"Content-Type": kind}
    )
    assert problem_of(response).code == "not_json"
    assert response.status_code == 415


def test_bodies_that_are_too_large_are_refused(calm_http: httpx2.Client) -> None:
    headers = {"Content-Type": "application/json"}
    announced = calm_http.post("/v1/environments", content=b" " * (LARGEST_BODY + 1), headers=headers)
    assert problem_of(announced).code == "request_too_large"

    def chunks() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // 1024 + 1):
            yield b" " * 1024

    unannounced = calm_http.post("/v1/environments", content=chunks(), headers=headers)
    assert unannounced.status_code == 413


def test_queries_that_are_not_valid(http: httpx2.Client) -> None:
    create(http)
    for query in ("after=-1", "after=x", "limit=0", "limit=1001", f"after={2**63}"):
        assert problem_of(http.get(f"/v1/environments/demo/events?{query}")).code == "invalid_input", query


def test_a_request_answers_at_once_and_says_where_to_look(http: httpx2.Client) -> None:
    response = create(http, ttl="2h", parameters={"replicas": 2})
    assert response.status_code == 202
    accepted = response.json()
    assert accepted["environment"]["state"] == "requested"
    assert accepted["environment"]["parameters"] == {"replicas": 2, "message": "Hello", "verbose": False}
    assert http.get(response.headers["location"]).json()["name"] == "demo"
    deployment = http.get(f"/v1/deployments/{accepted['deployment_id']}").json()
    assert deployment["kind"] == "create"
    assert deployment["state"] == "queued"
    assert [line["id"] for line in http.get("/v1/environments/demo/deployments").json()] == [deployment["id"]]
    assert http.get("/v1/environments").json()[0]["deployment"] is None


def test_the_same_key_makes_one_environment(http: httpx2.Client) -> None:
    body = {"name": "demo", "template": "web"}
    key = {"Idempotency-Key": "k1"}
    first = http.post("/v1/environments", json=body, headers=key)
    again = http.post("/v1/environments", json=body, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["deployment_id"] == again.json()["deployment_id"]
    other = http.post("/v1/environments", json={**body, "name": "other"}, headers=key)
    assert problem_of(other).code == "idempotency_mismatch"
    assert problem_of(http.post("/v1/environments", json=body)).code == "name_taken"
    assert len(http.get("/v1/environments").json()) == 1
    too_long = http.post("/v1/environments", json=body, headers={"Idempotency-Key": "k" * 201})
    assert problem_of(too_long).code == "invalid_input"


def test_changes_of_an_environment(http: httpx2.Client) -> None:
    create(http)
    extended = http.post("/v1/environments/demo/extend", json={"by": "1h"})
    assert extended.status_code == 200
    assert problem_of(http.post("/v1/environments/demo/extend", json={})).code == "invalid_lifetime"
    assert problem_of(http.post("/v1/environments/demo/retry")).code == "not_allowed_now"
    assert problem_of(http.put("/v1/environments/demo", json={})).code == "not_allowed_now"
    destroyed = http.post("/v1/environments/demo/destroy", json={"reason": "enough"})
    assert destroyed.status_code == 202
    again = http.post("/v1/environments/demo/destroy")
    assert again.json()["deployment_id"] == destroyed.json()["deployment_id"]
    assert http.get("/v1/environments/demo/resources").json() == []
    types = [event["type"] for event in http.get("/v1/environments/demo/events").json()]
    assert types[0] == "environment.requested"
    assert "environment.extended" in types
    assert problem_of(http.post("/v1/environments/nope/destroy")).code == "unknown_environment"


def test_secret_outputs_are_masked_until_revealed(api: Served, http: httpx2.Client) -> None:
    create(http)
    reference = api.service.keep_secret("demo", "password", "password", "hunter2")
    api.service.outputs("demo", {"url": {"value": "https://x"}, "password": {"value": reference, "secret": True}})
    for path in ("/v1/environments/demo", "/v1/environments", "/v1/environments/demo/outputs"):
        text = http.get(path).text
        assert "hunter2" not in text
        assert "$secret" not in text
    shown = http.get("/v1/environments/demo/outputs?reveal=true").json()
    assert shown["password"]["value"] == "hunter2"
    assert shown["url"]["value"] == "https://x"


def test_no_text_reveals_a_secret_of_another_environment(api: Served, http: httpx2.Client) -> None:
    """Neither does a template take one, nor is one followed that is there already."""
    create(http, "victim")
    made = api.service.keep_secret("victim", "database", "password", "victim's password")
    for value in ("{{ parameters.login }}", made.before, "{{ parameters.login ~ steps.a.references.b }}x"):
        toml = f"""
[template]
name = "db"
[parameters.login]
type = "string"
[[steps]]
name = "a"
uses = "fake"
[outputs.login]
value = "{value}"
secret = true
"""
        files = {"template.toml": base64.b64encode(toml.encode()).decode()}
        refused = problem_of(http.post("/v1/templates", json={"files": files}))
        assert refused.code == "invalid_template"
        assert "output 'login' is secret" in refused.detail
    with api.client() as admin:
        secret = admin.create_token(TokenRequest(owner="mallory")).secret
    with httpx2.Client(
        base_url=api.address, headers={"Authorization": f"Bearer {secret}"}, trust_env=False, timeout=60
    ) as mallory:
        create(mallory, "mine")
        for given in (made, made.before, {"$secret": {"step": "database"}}):
            api.service.outputs("mine", {"login": {"value": given, "secret": True}})
            answer = mallory.get("/v1/environments/mine/outputs?reveal=true")
            assert problem_of(answer).code == "not_allowed_now"
            assert "victim" not in answer.text
            assert mallory.get("/v1/environments/mine/outputs").json()["login"]["value"] == MASK


def test_users_see_and_change_only_their_own(api: Served, http: httpx2.Client) -> None:
    create(http, "theirs")
    with api.client() as admin:
        secret = admin.create_token(TokenRequest(owner="ada")).secret
        theirs = admin.environment("theirs")
    with httpx2.Client(
        base_url=api.address, headers={"Authorization": f"Bearer {secret}"}, trust_env=False, timeout=60
    ) as ada:
        assert create(ada, "mine").json()["environment"]["owner"] == "ada"
        assert [view["name"] for view in ada.get("/v1/environments").json()] == ["mine"]
        assert ada.get("/v1/environments?owner=root").json() == []
        for name in ("theirs", theirs.id):
            for method, path in (
                ("GET", ""),
                ("PUT", ""),
                ("GET", "/outputs"),
                ("GET", "/events"),
                ("GET", "/resources"),
                ("GET", "/deployments"),
                ("POST", "/destroy"),
                ("POST", "/retry"),
            ):
                response = ada.request(method, f"/v1/environments/{name}{path}", json={} if method == "PUT" else None)
                assert problem_of(response).code == "unknown_environment", (method, path)
        assert theirs.deployment is not None
        assert problem_of(ada.get(f"/v1/deployments/{theirs.deployment.id}")).code == "not_found"
        assert problem_of(ada.get("/v1/events?environment=theirs")).code == "unknown_environment"
        assert problem_of(ada.post("/v1/tokens", json={"owner": "root", "role": "admin"})).code == "forbidden"
        view = {**theirs.model_dump(mode="json"), "id": "env-x", "name": "meta", "managed_by": "a script"}
        assert problem_of(ada.put("/v1/mirror/meta", json=view)).code == "forbidden"
        image = {"reference": f"sha256:{'1' * 64}", "channel": "qa"}
        http.put("/v1/images/web", json=image)
        assert problem_of(ada.put("/v1/images/web", json=image)).code == "forbidden"
        assert problem_of(ada.delete("/v1/images/web")).code == "forbidden"
        assert ada.get("/v1/images/web").json()["reference"] == image["reference"]
        assert {token["owner"] for token in ada.get("/v1/tokens").json()} == {"ada"}
    assert {view["name"] for view in http.get("/v1/environments").json()} == {"mine", "theirs"}


def test_an_environment_from_outside_is_shown_read_only(http: httpx2.Client) -> None:
    create(http)
    view = {**http.get("/v1/environments/demo").json(), "id": "env-meta", "name": "meta", "managed_by": "doit deploy"}
    assert problem_of(http.put("/v1/mirror/other", json=view)).code == "invalid_input"
    assert http.put("/v1/mirror/meta", json=view).json()["managed_by"] == "doit deploy"
    for method, path, instead in (
        ("POST", "destroy", "`doit undeploy`"),
        ("POST", "abandon", "`doit undeploy`"),
        ("POST", "retry", "`doit deploy`"),
        ("POST", "repair", "`doit deploy`"),
        ("POST", "promote", "`doit deploy`"),
        ("POST", "rollback", "`doit deploy`"),
        ("PUT", "", "`doit deploy`"),
        ("POST", "extend", "It has no deadline"),
        ("POST", "cancel", "stop these commands"),
    ):
        body = {"extend": {"ttl": "1h"}, "abandon": {"reason": "gone"}, "": {}}.get(path)
        problem = problem_of(http.request(method, f"/v1/environments/meta/{path}".rstrip("/"), json=body))
        assert (problem.code, problem.detail) == (
            "managed_outside",
            "Environment 'meta' is managed by doit deploy, and only shown here.",
        )
        assert instead in problem.hint, path
    for kind, instead in (("update", "`doit deploy`"), ("repair", "`doit deploy`"), ("destroy", "`doit undeploy`")):
        problem = problem_of(http.post("/v1/environments/meta/plan", json={"kind": kind}))
        assert problem.code == "managed_outside"
        assert instead in problem.hint, kind


def test_templates(http: httpx2.Client) -> None:
    import base64

    files = {"template.toml": base64.b64encode(WEB.replace('version = "3"', 'version = "4"').encode()).decode()}
    assert http.post("/v1/templates/validate", json={"files": files}).json() == {
        "problems": [],
        "warnings": [],
        "faults": [],
    }
    pushed = http.post("/v1/templates", json={"files": files}).json()
    assert pushed["version"] == "4"
    assert pushed["pushed_by"] == "root"
    assert pushed["creation"] is None
    for shown in (http.get("/v1/templates/web").json(), *http.get("/v1/templates").json()):
        assert shown["creation"]["allowed"] is True
        assert {**shown, "creation": None} == pushed
    assert http.get("/v1/templates/web/bundle", params={"digest": pushed["digest"]}).json() == {"files": files}
    assert problem_of(http.get("/v1/templates/nope")).code == "unknown_template"
    assert problem_of(http.get("/v1/templates/web?digest=sha256:0")).code == "unknown_template"
    broken = {"template.toml": base64.b64encode(b"[template]").decode()}
    assert problem_of(http.post("/v1/templates", json={"files": broken})).code == "invalid_template"
    assert http.post("/v1/templates/validate", json={"files": broken}).json()["problems"]
    for files in ({"template.toml": "%%%"}, {"../x": ""}, {}):
        assert problem_of(http.post("/v1/templates", json={"files": files})).code == "invalid_template"
        assert http.post("/v1/templates/validate", json={"files": files}).json()["problems"]


def test_versions_of_a_template_are_listed_newest_first_and_deleted_ones_apart(http: httpx2.Client) -> None:
    import base64

    def push(version: str) -> str:
        text = WEB.replace('version = "3"', f'version = "{version}"')
        files = {"template.toml": base64.b64encode(text.encode()).decode()}
        return str(http.post("/v1/templates", json={"files": files}).json()["digest"])

    first = http.get("/v1/templates/web").json()["digest"]
    assert http.post("/v1/environments", json={"name": "demo", "template": "web"}).status_code == 202
    fourth, fifth = push("4"), push("5")
    path = "/v1/templates/web/versions"
    found = http.get(path).json()
    assert [(one["version"], one["digest"]) for one in found] == [("5", fifth), ("4", fourth), ("3", first)]
    assert [one["environments"] for one in found] == [0, 0, 1]
    assert {(one["pushed_by"], one["deleted_at"]) for one in found[:2]} == {("root", None)}
    page = http.get(path, params={"limit": 2})
    assert page.json() == found[:2]
    assert page.links["next"]["url"] == f"{path}?limit=2&skip=2"
    assert http.get(path, params={"limit": 2, "skip": 2}).json() == found[2:]
    assert http.get(path, params={"deleted": True}).json() == []
    assert http.delete("/v1/templates/web", params={"digest": fourth}).status_code == 200
    assert [one["version"] for one in http.get(path).json()] == ["5", "3"]
    (gone,) = http.get(path, params={"deleted": True}).json()
    assert (gone["digest"], gone["deleted_by"], gone["pushed_at"], gone["environments"]) == (fourth, "root", None, 0)
    assert http.get(path, params={"deleted": True, "skip": 1}).json() == []
    push("4")
    assert [one["version"] for one in http.get(path).json()] == ["4", "5", "3"]
    assert http.get(path, params={"deleted": True}).json() == []
    assert problem_of(http.get("/v1/templates/nope/versions")).code == "unknown_template"


def test_a_bundle_as_large_as_allowed_arrives(http: httpx2.Client) -> None:
    import base64

    from environments.domain.template import LARGEST_BUNDLE

    room = LARGEST_BUNDLE - len(WEB.encode())
    files = {"template.toml": base64.b64encode(WEB.encode()).decode(), "big": base64.b64encode(b"x" * room).decode()}
    assert http.post("/v1/templates", json={"files": files}).status_code == 200
    files["more"] = base64.b64encode(b"x").decode()
    assert problem_of(http.post("/v1/templates", json={"files": files})).code == "invalid_template"


def test_images_are_published_by_content_and_withdrawn(http: httpx2.Client) -> None:
    one, two = (f"sha256:{digit * 64}" for digit in "12")
    assert http.get("/v1/images").json() == []
    first = http.put("/v1/images/web", json={"reference": one, "channel": "qa", "key": "k", "build": "b"}).json()
    assert (first["name"], first["reference"], first["channel"], first["published_by"]) == ("web", one, "qa", "root")
    again = http.put("/v1/images/web", json={"reference": one, "channel": "qa", "key": "k", "build": "b"}).json()
    assert again == first
    second = http.put("/v1/images/web", json={"reference": f"here/web@{two}", "channel": "production"}).json()
    assert http.put("/v1/images/build-agent", json={"reference": two, "channel": "qa"}).status_code == 200
    assert http.get("/v1/images/web").json() == second
    assert [image["name"] for image in http.get("/v1/images").json()] == ["build-agent", "web"]
    withdrawn = http.delete("/v1/images/web").json()
    assert withdrawn["withdrawn_at"] is not None
    assert (withdrawn["withdrawn_by"], withdrawn["reference"]) == ("root", f"here/web@{two}")
    assert problem_of(http.get("/v1/images/web")).code == "image_not_published"
    assert problem_of(http.delete("/v1/images/web")).code == "image_not_published"
    assert problem_of(http.get("/v1/images/nope/history")).code == "image_not_published"
    assert http.get("/v1/images/web/history").json() == [withdrawn, first]
    assert [image["name"] for image in http.get("/v1/images").json()] == ["build-agent"]
    assert http.put("/v1/images/web", json={"reference": two, "channel": "qa"}).status_code == 200
    assert http.get("/v1/images/web").json()["reference"] == two


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "calvinverse/web",
        "calvinverse/web:qa",
        "calvinverse/web:qa@sha256:" + "1" * 64,
        "sha256:" + "1" * 63,
        "sha256:" + "A" * 64,
        "1" * 64,
        "sha512:" + "1" * 128,
        "web@sha256:" + "1" * 65,
        "Web@sha256:" + "1" * 64,
        "sha256:" + "1" * 64 + "\n",
        "a" * 400 + "@sha256:" + "1" * 64,
    ],
)
def test_an_image_that_could_become_another_is_refused(calm_http: httpx2.Client, reference: str) -> None:
    problem = problem_of(calm_http.put("/v1/images/web", json={"reference": reference, "channel": "qa"}))
    assert problem.code == "invalid_image"
    assert "sha256:<64 hex digits>" in problem.hint
    assert calm_http.get("/v1/images").json() == []


def test_names_of_images_and_channels_are_labels(calm_http: httpx2.Client) -> None:
    content = f"host.example:5000/team/web@sha256:{'1' * 64}"
    for name, channel in (("Web", "qa"), ("a--b", "qa"), ("web", ""), ("web", "a b")):
        answer = calm_http.put(f"/v1/images/{name}", json={"reference": content, "channel": channel})
        assert problem_of(answer).code == "invalid_name"
    assert calm_http.get("/v1/images").json() == []


def test_tokens_are_shown_once(http: httpx2.Client) -> None:
    response = http.post("/v1/tokens", json={"owner": "ada", "note": "ci", "ttl": "90d"})
    assert response.status_code == 201
    made = response.json()
    assert made["secret"] not in http.get("/v1/tokens").text
    revoked = http.delete(f"/v1/tokens/{made['token']['id']}").json()
    assert revoked["revoked_at"] is not None
    assert problem_of(http.delete("/v1/tokens/nope")).code == "not_found"


def test_the_service_about_itself(api: Served, http: httpx2.Client) -> None:
    info = http.get("/self/info").json()
    assert (info["owner"], info["role"], info["step_kinds"]) == ("root", "admin", ["fake"])
    assert http.get("/self/started").json() == {"started": True}
    assert http.get("/v1/ca").headers["content-type"].startswith("application/x-pem-file")
    assert http.get("/self/readiness").json() == {"ready": True, "problems": {}, "notices": {}}
    api.service.world.troubled["consul"] = "Consul at http://127.0.0.1:8500 has no leader."
    response = http.get("/self/readiness")
    assert response.status_code == 503
    assert response.json()["problems"] == api.service.world.troubled
    assert response.headers["cache-control"] == "no-store"
    with api.client() as client:
        assert client.readiness().problems == api.service.world.troubled
    with api.client(None) as stranger:
        assert stranger.readiness().problems == {"consul": "not ready"}


def test_metrics_count_by_route_and_state_and_hold_no_names(http: httpx2.Client) -> None:
    create(http, "very-special")
    http.get("/v1/environments/very-special")
    http.get("/v1/environments/very-special-too")
    http.get("/nowhere/very-special")
    http.get("/v1/groups/very-special/too")
    response = http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    assert 'calvinverse_requests_total{method="GET",route="/v1/environments/{name}",status="200"} 1.0' in lines
    assert 'calvinverse_requests_total{method="GET",route="/v1/environments/{name}",status="404"} 1.0' in lines
    assert 'calvinverse_requests_total{method="GET",route="none",status="404"} 1.0' in lines
    assert 'calvinverse_requests_total{method="GET",route="/v1/groups/{group}",status="404"} 1.0' in lines
    assert 'calvinverse_environments{state="requested"} 1.0' in lines
    assert 'calvinverse_environments{state="ready"} 0.0' in lines
    assert 'calvinverse_deployments{kind="create",state="queued"} 1.0' in lines
    assert "very-special" not in response.text
