"""How long the edge uses what the service has told it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from images.edge.app.entry_points import Pair, Route
from images.edge.app.follower import PLAIN_SECONDS, Follower
from images.edge.app.service import NoAnswer, Refused, Service

DOMAIN = "apps.example.org"


@dataclass
class Fake(Service):
    """A service that answers what the test says; an error is raised."""

    answers: list[Any]
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def routes(self, serves: tuple[str, ...], version: str, wait: float) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def certificate(self, environment: str, names: tuple[str, ...]) -> Pair:
        return Pair(names, "chain", "key", 2.0**40)


@dataclass
class Edge:
    """A follower whose time the test moves."""

    service: Fake
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.follower = Follower(self.service, DOMAIN, lambda: self.now)

    def hears(self, answer: Any, after: float = 0.0) -> dict[str, tuple[str, ...]]:
        """The instances of each route after that answer, which comes some seconds after the one before."""
        self.now += after
        self.service.answers.append(answer)
        self.follower.first(0.001) if self.follower.served is None else self.follower._ask(0.0)
        return {route.id: route.upstreams for one in self.follower.served or () for route in one.environment.routes}


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch) -> Edge:
    monkeypatch.setattr("images.edge.app.follower.time.sleep", lambda _: None)
    return Edge(Fake([]))


def table(plain: list[str] | None, version: str = "1") -> dict[str, Any]:
    """A service with plain instances, and one whose instances speak TLS."""
    names = [f"plain--demo.{DOMAIN}", f"secured--demo.{DOMAIN}"]
    routes = [
        {"id": "env-1/plain", "hosts": names[:1], "upstreams": plain, "server_name": ""},
        {
            "id": "env-1/secured",
            "hosts": names[1:],
            "upstreams": ["127.0.0.1:2"],
            "server_name": "demo--secured.consul",
        },
    ]
    return {
        "version": version,
        "authority": "-----BEGIN CERTIFICATE-----",
        "environments": [{"id": "env-1", "names": names, "routes": routes}],
    }


BOTH = {"env-1/plain": ("127.0.0.1:1",), "env-1/secured": ("127.0.0.1:2",)}
VERIFIED = BOTH | {"env-1/plain": ()}


@pytest.mark.parametrize("failure", [NoAnswer("It is away."), Refused("It has no domain.")])
def test_plain_instances_are_left_when_the_service_is_away_for_long(edge: Edge, failure: Exception) -> None:
    """Their ports may be those of another environment by then. Instances with TLS prove who they are."""
    assert edge.hears(table(["127.0.0.1:1"])) == BOTH
    assert edge.hears(failure, after=PLAIN_SECONDS - 1) == BOTH
    assert edge.hears(failure, after=2) == VERIFIED
    # It is back, and nothing has changed.
    assert edge.hears(None, after=3600) == BOTH


def test_a_service_that_answers_keeps_them(edge: Edge) -> None:
    assert edge.hears(table(["127.0.0.1:1"])) == BOTH
    for _ in range(3):
        assert edge.hears(None, after=PLAIN_SECONDS - 1) == BOTH


def test_so_it_is_when_the_service_itself_does_not_know_them(edge: Edge) -> None:
    assert edge.hears(table(["127.0.0.1:1"])) == BOTH
    assert edge.hears(table(None, "2")) == BOTH
    assert edge.hears(None, after=PLAIN_SECONDS - 1) == BOTH
    assert edge.hears(None, after=2) == VERIFIED
    assert edge.hears(table(["127.0.0.1:1"], "3")) == BOTH


def test_it_is_no_change_of_the_configuration_that_nobody_knows_for_a_moment() -> None:
    known = Route("env-1/plain", ("a.b",), ("127.0.0.1:1",))
    assert Route("env-1/plain", ("a.b",), ("127.0.0.1:1",), unknown=True) == known
