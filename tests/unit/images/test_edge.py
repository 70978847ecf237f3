"""The edge's settings and the configuration that they make, without Caddy."""

import json
from pathlib import Path
from typing import Any

import pytest

from images.edge.app.configuration import CLIENT_HEADER, FORGED, SECRET_HEADER, Generation, Limits, configuration
from images.edge.app.settings import Acme, AcmeAccount, CertificateFiles, InvalidSettings, read_settings

VARIABLES = {"EDGE_CERTIFICATE_FILE": "/secrets/edge.pem", "EDGE_SECRET_FILE": "/secrets/edge-key"}
ACME = {
    "EDGE_ACME_DIRECTORY": "https://ca.example/directory",
    "EDGE_ACME_STORAGE": "/storage",
    "EDGE_SECRET_FILE": "/secrets/edge-key",
}
GENERATION = Generation(("fd/3", "fd/4"), Path("/own/up-1.sock"))


def made(limits: Limits, variables: dict[str, str]) -> Any:
    """The configuration, as Caddy reads it."""
    return json.loads(json.dumps(configuration(read_settings(VARIABLES | variables), limits)))


def whole(**variables: str) -> Any:
    return made(Limits(), variables)


def server(**variables: str) -> Any:
    return whole(**variables)["apps"]["http"]["servers"]["edge"]


class TestSettings:
    def test_what_is_not_said_has_a_default(self) -> None:
        settings = read_settings(VARIABLES)
        assert (settings.host, settings.port, settings.address) == ("127.0.0.1", 8443, "calvinverse.localhost")
        assert (settings.upstream, settings.upstream_ca_file) == ("127.0.0.1:8400", None)
        pem = Path("/secrets/edge.pem")
        assert (settings.files, settings.acme) == (CertificateFiles(pem, pem), None)

    def test_acme_takes_the_place_of_files(self, tmp_path: Path) -> None:
        (tmp_path / "account").write_text("an-id ZXhhbXBsZS1rZXktb2YtMzI\n")
        settings = read_settings(ACME | {"EDGE_ACME_ACCOUNT_FILE": str(tmp_path / "account")})
        account = AcmeAccount("an-id", "ZXhhbXBsZS1rZXktb2YtMzI")
        assert settings.files is None
        assert settings.acme == Acme("https://ca.example/directory", Path("/storage"), account=account)
        assert account.key not in repr(settings)
        (tmp_path / "account").write_text("\n")
        assert (
            read_settings(ACME | {"EDGE_ACME_ACCOUNT_FILE": str(tmp_path / "account")}).acme == read_settings(ACME).acme
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("EDGE_CERTIFICATE_FILE", "/secrets/edge.pem"),
            ("EDGE_ACME_DIRECTORY", "http://ca.example/directory"),
            ("EDGE_ACME_DIRECTORY", "https://{env.HOME}/directory"),
            ("EDGE_ACME_EMAIL", "ada"),
            ("EDGE_ACME_STORAGE", ""),
            ("EDGE_ACME_CA_FILE", "ca.pem"),
            ("EDGE_ACME_ACCOUNT_FILE", "/nowhere/account"),
        ],
    )
    def test_what_is_wrong_with_acme_is_named(self, name: str, value: str) -> None:
        with pytest.raises(InvalidSettings, match=name):
            read_settings(ACME | {name: value})

    def test_an_account_that_is_none_is_not_repeated(self, tmp_path: Path) -> None:
        (tmp_path / "account").write_text("a secret, and nothing else")
        with pytest.raises(InvalidSettings, match="EDGE_ACME_ACCOUNT_FILE") as refused:
            read_settings(ACME | {"EDGE_ACME_ACCOUNT_FILE": str(tmp_path / "account")})
        assert "a secret" not in str(refused.value)

    def test_a_service_with_tls_is_verified(self) -> None:
        variables = {"EDGE_UPSTREAM": "https://127.0.0.1:8400", "EDGE_UPSTREAM_CA_FILE": "/secrets/ca.pem"}
        assert read_settings(VARIABLES | variables).upstream_ca_file == Path("/secrets/ca.pem")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("EDGE_LISTEN", "8443"),
            ("EDGE_LISTEN", "localhost:8443"),
            ("EDGE_LISTEN", "0.0.0.0:0"),
            ("EDGE_LISTEN", "0.0.0.0:65536"),
            ("EDGE_LISTEN", "999.0.0.1:8443"),
            ("EDGE_LISTEN", "[::g]:8443"),
            ("EDGE_ADDRESS", "localhost"),
            ("EDGE_ADDRESS", "192.0.2.1"),
            ("EDGE_ADDRESS", "*.example.org"),
            ("EDGE_ADDRESS", "Calvinverse.example.org"),
            ("EDGE_ADDRESS", "calvinverse.example.org:8443"),
            ("EDGE_ADDRESS", "{env.HOME}.example.org"),
            ("EDGE_ADDRESS", ".".join(["a" * 63] * 4)),
            ("EDGE_UPSTREAM", "127.0.0.1"),
            ("EDGE_UPSTREAM", "https://127.0.0.1:8400"),
            ("EDGE_UPSTREAM", "{env.HOME}:8400"),
            ("EDGE_UPSTREAM_NAME", "a.example.org"),
            ("EDGE_UPSTREAM_CA_FILE", "/secrets/ca.pem"),
            ("EDGE_CERTIFICATE_FILE", ""),
            ("EDGE_CERTIFICATE_FILE", "edge.pem"),
            ("EDGE_SECRET_FILE", "/secrets/{env.HOME}"),
            ("EDGE_SECRET_FILE", ""),
        ],
    )
    def test_what_is_wrong_is_named(self, name: str, value: str) -> None:
        with pytest.raises(InvalidSettings, match=name):
            read_settings(VARIABLES | {name: value})


class TestConfiguration:
    def test_its_admin_api_is_a_socket_and_nothing_is_saved(self) -> None:
        assert whole(EDGE_FOLDER="/own")["admin"] == {
            "listen": "unix//own/admin.sock|0600",
            "config": {"persist": False},
        }

    def test_no_port_but_its_own_is_opened_and_nobody_is_asked_for_certificates(self) -> None:
        found = whole()
        assert found["apps"]["http"]["servers"]["edge"]["automatic_https"] == {"disable": True}
        assert set(found["apps"]) == {"http", "tls"}
        assert "automation" not in found["apps"]["tls"]
        assert found["apps"]["tls"]["disable_ocsp_stapling"] is True

    @pytest.mark.parametrize(
        ("listen", "places"),
        [
            ("0.0.0.0:443", ["0.0.0.0:443"]),
            ("[::]:443", ["[::]:443"]),
            ("127.0.0.1:8443", ["127.0.0.1:8443"]),
            ("192.0.2.1:8443", ["192.0.2.1:8443", "127.0.0.1:8443"]),
            ("[2001:db8::1]:8443", ["[2001:db8::1]:8443", "127.0.0.1:8443"]),
        ],
    )
    def test_the_machine_itself_reaches_it_too(self, listen: str, places: list[str]) -> None:
        assert server(EDGE_LISTEN=listen)["listen"] == places

    def test_every_route_is_for_its_name_or_ends_the_connection(self) -> None:
        found = server(EDGE_ADDRESS="calvinverse.example.org")
        for routes in (found["routes"], found["errors"]["routes"]):
            *known, rest = routes
            assert [one["match"][0]["host"] for one in known] == [["calvinverse.example.org"]] * len(known)
            assert [one for one in known[:-1] if set(one["match"][0]) != {"host", "expression"}] == []
            assert known[-1]["match"] == [{"host": ["calvinverse.example.org"]}]
            assert rest == {"handle": [{"handler": "static_response", "abort": True}]}
        assert found["tls_connection_policies"][0]["match"] == {"sni": ["calvinverse.example.org"]}

    def test_headers_of_proxies_are_dropped_before_its_own_are_set(self) -> None:
        headers, _, proxy = server()["routes"][0]["handle"]
        assert headers["request"] == {"delete": list(FORGED)}
        assert "Calvinverse-*" in FORGED
        assert "*_*" in FORGED, "programs that make variables of headers read an underscore as a hyphen"
        assert proxy["headers"]["request"]["set"] == {
            SECRET_HEADER: ["{file./secrets/edge-key}"],
            CLIENT_HEADER: ["{http.request.remote.host}"],
            "Host": ["{http.request.hostport}"],
        }

    def test_nobody_in_front_of_it_is_trusted(self) -> None:
        assert "trusted_proxies" not in json.dumps(whole())

    def test_no_secret_is_in_it(self) -> None:
        # It is shown by the admin API: the files are named, and read by Caddy.
        assert "PRIVATE KEY" not in json.dumps(whole())

    def test_its_limits_are_those_that_are_given(self) -> None:
        found = made(Limits(largest_head=1, largest_body=2, head=3, stalled=4.5, slowest=6, idle=7), {})
        edge = found["apps"]["http"]["servers"]["edge"]
        assert (edge["max_header_bytes"], edge["routes"][0]["handle"][1]["max_size"]) == (1, 2)
        assert (edge["read_header_timeout"], edge["read_idle_timeout"], edge["idle_timeout"]) == ("3s", "4.5s", "7s")
        assert edge["read_min_rate"] == 6

    def test_the_service_is_verified_by_the_authority_that_is_named(self) -> None:
        name = "provisioning.calvinverse.internal"
        found = server(
            EDGE_UPSTREAM="https://127.0.0.1:8400", EDGE_UPSTREAM_CA_FILE="/secrets/ca.pem", EDGE_UPSTREAM_NAME=name
        )
        proxy = found["routes"][0]["handle"][-1]
        ca = {"provider": "file", "pem_files": ["/secrets/ca.pem"]}
        assert proxy["transport"]["tls"] == {"ca": ca, "server_name": name}

    def test_a_generation_listens_where_it_is_told_and_says_when_it_runs(self) -> None:
        found = json.loads(json.dumps(configuration(read_settings(VARIABLES), Limits(draining=7), GENERATION)))
        http = found["apps"]["http"]
        assert http["shutdown_delay"] == "7s"
        assert http["servers"]["edge"]["listen"] == ["fd/3", "fd/4"]
        assert http["servers"]["ready"]["listen"] == ["unix//own/up-1.sock|0600"]
        assert http["servers"]["ready"]["routes"] == [{"handle": [{"handler": "static_response", "abort": True}]}]

    def test_a_generation_that_is_left_closes_connections_after_their_answer(self) -> None:
        found = json.loads(json.dumps(configuration(read_settings(VARIABLES), Limits(), GENERATION)))
        first, *rest = found["apps"]["http"]["servers"]["edge"]["routes"][0]["handle"]
        assert rest == server()["routes"][0]["handle"]
        (leaving,) = first["routes"]
        assert leaving["match"] == [{"vars": {"{http.shutting_down}": ["true"]}}]
        assert leaving["handle"][0]["response"]["set"] == {"Connection": ["close"]}

    def test_acme_opens_no_other_port_and_keeps_what_it_gets(self) -> None:
        found = json.loads(json.dumps(configuration(read_settings(ACME | {"EDGE_ACME_EMAIL": "ada@example.org"}))))
        assert found["storage"]["root"] == "/storage"
        tls = found["apps"]["tls"]
        assert tls["certificates"] == {"automate": ["calvinverse.localhost"]}
        (policy,) = tls["automation"]["policies"]
        (issuer,) = policy["issuers"]
        assert issuer["challenges"] == {
            "bind_host": "127.0.0.1",
            "http": {"disabled": True},
            "tls-alpn": {"alternate_port": 8443},
        }
        assert (issuer["ca"], issuer["email"]) == ("https://ca.example/directory", "ada@example.org")
        assert found["apps"]["http"]["servers"]["edge"]["automatic_https"] == {"disable": True}

    def test_browsers_remember_tls_only_where_an_authority_that_they_know_signed(self, tmp_path: Path) -> None:
        (tmp_path / "page-secret").write_text("known")
        page = {"EDGE_UI": "127.0.0.1:8401", "EDGE_UI_SECRET_FILE": str(tmp_path / "page-secret")}
        own = {"EDGE_ACME_CA_FILE": "/secrets/acme-ca.pem"}
        known = json.dumps({"Strict-Transport-Security": ["max-age=2592000"]})
        for settings, times in ((VARIABLES, 0), (ACME | own, 0), (ACME, 2)):
            text = json.dumps(configuration(read_settings(settings | page)))
            assert text.count(known) == times
            assert text.count("Strict-Transport-Security") == times

    def test_acme_adds_no_authority_to_those_that_the_machine_trusts(self) -> None:
        found = json.loads(json.dumps(configuration(read_settings(ACME))))
        assert found["apps"]["pki"] == {"certificate_authorities": {"local": {"install_trust": False}}}


WEB_PAGE = {
    "EDGE_UI": "https://127.0.0.1:8401",
    "EDGE_UI_CA_FILE": "/secrets/ca.pem",
    "EDGE_UI_NAME": "ui.calvinverse.internal",
    "EDGE_UI_SECRET_FILE": "/secrets/page-secret",
}


class TestWebPage:
    """With the web page behind it beside the service."""

    def test_it_is_verified_and_gets_what_the_service_does_not(self) -> None:
        service, page, _ = server(**WEB_PAGE)["routes"]
        assert "vars_regexp" in service["match"][0]
        assert page["match"] == [{"host": ["calvinverse.localhost"]}]
        proxy = page["handle"][-1]
        assert proxy["upstreams"] == [{"dial": "127.0.0.1:8401"}]
        assert proxy["transport"]["tls"]["server_name"] == "ui.calvinverse.internal"
        given, known = (one["handle"][-1]["headers"]["request"]["set"] for one in (page, service))
        assert given == {**known, SECRET_HEADER: ["{file./secrets/page-secret}"]}
        assert proxy["flush_interval"] == -1

    def test_every_route_is_for_its_name_or_ends_the_connection(self) -> None:
        found = server(**WEB_PAGE)
        for routes in (found["routes"], found["errors"]["routes"]):
            *known, rest = routes
            assert [one["match"][0]["host"] for one in known] == [["calvinverse.localhost"]] * len(known)
            assert rest == {"handle": [{"handler": "static_response", "abort": True}]}

    @pytest.mark.parametrize(
        "changed",
        [
            {"EDGE_UI": "https://127.0.0.1"},
            {"EDGE_UI": "http://127.0.0.1:8401"},
            {"EDGE_UI": "{env.HOME}:8401"},
            {"EDGE_UI_CA_FILE": ""},
            {"EDGE_UI_NAME": "ui"},
            {"EDGE_UI_SECRET_FILE": ""},
        ],
    )
    def test_what_is_wrong_is_named(self, changed: dict[str, str]) -> None:
        with pytest.raises(InvalidSettings, match="EDGE_UI"):
            read_settings(VARIABLES | WEB_PAGE | changed)

    def test_without_one_everything_goes_to_the_service(self) -> None:
        assert read_settings(VARIABLES).web_page is None
        assert len(server()["routes"]) == 2
