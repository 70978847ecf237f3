"""Finding tokens in an OpenBao that was killed while it made one: it lists an accessor of nothing from then on."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import BackendDenied
from environments.providers.backend.connections import Connections, Endpoint, TokenFile
from environments.providers.vault import logins_client
from environments.providers.vault.client import VaultClient

DENIED = {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
LOGIN = {"path": "auth/jwt-nomad/login", "display_name": "jwt-nomad-demo"}
OWN = {"path": "auth/jwt-nomad/login", "display_name": "jwt-nomad-calvinverse"}


@contextmanager
def openbao(
    known: dict[str, dict[str, str]], listed: list[str], *, entity: bool = True
) -> Iterator[tuple[str, list[str]]]:
    """Answers as OpenBao 2.7 does when it is asked for tokens: its address, and the accessors that were asked for.

    `entity`: whether somebody has ever logged in there under the name.
    """
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("/sys/auth"):
                self.answer(200, {"data": {f"{mount}/": {"accessor": mount} for mount in ("jwt-nomad", "token")}})
            else:
                self.answer(200, {"data": {"accessor": "own"}})

        def do_LIST(self) -> None:
            self.answer(200, {"data": {"keys": listed}})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if "entity_alias" in body:
                self.answer(200, {"auth": {"accessor": "made", "client_token": "a new token"}})
                return
            if "alias_name" in body:
                self.answer(200, {"data": {"id": "entity"}} if entity else {})
                return
            accessor = body["accessor"]
            asked.append(accessor)
            self.answer(*((200, {"data": known[accessor]}) if accessor in known else (403, DENIED)))

        def answer(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def client(address: str, folder: Path) -> VaultClient:
    token = folder / "token"
    token.write_text("a-token")
    endpoint = Endpoint(address=address, authentication=TokenFile(token_file=token))
    return VaultClient(lambda: Connections(vault=endpoint))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody makes tokens here."""
    monkeypatch.setattr(logins_client, "_SETTLED", 0.0)


def test_a_token_that_is_just_being_made_is_not_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenBao would revoke it: it has no lease yet. What is known already isn't waited for."""
    monkeypatch.setattr(logins_client, "_SETTLED", 0.3)
    listed = ["job"]
    with openbao({"own": OWN, "job": LOGIN, "late": LOGIN}, listed) as (address, asked):
        logins = client(address, tmp_path).logins
        began = time.monotonic()
        assert logins.find("jwt-nomad", "demo").accessors == ("job",)
        assert time.monotonic() - began >= 0.3
        waits: list[float] = []
        monkeypatch.setattr("environments.providers.vault.logins_client.time.sleep", waits.append)
        logins.find("jwt-nomad", "demo")
        listed.append("late")
        assert logins.find("jwt-nomad", "demo").accessors == ("job", "late")
        assert (waits[0], round(waits[1], 1)) == (0.0, 0.3)
        assert asked == ["job", "late"]


def test_where_nobody_has_ever_logged_in_nothing_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins_client, "_SETTLED", 3600.0)
    with openbao({"own": OWN, "job": LOGIN}, ["job"], entity=False) as (address, asked):
        assert client(address, tmp_path).logins.find("jwt-nomad", "demo").accessors == ()
        assert asked == []


def test_what_was_noticed_in_time_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins_client, "_SETTLED", 0.3)
    with openbao({"own": OWN, "job": LOGIN}, ["job"]) as (address, _):
        logins = client(address, tmp_path).logins
        logins.notice()
        time.sleep(0.3)
        waits: list[float] = []
        monkeypatch.setattr("environments.providers.vault.logins_client.time.sleep", waits.append)
        assert logins.find("jwt-nomad", "demo").accessors == ("job",)
        assert waits == [0.0]


def test_a_token_of_our_own_need_not_be_looked_up(tmp_path: Path) -> None:
    with openbao({}, ["made"]) as (address, asked):
        logins = client(address, tmp_path).logins
        assert logins.issue("demo", 60, {}).accessor == "made"
        assert logins.find("token", "demo").accessors == ("made",)
        assert asked == []


def test_an_accessor_of_nothing_hides_no_other_token(tmp_path: Path) -> None:
    with openbao({"own": OWN, "job": LOGIN}, ["broken", "job", "own"]) as (address, _):
        assert client(address, tmp_path).logins.find("jwt-nomad", "demo").accessors == ("job",)


def test_a_credential_that_may_not_ask_is_told(tmp_path: Path) -> None:
    with openbao({}, ["broken", "job", "own"]) as (address, _), pytest.raises(BackendDenied, match="look up a token"):
        client(address, tmp_path).logins.find("jwt-nomad", "demo")


def test_an_accessor_that_stays_without_a_token_is_asked_for_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each such question makes the service log in once more; while the token may still be made, it has to be asked."""
    with openbao({"own": OWN, "job": LOGIN}, ["broken", "job"]) as (address, asked):
        logins = client(address, tmp_path).logins
        logins.find("jwt-nomad", "demo")
        logins.find("jwt-nomad", "demo")
        assert asked.count("broken") == 2
        monkeypatch.setattr(logins_client, "_BEING_MADE", 0.0)
        logins.find("jwt-nomad", "demo")
        assert asked.count("broken") == 2
