"""The values of secrets that are removed from output: also those that were replaced, and never only some of them."""

import re
from itertools import count
from typing import Any

import pytest

from environments.domain.errors import BackendUnavailable, NotAllowedNow
from environments.providers.vault.secret_words import MOST, MOST_BYTES, MOST_VERSIONS, secret_words
from environments.steps.base import Owner
from tests.fakes.backends.vault import MemorySecrets

ALPHA = Owner("env-1", "alpha")
PATH = "environments/alpha/db"


def _store(*values: Any) -> MemorySecrets:
    store = MemorySecrets()
    _write(store, PATH, *values)
    return store


def _write(store: MemorySecrets, path: str, *values: Any) -> None:
    for number, value in enumerate(values):
        assert store.write(path, {"password": value}, number)


def test_earlier_values_are_known_too() -> None:
    store = _store("correct-horse", "battery-staple", "correct-horse", ["of-a-list", 12345678])
    _write(store, "environments/alpha/a/deep", "another-one")
    _write(store, "environments/beta/db", "of-somebody-else")
    store.mark("environments/alpha/empty", {"owner": "me"})
    words = secret_words(store)(ALPHA)
    assert {"correct-horse", "battery-staple", "of-a-list", "12345678", "another-one"} <= set(words)
    assert len(words) == len(set(words))
    assert "of-somebody-else" not in words


def test_a_version_that_goes_meanwhile_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    store = _store("correct-horse", "battery-staple")
    read = store.version
    monkeypatch.setattr(store, "version", lambda path, number: None if number == 2 else read(path, number))
    assert secret_words(store)(ALPHA) == ["correct-horse"]


def test_without_secrets_no_token_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemorySecrets()
    store.mark(PATH, {"owner": "me"})
    monkeypatch.setattr(store, "of", None)
    assert secret_words(store)(ALPHA) == ()


def test_of_too_many_none_are_given() -> None:
    store = MemorySecrets()
    for number in range(MOST):
        _write(store, f"environments/alpha/{number}", *(f"value-{number}-{version}" for version in range(10)))
    words = secret_words(store)(ALPHA)
    assert len(words) == MOST_VERSIONS
    _write(store, "environments/alpha/one-more", "x")
    _refused(store, "more than 50 secrets", "Remove secrets")
    many = _store(*(str(version) for version in range(MOST_VERSIONS + 1)))
    _refused(many, "more than 500 versions", "Destroy old versions .* or lower their `max_versions`")
    assert secret_words(_store("x" * MOST_BYTES))(ALPHA) is not None
    short = [f"{number:08}" for number in range(MOST_BYTES // 32 + 1)]
    for store in (
        _store("x" * MOST_BYTES, "yyyyyyyy"),
        _store("é" * (MOST_BYTES // 2 + 1)),
        _store(dict.fromkeys("a", short)),
        _store("\n".join(short)),
        _store("a, b" * (MOST_BYTES // 5), "a,b " * (MOST_BYTES // 5)),
    ):
        _refused(store, "more than 262,144 bytes", "Destroy old versions")


def _refused(store: MemorySecrets, why: str, remedy: str) -> None:
    with pytest.raises(NotAllowedNow, match=f"'alpha' can't be shown: it has {why}") as caught:
        secret_words(store)(ALPHA)
    assert re.match(remedy, caught.value.hint or "")


def test_a_value_within_others_counts_once_for_each_of_them() -> None:
    assert secret_words(_store({"a": {"b": {"c": "x" * (MOST_BYTES // 4 - 100)}}}))(ALPHA) is not None


def test_who_takes_too_long_gives_none() -> None:
    ticks = count(step=11)
    with pytest.raises(BackendUnavailable, match="too long"):
        secret_words(_store("correct-horse", "battery-staple", "and-another"), lambda: float(next(ticks)))(ALPHA)
