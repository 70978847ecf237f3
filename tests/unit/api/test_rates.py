"""How often something may be asked for: exact within a sliding window, by key, with bounded memory."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.api.rates import Rate, address_key, apart, by_address, by_principal
from environments.domain.errors import TooManyRequests, Unauthenticated


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def scope(address: str | None, **state: Any) -> dict[str, Any]:
    return {"type": "http", "client": None if address is None else (address, 0), "state": state}


def refused(rate: Rate, key: str = "ada") -> int | None:
    """The seconds to wait, or None if it was counted."""
    try:
        rate.count(key)
    except TooManyRequests as error:
        return int(error.details["retry_after"])
    return None


def test_it_refuses_what_is_beyond_the_most_in_a_minute_and_says_why_and_when() -> None:
    clock = Clock()
    rate = Rate(2, "sign-ins from one address", hint="Wait.", clock=clock)
    rate.count("ada")
    clock.now += 20
    rate.count("ada")
    with pytest.raises(TooManyRequests, match="Too many sign-ins from one address in a minute: at most 2") as refusal:
        rate.count("ada")
    assert refusal.value.details["retry_after"] == 40
    assert refusal.value.hint == "Wait."
    rate.count("grace")
    clock.now += 40
    rate.count("ada")  # and only one: the second is 40 seconds old
    assert refused(rate) == 20


def test_what_is_refused_or_only_checked_does_not_count() -> None:
    clock = Clock()
    rate = Rate(1, "requests", clock=clock)
    for _ in range(5):
        rate.check("ada")
    rate.count("ada")
    for _ in range(5):
        assert refused(rate) is not None
        with pytest.raises(TooManyRequests):
            rate.check("ada")
    clock.now += 60
    rate.check("ada")
    assert refused(rate) is None


def test_what_is_noted_counts_and_is_never_refused() -> None:
    clock = Clock()
    rate = Rate(2, "guesses", clock=clock)
    for _ in range(5):
        rate.note("ada")
        clock.now += 1
    assert refused(rate) == 55


@given(
    most=st.integers(1, 5),
    waits=st.lists(st.integers(0, 320).map(lambda eighths: eighths / 8), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_the_most_and_the_time_to_wait_is_true(most: int, waits: list[float]) -> None:
    clock = Clock()
    rate = Rate(most, "requests", clock=clock)
    counted: list[float] = []
    for wait in waits:
        clock.now += wait
        after = refused(rate)
        if after is not None:
            assert 1 <= after <= 60
            clock.now += after
            assert refused(rate) is None
        counted.append(clock.now)
    for moment in counted:
        assert sum(1 for other in counted if moment <= other < moment + 60) <= most


def test_it_forgets_the_idlest_keys_before_it_takes_more_memory() -> None:
    clock = Clock()
    rate = Rate(3, "requests", remembered=9, clock=clock)
    for key in ("ada", "bob", "cy", "dan"):
        for _ in range(3):
            rate.count(key)
    assert refused(rate, "dan") is not None
    assert refused(rate, "cy") is not None
    assert refused(rate, "ada") is None


def test_one_key_alone_is_never_forgotten() -> None:
    rate = Rate(3, "requests", remembered=1, clock=Clock())
    for _ in range(3):
        rate.count("ada")
    assert refused(rate) is not None


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_a_client_has_one_key_whichever_of_its_addresses_it_takes(address: str | None, key: str) -> None:
    assert address_key(scope(address)) == key


def test_clients_that_share_loopback_have_no_key_unless_the_edge_tells_of_them() -> None:
    assert apart(scope("192.0.2.7", from_edge=False)) == "192.0.2.7"
    assert apart(scope("127.0.0.1", from_edge=True)) == "127.0.0.1"
    for address in ("127.0.0.1", "127.0.0.77", "::1", "::ffff:127.0.0.1", None):
        assert apart(scope(address, from_edge=False)) == ""


def asks(counts: Any, *scopes: dict[str, Any]) -> None:
    """Runs the dependency for each request; it waits for nothing, so no event loop is needed."""
    for one in scopes:
        with pytest.raises(StopIteration):
            counts(SimpleNamespace(scope=one)).send(None)


def test_a_dependency_counts_by_address_or_by_the_signed_in_name() -> None:
    ada, grace = (SimpleNamespace(owner=name) for name in ("ada", "grace"))
    addressed, named = Rate(1, "requests", clock=Clock()), Rate(1, "requests", clock=Clock())
    asks(by_address(addressed), scope("192.0.2.7"), scope("192.0.2.8"))
    asks(by_principal(named), scope("192.0.2.7", principal=ada), scope("192.0.2.7", principal=grace))
    with pytest.raises(TooManyRequests):
        asks(by_address(addressed), scope("192.0.2.7"))
    with pytest.raises(TooManyRequests):
        asks(by_principal(named), scope("192.0.2.9", principal=ada))
    with pytest.raises(Unauthenticated):
        asks(by_principal(named), scope("192.0.2.9"))
