"""Attack 13: streams, bodies and lists have an end."""

import http.client
import json
import threading
import time

from tests.support.attack_harness import Person, refused

STREAMS = 150


def test_nobody_opens_streams_without_end(mallory: Person, alice: Person) -> None:
    opened: list[http.client.HTTPConnection] = []
    codes: list[int] = []
    try:
        for _ in range(STREAMS):
            connection = mallory.connection(30)
            opened.append(connection)
            connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {mallory.token}"})
            codes.append(connection.getresponse().status)
        assert 429 in codes
        assert codes.count(200) <= 100
        with alice.http.stream("GET", "/v1/events", timeout=30) as response:
            assert response.status_code == 200
    finally:
        for connection in opened:
            connection.close()


def test_a_body_in_crumbs_costs_no_more_than_one_in_a_piece(mallory: Person, alice: Person) -> None:
    """A body of 200 KB, a byte at a time: quadratic summing would take a core for minutes."""
    body = json.dumps({"name": "crumbs", "template": "attack-notes", "parameters": {"message": "x" * 200_000}}).encode()

    def send() -> None:
        connection = mallory.connection(120)
        connection.putrequest("POST", "/v1/environments")
        for name, value in (
            ("Authorization", f"Bearer {mallory.token}"),
            ("Content-Type", "application/json"),
            ("Transfer-Encoding", "chunked"),
        ):
            connection.putheader(name, value)
        connection.endheaders()
        chunk = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        connection.send(chunk + b"0\r\n\r\n")
        connection.getresponse().read()
        connection.close()

    thread = threading.Thread(target=send)
    thread.start()
    slowest = 0.0
    while thread.is_alive():
        began = time.monotonic()
        assert alice.http.get("/self/info", timeout=60).status_code == 200
        slowest = max(slowest, time.monotonic() - began)
        thread.join(0.2)
    assert slowest < 15
    shown = mallory.http.get("/v1/environments/crumbs")
    if shown.status_code == 200:
        mallory.destroy("crumbs")


def test_no_list_is_longer_than_it_may_be(mallory: Person) -> None:
    for path in ("/v1/environments?limit=100000", "/v1/environments/none/events?limit=100000"):
        assert refused(mallory.http.get(path)) in ("invalid_input", "unknown_environment")


def test_a_body_that_is_too_large_is_refused(mallory: Person) -> None:
    body = {"name": "large", "template": "attack-notes", "parameters": {"message": "x" * 2_000_000}}
    assert refused(mallory.http.post("/v1/environments", json=body)) == "request_too_large"


def test_deep_and_strange_values_are_refused_in_words(mallory: Person) -> None:
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    for text in (deep, "[" * 100_000, '{"name": "\\ud800", "template": "x"}', '{"name": 1e400}', "\x00", "null"):
        response = mallory.http.post(
            "/v1/environments", content=text.encode(), headers={"Content-Type": "application/json"}
        )
        assert response.status_code in (400, 413, 422), (text[:40], response.status_code, response.text[:300])
