"""What HTTP promises of each path: right methods, HEAD as GET, and no parameter that nobody reads."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema
import pytest

from environments.wire.environments import CreateRequest
from tests.fakes.service import Served, served

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("service")) as running:
        with running.client() as client:
            client.create(CreateRequest(name="demo", template="web"))
        running.service.outputs("demo", {"url": {"value": "https://x"}, "nothing": {"value": None}})
        yield running


@pytest.fixture(scope="module")
def http(api: Served) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def described(http: httpx2.Client) -> dict[str, dict[str, Any]]:
    """Path → method → what OpenAPI says of it."""
    found: dict[str, dict[str, Any]] = http.get("/openapi.json").json()["paths"]
    return found


def filled(path: str) -> str:
    """The path with something in its braces."""
    return (
        path.replace("{name}", "demo")
        .replace("{plan_id}", "p")
        .replace("{deployment_id}", "d")
        .replace("{token_id}", "t")
    )


def test_every_path_names_all_its_methods(http: httpx2.Client, described: dict[str, dict[str, Any]]) -> None:
    for path in described:
        alike = (told for like, told in described.items() if re.fullmatch(re.sub("{.*?}", "[^/]+", like), filled(path)))
        own = {method.upper() for told in alike for method in told}
        wanted = own | ({"HEAD"} if "GET" in own else set()) | {"OPTIONS"}
        for method in [*sorted(set(METHODS) - wanted), "OPTIONS"]:
            answer = http.request(method, filled(path))
            assert answer.status_code == (204 if method == "OPTIONS" else 405), (method, path)
            assert set(answer.headers["Allow"].split(", ")) == wanted, (method, path)
            if method not in ("OPTIONS", "HEAD"):
                problem = answer.json()
                assert problem["code"] == "method_not_allowed"
                assert all(name in problem["hint"] for name in wanted)
    assert http.options("/v1/environments").headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert http.options("/v1/nothing").status_code == 404
    assert http.options("/v1/environments", headers={"Authorization": "Bearer no"}).status_code == 401


def test_head_is_get_without_a_body(http: httpx2.Client, described: dict[str, dict[str, Any]]) -> None:
    for path in (path for path, operations in described.items() if "get" in operations):
        head = http.head(filled(path))
        assert head.content == b""
        with http.stream("GET", filled(path)) as got:
            assert head.status_code == got.status_code, path
            if path != "/metrics":  # which tells of this very request
                changing = {"date"}
                assert {k: v for k, v in head.headers.items() if k not in changing} == {
                    k: v for k, v in got.headers.items() if k not in changing
                }, path
    paged = http.head("/v1/environments?limit=1")
    assert paged.links["next"]["url"].startswith("/v1/environments?")
    assert http.head("/v1/environments/none").status_code == 404
    assert 'method="HEAD",route="/v1/environments/{name}",status="200"' in http.get("/metrics").text


def test_head_of_a_stream_ends_at_once_and_takes_no_place(api: Served, http: httpx2.Client) -> None:
    def ask() -> None:
        for _ in range(60):
            assert http.head("/v1/events").headers["content-type"].startswith("text/event-stream")

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    with http.stream("GET", "/v1/events") as stream:
        assert stream.status_code == 200


def test_an_unknown_query_parameter_is_refused_with_what_was_meant(
    http: httpx2.Client, described: dict[str, dict[str, Any]]
) -> None:
    for path, operations in described.items():
        for method, operation in operations.items():
            if method not in ("get", "post", "put", "delete"):
                continue
            answer = http.request(method, filled(path), params={"nonsense": "1"})
            if answer.json()["code"] == "invalid_input":  # the body that is missing was looked at first
                answer = http.request(method, filled(path), params={"nonsense": "1"}, json={})
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (422, "unknown_parameter"), (method, path)
            taken = [told["name"] for told in operation.get("parameters", ()) if told["in"] == "query"]
            assert problem["details"] == {"parameter": "nonsense", "known": taken}
    problem = http.get("/v1/environments?limt=1").json()
    assert problem["detail"] == "/v1/environments takes no query parameter 'limt'. Did you mean 'limit'?"
    takes = "limit, before, outputs, whose, sort, after, ended, owner, state, template, q, ends_before, attention, ids"
    assert problem["hint"] == f"It takes {takes}."
    assert http.get(f"/v1/environments?{'x' * 5000}=1").json()["details"]["parameter"] == f"{'x' * 100}…"
    answer = http.get("/openapi.json?x=1")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
    assert answer.json()["hint"] == "It takes none."


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/environments?limit=5&limit=6", "The query parameter 'limit' of /v1/environments is given twice."),
        (
            "/v1/environments?owner=a&owner=b&owner=a",
            "The query parameter 'owner' of /v1/environments is given 3 times.",
        ),
        ("/v1/environments?limit=five", "The request is not valid: query.limit: it must be a whole number."),
        ("/v1/environments?limit=0", "The request is not valid: query.limit: it must be at least 1."),
        ("/v1/environments?limit=1001", "The request is not valid: query.limit: it must be at most 1000."),
        ("/v1/environments?ended=perhaps", "The request is not valid: query.ended: it must be true or false."),
    ],
)
def test_a_query_that_cannot_be_read_is_refused_in_words(http: httpx2.Client, path: str, said: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (422, "invalid_input", said)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": 5, "template": "web", "ttl": "1h"}, "body.name: it must be a text"),
        ({"name": "x"}, "body.template: it is missing"),
        ({"name": "x", "template": "web", "parameters": []}, "body.parameters: it must be an object"),
        ({"name": "x", "template": "web", "color": "red"}, "body.color: there is no such key"),
        (
            {"name": "x", "template": "web", "until": "soon"},
            'body.until: it must be a moment such as "2030-01-31T12:00:00Z"',
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_in_words(http: httpx2.Client, body: dict[str, Any], said: str) -> None:
    answer = http.post("/v1/environments", json=body)
    assert answer.status_code == 422
    assert answer.json()["details"]["problems"] == [said]


def test_lists_have_outputs_when_asked_for(api: Served, http: httpx2.Client) -> None:
    (listed,) = http.get("/v1/environments").json()
    assert "outputs" not in listed
    (listed,) = http.get("/v1/environments?outputs=true").json()
    assert listed["outputs"]["url"]["value"] == "https://x"
    assert listed["outputs"]["nothing"]["value"] is None
    with api.client() as client:
        assert client.environments()[0].outputs == {}
        assert client.environments(outputs=True)[0].outputs["nothing"].value is None
        assert client.environment("demo").outputs["url"].value == "https://x"


def bare(schema: dict[str, Any]) -> bool:
    """Whether it is a text of which nothing is said."""
    parts = [schema, *schema.get("anyOf", ())]
    said = {"pattern", "enum", "const", "format", "maxLength"}
    return any(part.get("type") == "string" and not said & part.keys() for part in parts)


def test_the_schema_says_what_everything_looks_like(http: httpx2.Client, described: dict[str, dict[str, Any]]) -> None:
    for path, operations in described.items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                assert not bare(parameter["schema"]), (method, path, parameter["name"])
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Request"):
            for field, told in schema.get("properties", {}).items():
                assert not bare(told), (name, field)
    created = schemas["CreateRequest"]["properties"]
    for text, fits in {
        "demo": True,
        "a-b2": True,
        "a--b": False,
        "-a": False,
        "A": False,
        "a-": False,
        "": False,
    }.items():
        assert bool(re.search(created["name"]["pattern"], text)) is fits, text
    duration = created["ttl"]["anyOf"][0]["pattern"]
    for text, fits in {"90m": True, "1d12h": True, "12": False, "1y": False, "": False}.items():
        assert bool(re.search(duration, text)) is fits, text


def test_what_is_answered_is_what_the_schema_says(api: Served, http: httpx2.Client) -> None:
    document = http.get("/openapi.json").json()
    for path in ("/v1/environments", "/v1/templates", "/v1/tokens", "/v1/environments/demo/deployments"):
        for item in http.get(path).json():
            like = {"/v1/environments": "EnvironmentView", "/v1/templates": "TemplateView", "/v1/tokens": "TokenView"}
            schema = {**document, "$ref": f"#/components/schemas/{like.get(path, 'DeploymentView')}"}
            jsonschema.Draft202012Validator(schema).validate(item)
