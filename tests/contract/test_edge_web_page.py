"""Which requests a real Caddy gives to the service, and which to the web page beside it, whatever they look like."""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from images.edge.app.configuration import CLIENT_HEADER, SECRET_HEADER, Limits
from images.edge.app.web_page_routes import SERVICE
from tests.support import http2_frames as h2
from tests.support.authorities import make_authority
from tests.support.edge_harness import (
    NAME,
    SECRET,
    Edge,
    Seen,
    Upstream,
    edge,
    read_all,
    receive,
    request,
    status,
)
from tests.support.service_process import free_port

SHORT = Limits(head=10.0, stalled=2.0, idle=2.0, answer=20.0)
"""A stream that says nothing for longer than `stalled` and `idle` has to go on all the same."""


OF_PAGE = "what the page passes on"


def beside(folder: Path, port: int) -> dict[str, str]:
    """An edge's variables for a web page at a port of loopback."""
    (folder / "page-secret").write_text(OF_PAGE)
    return {"EDGE_UI": f"127.0.0.1:{port}", "EDGE_UI_SECRET_FILE": str(folder / "page-secret")}


@dataclass
class Both:
    """An edge with the service and the web page behind it."""

    edge: Edge
    service: Upstream
    page: Upstream

    def seen(self) -> list[tuple[str, Seen]]:
        """All that has arrived anywhere."""
        return [("service", one) for one in self.service.seen] + [("page", one) for one in self.page.seen]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("edge")
    with (
        Upstream().running() as service,
        Upstream().running() as page,
        edge(folder, service.port, None, "", **beside(folder, page.port)) as running,
    ):
        yield Both(running, service, page)


@pytest.fixture(autouse=True)
def _nothing_seen(both: Both) -> None:
    both.service.seen.clear()
    both.page.seen.clear()


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        ("/", "page"),
        ("/environments/demo?x=/v1/", "page"),
        ("/live", "page"),
        ("/ui/health", "page"),
        ("/v1/environments", "service"),
        ("/v1/environments?a=b", "service"),
        ("/v1", "service"),
        ("/self/readiness", "service"),
        ("/sign-in?next=/", "service"),
        ("/sign-in/callback", "service"),
        ("/sessions/revoke", "service"),
        ("/account", "service"),
        ("/assets/style-0123456789abcdef.css", "service"),
        ("/ui/vault/identity/oidc/provider/calvinverse/authorize?a=b", "service"),
        # Alike, and not the same.
        ("/v1x/environments", "page"),
        ("/account/", "page"),
        ("/claims/x", "page"),
        ("/ui/vault/identity/oidc/provider/calvinverse/authorize/", "page"),
        ("/assets/style-0/x.css", "page"),
        # Spelt otherwise: what decides is what both of them see once it is decoded.
        ("/V1/environments", "page"),
        ("//v1/environments", "page"),
        ("/./v1/environments", "page"),
        ("/x/../v1/environments", "page"),
        ("/v1/../x", "service"),
        ("/v1/..%2fx", "service"),
        ("/v1%2fenvironments", "service"),
        ("/v1%2Fenvironments", "service"),
        ("/%76%31/environments", "service"),
        ("/%56%31/environments", "page"),
        ("/x/..%2fv1/environments", "page"),
        ("/%2e%2e/v1/environments", "page"),
        ("/%2fv1/environments", "page"),
        ("/v1;x/environments", "page"),
        ("/v1/environments;x=y", "service"),
        ("/;/v1/environments", "page"),
        ("/v1./environments", "page"),
        ("/v1%00/environments", "page"),
        ("/v1/%0a", "service"),
        ("/%0a/v1/environments", "page"),
        ("/v1%5cenvironments", "page"),
        ("/%c0%afv1/environments", "page"),
        ("/v1/environments%3fx", "service"),
        (f"https://{NAME}/v1/environments", "service"),
        (f"https://{NAME}/x", "page"),
        (f"https://{NAME}//v1/environments", "page"),
    ],
)
def test_a_path_reaches_the_one_that_it_is_of(both: Both, path: str, whose: str) -> None:
    assert status(both.edge.send(request(path))) == 200
    ((where, seen),) = both.seen()
    assert where == whose
    # It passes as it came.
    parts = urlsplit(path) if path.startswith("https:") else None
    assert seen.path == (path if parts is None else path.removeprefix(f"https://{NAME}"))
    assert bool(re.fullmatch(SERVICE, unquote(seen.path.partition("?")[0]), re.DOTALL)) == (whose == "service")


@pytest.mark.parametrize("path", ["/v1\\environments", "\\v1\\environments", "/%zz/v1", "v1/environments", "*", ""])
def test_what_is_no_path_reaches_no_part_of_the_service(both: Both, path: str) -> None:
    both.edge.send(request(path))
    assert [one for where, one in both.seen() if where == "service"] == []


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        ("/v1/environments", {"service"}),
        ("/x", {"page"}),
        ("/V1/environments", {"page"}),
        ("//v1/environments", {"page"}),
        ("/x/../v1/environments", {"page"}),
        ("/v1%2fenvironments", {"service"}),
        # These are no paths: whoever refuses them, the service doesn't see them.
        ("v1/environments", {"page"}),
        (f"https://{NAME}/v1/environments", {"page"}),
        ("*", {"page"}),
        ("", {"page"}),
    ],
)
def test_so_it_is_by_http2(both: Both, path: str, whose: set[str]) -> None:
    with both.edge.connect(alpn=("h2",)) as connection:
        wanted = {":method": "GET", ":scheme": "https", ":authority": NAME, ":path": path}
        connection.sendall(h2.preface() + h2.headers(1, wanted) + h2.goaway())
        read_all(connection)
    assert {where for where, _ in both.seen()} <= whose
    if path.startswith("/"):
        assert {where for where, _ in both.seen()} == whose


def test_while_ten_tabs_of_one_browser_are_open_their_pages_and_the_service_answer(both: Both) -> None:
    tabs, others = range(1, 21, 2), {21: "/environments/demo", 23: "/v1/environments"}
    texts = dict.fromkeys((*tabs, *others), b"")

    def ask(paths: Mapping[int, str]) -> bytes:
        common = {":method": "GET", ":scheme": "https", ":authority": NAME}
        return b"".join(h2.headers(stream, {**common, ":path": path}) for stream, path in paths.items())

    def read_until_all(streams: Iterable[int], text: bytes) -> None:
        while not all(text in texts[stream] for stream in streams):
            kind, stream, payload = h2.read_frame(connection)
            if kind == h2.DATA:
                texts[stream] += payload

    both.page.events[:] = [b"data: hello\n\n"]
    with both.edge.connect(alpn=("h2",)) as connection:  # a browser has one for all of its tabs
        assert connection.selected_alpn_protocol() == "h2", "over HTTP/1.1 the seventh tab would wait"
        connection.sendall(h2.preface() + ask(dict.fromkeys(tabs, "/events")))
        read_until_all(tabs, b"data: hello")
        connection.sendall(ask(others))
        read_until_all(others, b'"length"')
        both.page.events.append(b"data: still here\n\n")
        read_until_all(tabs, b"data: still here")
    assert Counter(where for where, _ in both.seen()) == {"page": len(tabs) + 1, "service": 1}


def test_two_paths_of_one_request_reach_nobody(both: Both) -> None:
    """Nor does one that a method in a header might change."""
    with both.edge.connect(alpn=("h2",)) as connection:
        wanted = {":method": "GET", ":scheme": "https", ":authority": NAME, ":path": "/x"}
        block = h2.headers(1, wanted, last=False) + h2.frame(
            h2.CONTINUATION, h2.END_HEADERS, 1, b"\x00\x05:path\x03/v1"
        )
        connection.sendall(h2.preface() + block + h2.goaway())
        read_all(connection)
    assert both.seen() == []


def test_both_get_the_client_and_their_secret_and_neither_gets_forged_ones(both: Both) -> None:
    forged = ("X-Forwarded-For: 192.0.2.1", f"{CLIENT_HEADER}: 192.0.2.1", f"{SECRET_HEADER}: evil", "Cookie: a=b")
    for path in ("/v1/x", "/x"):
        both.edge.send(request(path, *forged, "Last-Event-ID: 7"))
    for where, seen in both.seen():
        assert seen.header(CLIENT_HEADER) == ["127.0.0.1"]
        assert seen.header(SECRET_HEADER) == [SECRET if where == "service" else OF_PAGE]
        assert seen.header("Host") == [NAME]
        assert seen.header("Cookie") == ["a=b"]
        assert seen.header("Last-Event-ID") == ["7"]
        assert seen.header("X-Forwarded-For") == []
    assert len(both.seen()) == 2


def test_a_form_for_the_page_may_not_be_as_large_as_a_state_for_the_service(both: Both) -> None:
    large = b"a" * (2 * Limits().largest_form)
    lines = [f"Content-Length: {len(large)}"]
    assert status(both.edge.send(request("/v1/x", *lines, method="POST", body=large))) == 200
    answer = both.edge.send(request("/x", *lines, method="POST", body=large))
    assert status(answer) in (0, 413)
    assert b"application/problem+json" not in answer
    assert [where for where, _ in both.seen()] == ["service"]


def test_events_of_the_page_pass_as_they_come_however_long_it_says_nothing(tmp_path: Path) -> None:
    with Upstream().running() as service, Upstream().running() as page:
        with edge(tmp_path, service.port, SHORT, **beside(tmp_path, page.port)) as running:
            with running.connect() as connection:
                connection.sendall(request("/events", "Accept: text/event-stream"))
                receive(connection, b"\r\n\r\n")
                for number in range(2):
                    page.events.append(b"data: %d\n\n" % number)
                    receive(connection, b"data: %d\n\n" % number)
                    threading.Event().wait(3 * SHORT.stalled)
                page.events.append(b"data: last\n\n")
                receive(connection, b"data: last\n\n")
            assert page.ended.wait(60)
        assert service.seen == []


def test_a_page_that_is_away_is_a_sentence_in_a_page_and_the_service_goes_on(tmp_path: Path) -> None:
    with (
        Upstream().running() as service,
        edge(tmp_path, service.port, Limits(connecting=0.2), **beside(tmp_path, free_port())) as running,
    ):
        answer = running.send(request("/environments/demo"))
        assert status(running.send(request("/v1/environments"))) == 200
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == 503
    assert b"content-type: text/html" in head.lower()
    assert b"retry-after: 5" in head.lower()
    assert b"default-src 'none'" in head
    assert b"server:" not in head.lower()
    assert b"The web page is away at the moment. Load this address again in a few seconds." in body
    assert b"{" not in body
    assert [seen.path for seen in service.seen] == ["/v1/environments"]


def test_a_service_that_is_away_is_a_problem_as_before_and_the_page_goes_on(tmp_path: Path) -> None:
    with (
        Upstream().running() as page,
        edge(tmp_path, free_port(), Limits(connecting=0.2), **beside(tmp_path, page.port)) as running,
    ):
        assert status(running.send(request("/x"))) == 200
        answer = running.send(request("/v1/environments"))
    assert status(answer) == 502
    assert b"application/problem+json" in answer


PAGE = "ui.calvinverse.internal"


@pytest.mark.parametrize(
    ("names", "code"),
    [((PAGE,), 200), (("127.0.0.1", "provisioning.calvinverse.internal"), 503), (("localhost",), 503)],
    ids=["its own", "of another part", "of none"],
)
def test_only_a_page_with_the_right_certificate_gets_requests(
    tmp_path: Path, names: tuple[str, ...], code: int
) -> None:
    authority = make_authority("of the parts")
    (tmp_path / "parts-ca.pem").write_text(authority.pem)
    page = Upstream()
    with Upstream().running() as service, page.running(authority.sign(tmp_path / "page.pem", *names)):
        variables = beside(tmp_path, page.port) | {
            "EDGE_UI": f"https://127.0.0.1:{page.port}",
            "EDGE_UI_CA_FILE": str(tmp_path / "parts-ca.pem"),
            "EDGE_UI_NAME": PAGE,
        }
        with edge(tmp_path, service.port, Limits(connecting=0.2), **variables) as running:
            answer = running.send(request("/", "Cookie: __Host-calvinverse=secret"))
    assert status(answer) == code
    assert len(page.seen) == (code == 200)
    assert service.seen == []
