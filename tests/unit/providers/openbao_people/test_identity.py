"""When there is a built-in provider, and how often OpenBao is asked for that."""

from datetime import UTC, datetime

import pytest

from environments.domain.errors import BackendDenied, BackendError, BackendUnavailable
from environments.providers.oidc.fetching import BackChannel
from environments.providers.openbao_people.identity import BuiltInIdentity
from environments.service.built_in_provider import PROVIDER_PATH
from tests.fakes.backends.openbao_people import MemoryPeopleCalls

ADDRESS = "https://calvinverse.example.org:8443"


class _Calls(MemoryPeopleCalls):
    """Counts, and fails with `fault`."""

    fault: BackendError | None = None
    asked = 0

    def issuer(self) -> str:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return super().issuer()


class _Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def calls() -> _Calls:
    return _Calls(ADDRESS)


@pytest.fixture
def time() -> _Time:
    return _Time()


def _identity(calls: _Calls, time: _Time, issuer: str = f"{ADDRESS}{PROVIDER_PATH}") -> BuiltInIdentity:
    return BuiltInIdentity(
        calls, issuer, lambda: BackChannel("https://127.0.0.1:8200"), lambda: datetime.now(UTC), time
    )


def test_it_is_read_once_in_a_minute_and_stays_the_same(calls: _Calls, time: _Time) -> None:
    identity = _identity(calls, time)
    found = identity.current()
    assert found is not None
    assert (found.name, found.public_client, found.issuer) == ("openbao", "memory-cli", f"{ADDRESS}{PROVIDER_PATH}")
    assert identity.current() is found
    assert calls.asked == 1
    time.now += 60
    assert identity.current() is found
    assert calls.asked == 2


def test_while_openbao_is_away_it_stays(calls: _Calls, time: _Time) -> None:
    identity = _identity(calls, time)
    found = identity.current()
    calls.fault = BackendUnavailable("It is away.")
    time.now += 60
    assert identity.current() is found
    calls.fault = BackendDenied("It isn't set up any more.")
    time.now += 5
    assert identity.current() is None


def test_where_it_is_not_set_up_there_is_none_until_it_is(calls: _Calls, time: _Time) -> None:
    identity = _identity(calls, time)
    calls.fault = BackendDenied("It isn't set up.")
    assert identity.current() is None
    calls.fault = None
    assert identity.current() is None
    time.now += 5
    assert identity.current() is not None


def test_a_provider_with_another_issuer_is_none_of_ours(calls: _Calls, time: _Time) -> None:
    assert _identity(calls, time, "https://other.example").current() is None
