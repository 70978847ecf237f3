"""What the edge accepts of the service's routes, and what it makes of them in Caddy's configuration."""

import json
from typing import Any

import pytest

from images.edge.app.configuration import FORGED, Limits, configuration
from images.edge.app.entry_points import InvalidRoutes, Pair, Routes, Served, read_routes
from images.edge.app.settings import InvalidSettings, read_settings

VARIABLES = {
    "EDGE_CERTIFICATE_FILE": "/secrets/edge.pem",
    "EDGE_SECRET_FILE": "/secrets/edge-key",
    "EDGE_ENTRY_DOMAIN": "apps.example.org",
}
DOMAIN = "apps.example.org"


def route(**changes: Any) -> dict[str, Any]:
    found = {
        "id": "env-1/web",
        "hosts": [f"web--demo.{DOMAIN}", f"web.demo.{DOMAIN}"],
        "upstreams": ["192.0.2.7:20100"],
        "server_name": "",
    }
    return found | changes


def document(*routes: dict[str, Any], authority: str = "") -> dict[str, Any]:
    names = [f"*.demo.{DOMAIN}", f"web--demo.{DOMAIN}"]
    environment = {"id": "env-1", "names": names, "routes": list(routes or (route(),))}
    return {"version": "v", "authority": authority, "environments": [environment]}


def read(found: Any, before: Routes | None = None) -> Routes:
    return read_routes(found, DOMAIN, before or Routes())


def made(found: Routes) -> Any:
    served = [Served(one, Pair(one.names, "the chain", "the key", 0.0)) for one in found.environments]
    return json.loads(json.dumps(configuration(read_settings(VARIABLES), Limits(), served=served)))


def server(found: Routes) -> Any:
    return made(found)["apps"]["http"]["servers"]["edge"]


class TestRoutes:
    def test_routes_are_read(self) -> None:
        (environment,) = read(document()).environments
        assert environment.names == (f"*.demo.{DOMAIN}", f"web--demo.{DOMAIN}")
        assert environment.routes[0].upstreams == ("192.0.2.7:20100",)

    @pytest.mark.parametrize(
        "host",
        [
            "calvinverse.localhost",
            "example.org",
            DOMAIN,
            "web.demo.example.org",
            f"*.demo.{DOMAIN}",
            "{env.HOME}." + DOMAIN,
            f"WEB.demo.{DOMAIN}",
            f".{DOMAIN}",
            "a" * 250 + f".{DOMAIN}",
        ],
    )
    def test_names_that_are_not_below_the_domain_are_refused(self, host: str) -> None:
        with pytest.raises(InvalidRoutes):
            read(document(route(hosts=[host])))

    @pytest.mark.parametrize(
        "upstream",
        ["unix//secrets/edge/admin.sock", "localhost:80", "{env.HOME}:80", "192.0.2.7", "192.0.2.7:0",
         "192.0.2.7:70000",
         "999.0.2.7:80", "[::g]:80", "192.0.2.7:80/path", "http://192.0.2.7:80", "fd/3:80", ""],
    )  # fmt: skip
    def test_what_is_no_address_of_an_instance_is_refused(self, upstream: str) -> None:
        with pytest.raises(InvalidRoutes):
            read(document(route(upstreams=[upstream])))

    @pytest.mark.parametrize(
        "found", [None, {}, [], {"version": "v", "authority": "", "environments": [{}]}, {"environments": []}]
    )
    def test_what_is_no_table_is_refused(self, found: Any) -> None:
        with pytest.raises(InvalidRoutes):
            read(found)

    def test_a_host_leads_to_one_service(self) -> None:
        with pytest.raises(InvalidRoutes, match="one host name"):
            read(document(route(), route(id="env-2/web")))

    def test_instances_that_nobody_knows_stay_as_they_were(self) -> None:
        before = read(document())
        again = read(document(route(upstreams=None)), before)
        assert again.environments[0].routes[0].upstreams == ("192.0.2.7:20100",)
        assert read(document(route(upstreams=None))).environments[0].routes[0].upstreams == ()

    def test_an_instance_with_tls_needs_an_authority(self) -> None:
        with pytest.raises(InvalidRoutes, match="verified"):
            read(document(route(server_name="demo--web.service.consul")))


class TestConfiguration:
    def test_only_their_names_and_the_edges_own_get_a_handshake(self) -> None:
        (policy,) = server(read(document()))["tls_connection_policies"]
        assert policy["match"]["sni"] == ["calvinverse.localhost", f"web--demo.{DOMAIN}", f"web.demo.{DOMAIN}"]

    def test_the_edges_secret_goes_to_no_instance(self) -> None:
        own, entry, nothing = server(read(document()))["routes"]
        assert "/secrets/edge-key" in json.dumps(own)
        assert "/secrets/edge-key" not in json.dumps(entry)
        assert entry["handle"][0]["request"]["delete"] == list(FORGED)
        assert nothing["handle"] == [{"handler": "static_response", "abort": True}]

    def test_without_instances_nobody_is_asked(self) -> None:
        handle = server(read(document(route(upstreams=[]))))["routes"][1]["handle"]
        assert handle[-1]["status_code"] == "503"
        assert "reverse_proxy" not in json.dumps(handle)

    def test_an_instance_with_tls_is_verified_by_name_and_authority(self) -> None:
        pem = "-----BEGIN CERTIFICATE-----\nQUJD\nREVG\n-----END CERTIFICATE-----\n"
        found = read(document(route(server_name="demo--web.service.consul"), authority=pem * 2))
        transport = server(found)["routes"][1]["handle"][1]["transport"]
        assert transport["tls"] == {
            "ca": {"provider": "inline", "trusted_ca_certs": ["QUJDREVG", "QUJDREVG"]},
            "server_name": "demo--web.service.consul",
        }

    def test_it_is_not_ready_until_the_service_has_told_the_routes(self) -> None:
        def first(served: Any) -> Any:
            found = configuration(read_settings(VARIABLES), Limits(), served=served)
            return found["apps"]["http"]["servers"]["edge"]["routes"][0]

        assert first(None)["match"] == [{"host": ["calvinverse.localhost"], "path": ["/self/readiness"]}]
        assert first(None)["handle"] == [{"handler": "static_response", "status_code": "503"}]
        assert "path" not in first([])["match"][0]

    def test_without_entry_points_nothing_speaks_of_them(self) -> None:
        found = json.dumps(configuration(read_settings(VARIABLES)))
        assert '"503"' not in found
        assert DOMAIN not in found


@pytest.mark.parametrize(
    "domain", ["localhost", "calvinverse.localhost", "a.calvinverse.localhost", "Apps.example.org", "{x}.a"]
)
def test_a_domain_that_the_edge_can_not_have_is_named(domain: str) -> None:
    with pytest.raises(InvalidSettings, match="EDGE_ENTRY_DOMAIN"):
        read_settings(VARIABLES | {"EDGE_ENTRY_DOMAIN": domain})
