"""Bodies that hold what can't be read again are refused; rows that can't be read cost their owner only."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from environments.domain.errors import InvalidInput
from environments.domain.lifecycle import State
from environments.stores.columns import read_column, write_column
from tests.fakes.service import Served, served

RAW, ESCAPED = b"\xed\xa0\x80", b"\\ud800"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


@pytest.fixture
def http(api: Served) -> Iterator[httpx2.Client]:
    secret = api.service.tokens.create_token(api.service.admin, owner="grace").secret
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=60) as client:
        yield client


@pytest.mark.parametrize("half", [RAW, ESCAPED, b"\\udfff", b"\xff", b"\xc0\x80"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/environments", b'{"name":"two","template":"web","parameters":{"message":"%s"}}'),
        ("POST", "/v1/environments", b'{"name":"two","template":"web","parameters":{"%s":1}}'),
        ("POST", "/v1/environments", b'{"name":"%s","template":"web"}'),
        ("POST", "/v1/environments", b'{"name":"two","template":"%s"}'),
        ("POST", "/v1/environments", b'{"name":"two","template":"web","ttl":"%s"}'),
        ("PUT", "/v1/environments/one", b'{"parameters":{"message":"%s"}}'),
        ("POST", "/v1/environments/one/plan", b'{"kind":"update","parameters":{"message":"%s"}}'),
        ("POST", "/v1/environments/one/rollback", b'{"deployment":"%s"}'),
        ("POST", "/v1/environments/one/extend", b'{"ttl":"%s"}'),
        ("POST", "/v1/environments/one/destroy", b'{"reason":"%s"}'),
        ("POST", "/v1/tokens", b'{"owner":"grace","note":"%s"}'),
    ],
)
def test_half_characters_are_refused_and_never_stored(
    api: Served, http: httpx2.Client, method: str, path: str, body: bytes, half: bytes
) -> None:
    assert http.post("/v1/environments", content=b'{"name":"one","template":"web"}').status_code == 202
    api.service.finish("one", State.READY)
    answer = http.request(method, path, content=body % half)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_input"
    assert [found["name"] for found in http.get("/v1/environments").json()] == ["one"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig"])
def test_only_utf_8_is_read(http: httpx2.Client, encoding: str) -> None:
    body = '{"name":"one","template":"web"}'.encode(encoding)
    answer = http.post("/v1/environments", content=body)
    assert answer.status_code == 422
    assert "UTF-8" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"one","template":"web","name":"two"}',
        b'{"name":"one","template":"web","parameters":{"message":"a","\\u006dessage":"b"}}',
    ],
)
def test_a_key_that_is_given_twice_is_refused(http: httpx2.Client, body: bytes) -> None:
    answer = http.post("/v1/environments", content=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert "an object in it has the same key twice" in answer.json()["detail"]
    assert http.get("/v1/environments").json() == []


def test_whole_characters_come_through(http: httpx2.Client) -> None:
    body = b'{"name":"one","template":"web","parameters":{"message":"\\ud83d\\ude00 \xf0\x9f\x98\x80"}}'
    assert http.post("/v1/environments", content=body).status_code == 202
    assert http.get("/v1/environments/one").json()["parameters"]["message"] == "\U0001f600 \U0001f600"


@pytest.mark.parametrize("value", [{"a": "\ud800"}, {"\udfff": 1}, ["\udc00\ud800"], float("inf"), [float("nan")]])
def test_the_store_refuses_what_it_could_not_read_again(value: object) -> None:
    with pytest.raises(InvalidInput, match="half a character"):
        write_column(value)


def test_half_characters_that_are_stored_are_read_as_replaced(api: Served, http: httpx2.Client, tmp_path: Path) -> None:
    assert read_column('{"a\\ud800": ["\\udfff", "\\ud83d\\ude00", 1]}') == {"a\ufffd": ["\ufffd", "\U0001f600", 1]}
    assert http.post("/v1/environments", content=b'{"name":"one","template":"web"}').status_code == 202
    found = next(tmp_path.rglob("*.sqlite"))
    with closing(sqlite3.connect(found, timeout=30)) as connection, connection:
        for table in ("environments", "deployments"):
            changed = connection.execute(
                f"UPDATE {table} SET parameters = ?",  # noqa: S608 - our own words
                ('{"message": "\\ud800"}',),
            )
            assert changed.rowcount == 1
    api.service.finish("one", State.READY)
    assert http.get("/v1/environments").status_code == 200
    assert http.get("/v1/environments/one").json()["parameters"]["message"] == "\ufffd"
    assert http.post("/v1/environments/one/destroy", content=b"{}").status_code == 202
