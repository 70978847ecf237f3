"""Attack 11: whoever has a copy of the database learns no secret parameter from it."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.attack_harness import Person, Target

PIN = "4711"
BODY = {"name": "pin", "template": "attack-pin", "parameters": {"pin": PIN}, "ttl": "1h"}


def copied(target: Target) -> Iterator[tuple[Any, ...]]:
    """Every row of every table, of a copy of the database as a thief would have it."""
    with closing(sqlite3.connect(f"file:{_database(target)}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            yield from database.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names of the database's own tables


def guesses(pin: str) -> Iterator[str]:
    """The request with another PIN, as a hash over it might see it."""
    request = {
        "name": BODY["name"],
        "template": BODY["template"],
        "digest": None,
        "parameters": {"pin": pin},
        "ttl": BODY["ttl"],
        "until": None,
    }
    for body in (request, {**BODY, "parameters": {"pin": pin}}, {"pin": pin}):
        yield json.dumps(body, separators=(",", ":"))
        yield json.dumps(body, separators=(",", ":"), sort_keys=True)
        yield json.dumps(body)
    yield pin


@pytest.fixture
def made(mallory: Person) -> Iterator[None]:
    answer = mallory.http.post("/v1/environments", json=BODY, headers={"Idempotency-Key": "one-and-only"})
    assert answer.status_code == 202, answer.text
    again = mallory.http.post("/v1/environments", json=BODY, headers={"Idempotency-Key": "one-and-only"})
    assert again.status_code == 202
    assert again.json()["deployment_id"] == answer.json()["deployment_id"]
    other = {**BODY, "parameters": {"pin": "0000"}}
    mismatch = mallory.http.post("/v1/environments", json=other, headers={"Idempotency-Key": "one-and-only"})
    assert mismatch.json()["code"] == "idempotency_mismatch"
    mallory.settled("pin")
    yield
    mallory.destroy("pin")


def test_no_hash_of_a_request_gives_a_pin_away(target: Target, made: None) -> None:
    kept = {str(value) for row in copied(target) for value in row if isinstance(value, str | bytes | int)}
    found = [
        pin
        for pin in (f"{number:04d}" for number in range(10_000))
        if any(
            hashlib.new(name, guess.encode()).hexdigest() in kept
            for guess in guesses(pin)
            for name in ("sha256", "sha1", "md5")
        )
    ]
    assert found == []


def test_the_database_has_hashes_of_tokens_and_no_token(target: Target, mallory: Person) -> None:
    kept = b"".join(path.read_bytes() for path in sorted(_files(target)))
    assert mallory.token.encode() not in kept
    assert hashlib.sha256(mallory.token.encode()).hexdigest().encode() in kept


def _files(target: Target) -> list[Path]:
    return list(_database(target).parent.glob("calvinverse.sqlite*"))


def _database(target: Target) -> Path:
    """The service's own; beside it deploy keeps one that has only the meta environment."""
    (path,) = [path for path in target.folder.rglob("calvinverse.sqlite") if path.parent.name == "service"]
    return path
