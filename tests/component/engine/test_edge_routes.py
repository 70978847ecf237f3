"""What edges are told: routes of published services, as the database and the instances change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.environment import EventType
from environments.domain.errors import BackendUnavailable, NotFound
from environments.domain.lifecycle import State
from environments.steps.entry_points import Healthy, RouteTable
from tests.fakes.service import FakeService, make_service

SECONDS = 60.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    service = make_service(tmp_path)
    for name in ("demo", "other"):
        service.requests.create(service.admin, CreateEnvironment(name=name, template="web"))
    service.edge_routes.start()
    yield service
    service.edge_routes.stop()
    service.database.close()


def id_of(service: FakeService, name: str = "demo") -> str:
    return service.reading.environment(service.admin, name).environment.id


def asked(service: FakeService, version: str = "", *serves: str, edge: str = "one") -> RouteTable:
    """The next table."""
    found = service.edge_routes.next(edge, serves, version, SECONDS)
    assert found is not None
    return found


def test_without_entry_points_there_is_an_empty_table(service: FakeService) -> None:
    assert asked(service).environments == ()
    assert service.edge_routes.instances.asked == 0


def test_a_published_service_is_told_with_its_names_and_instances(service: FakeService) -> None:
    service.edge_routes.instances.places["demo", "web"] = Healthy(("192.0.2.7:20100",))
    version = asked(service).version
    service.entry_points.publish(id_of(service), ["web"])
    (found,) = asked(service, version).environments
    assert found.id == id_of(service)
    assert found.names == ("*.demo.apps.example.org", "web--demo.apps.example.org")
    (route,) = found.routes
    assert route.id == f"{id_of(service)}/web"
    assert route.hosts == ("web--demo.apps.example.org", "web.demo.apps.example.org")
    assert (route.upstreams, route.server_name) == (("192.0.2.7:20100",), "")


def test_the_authority_is_told_for_instances_with_tls_only(service: FakeService) -> None:
    service.entry_points.publish(id_of(service), ["web"])
    first = asked(service)
    assert first.authority == ""
    service.edge_routes.instances.places["demo", "web"] = Healthy(("192.0.2.7:20100",), tls=True)
    service.edge_routes.news.tell()
    found = asked(service, first.version)
    assert found.authority == service.edge_routes.certificates.made.pem
    assert found.environments[0].routes[0].server_name == "demo--web.service.consul"


def test_a_change_of_health_is_told(service: FakeService) -> None:
    places = service.edge_routes.instances.places
    places["demo", "web"] = Healthy(("192.0.2.7:20100", "192.0.2.7:20101"))
    service.entry_points.publish(id_of(service), ["web"])
    version = asked(service).version
    places["demo", "web"] = Healthy(("192.0.2.7:20101",))
    service.edge_routes.news.tell()
    (found,) = asked(service, version).environments
    assert found.routes[0].upstreams == ("192.0.2.7:20101",)


@pytest.mark.parametrize("state", [State.STOPPING, State.STOPPED])
def test_nothing_leads_to_addresses_of_an_environment_that_is_stopped(service: FakeService, state: State) -> None:
    """Another job may have them by then."""
    service.edge_routes.instances.places["demo", "web"] = Healthy(("192.0.2.7:20100",))
    service.entry_points.publish(id_of(service), ["web"])
    version = asked(service).version
    set_state(service, state)
    found = asked(service, version)
    assert [route.upstreams for route in found.environments[0].routes] == [()]
    set_state(service, State.READY)
    found = asked(service, found.version)
    assert [route.upstreams for route in found.environments[0].routes] == [("192.0.2.7:20100",)]


def set_state(service: FakeService, state: State) -> None:
    with service.database.write() as tx:
        found = tx.environments.get(id_of(service))
        assert found is not None
        tx.environments.set_state(found.id, state, found.created_at)
        tx.events.add(EventType.ENVIRONMENT_STATE, found.id, found.created_at, data={"state": state.value})


def test_what_is_not_known_is_said_and_what_was_known_stays(service: FakeService) -> None:
    instances = service.edge_routes.instances
    instances.places["demo", "web"] = Healthy(("192.0.2.7:20100",))
    service.entry_points.publish(id_of(service), ["web"])
    version = asked(service).version
    instances.failure = BackendUnavailable("Consul doesn't answer.")
    # A service that is published meanwhile: nobody knows its instances.
    service.entry_points.publish(id_of(service, "other"), ["web"])
    found = {one.names[1]: one.routes[0].upstreams for one in asked(service, version).environments}
    assert found == {
        "web--demo.apps.example.org": ("192.0.2.7:20100",),
        "web--other.apps.example.org": None,
    }


def test_a_withdrawn_service_is_gone_while_consul_is_away(service: FakeService) -> None:
    service.entry_points.publish(id_of(service), ["web"])
    version = asked(service).version
    service.edge_routes.instances.failure = BackendUnavailable("Consul doesn't answer.")
    service.entry_points.withdraw(id_of(service), "web")
    assert asked(service, version).environments == ()


def test_nothing_new_is_said_after_a_while(service: FakeService) -> None:
    version = asked(service).version
    assert service.edge_routes.next("one", (), version, 0.05) is None


def test_what_edges_serve_is_counted(service: FakeService) -> None:
    id = id_of(service)
    service.entry_points.publish(id, ["web"])
    assert service.entry_points.edges(id, "web") == (0, 0)
    asked(service, edge="one")
    asked(service, "", f"{id}/web", edge="two")
    assert service.entry_points.edges(id, "web") == (1, 2)
    asked(service, "", f"{id}/web", edge="one")
    assert service.entry_points.edges(id, "web") == (2, 2)


def test_certificates_are_signed_for_published_services_only(service: FakeService) -> None:
    with pytest.raises(NotFound):
        service.edge_routes.certificate(id_of(service), "a request")
    with pytest.raises(NotFound):
        service.edge_routes.certificate("env-unknown", "a request")
    assert service.edge_routes.certificates.signed == []


def test_an_environment_that_is_shown_has_its_addresses(service: FakeService) -> None:
    service.entry_points.publish(id_of(service), ["web"])
    (found,) = service.reading.environment(service.admin, "demo").entry_points
    assert (found.service, found.url) == ("web", "https://web--demo.apps.example.org")
    assert found.subdomain_url == "https://web.demo.apps.example.org"
