"""Wrong passwords are limited by user name and by address, and nobody is locked out by strangers."""

import pytest

from environments.domain.errors import TooManyRequests
from environments.providers.openbao_people.attempts import (
    EACH_ADDRESS,
    EACH_KNOWN_ADDRESS,
    KNOWN_ADDRESSES,
    STRANGERS_EACH_USER,
    WINDOW_SECONDS,
    Attempts,
)


class _Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> _Time:
    return _Time()


@pytest.fixture
def attempts(time: _Time) -> Attempts:
    return Attempts(time)


def _fail(attempts: Attempts, user: str, address: str, times: int = 1) -> None:
    for _ in range(times):
        attempts.check(user, address)
        attempts.failed(user, address)


def test_one_name_is_tried_a_few_times_from_everywhere_together(attempts: Attempts, time: _Time) -> None:
    for number in range(STRANGERS_EACH_USER):
        _fail(attempts, "ada", f"192.0.2.{number}")
    with pytest.raises(TooManyRequests) as refused:
        attempts.check("ada", "198.51.100.1")
    assert refused.value.details == {"retry_after": WINDOW_SECONDS}
    attempts.check("bob", "198.51.100.1")
    time.now += WINDOW_SECONDS
    attempts.check("ada", "198.51.100.1")


def test_one_address_tries_few_names(attempts: Attempts) -> None:
    for number in range(EACH_ADDRESS):
        _fail(attempts, f"user{number}", "192.0.2.1")
    with pytest.raises(TooManyRequests):
        attempts.check("another", "192.0.2.1")
    attempts.check("another", "192.0.2.2")


def test_all_addresses_of_a_customer_s_ipv6_count_as_one(attempts: Attempts) -> None:
    for number in range(EACH_ADDRESS):
        _fail(attempts, f"user{number}", f"2001:db8::{number:x}")
    with pytest.raises(TooManyRequests):
        attempts.check("another", "2001:db8::ffff:1")
    attempts.check("another", "2001:db8:0:1::1")


def test_an_address_of_the_person_is_counted_by_itself(attempts: Attempts) -> None:
    attempts.succeeded("ada", "192.0.2.7")
    for number in range(STRANGERS_EACH_USER):
        _fail(attempts, "ada", f"198.51.100.{number}")
    with pytest.raises(TooManyRequests):
        attempts.check("ada", "203.0.113.1")
    _fail(attempts, "ada", "192.0.2.7", EACH_KNOWN_ADDRESS)
    with pytest.raises(TooManyRequests):
        attempts.check("ada", "192.0.2.7")


def test_only_the_last_addresses_of_a_person_are_known(attempts: Attempts) -> None:
    for number in range(KNOWN_ADDRESSES + 1):
        attempts.succeeded("ada", f"192.0.2.{number}")
    _fail(attempts, "ada", "198.51.100.1", STRANGERS_EACH_USER)
    attempts.check("ada", f"192.0.2.{KNOWN_ADDRESSES}")
    with pytest.raises(TooManyRequests):
        attempts.check("ada", "192.0.2.0")
