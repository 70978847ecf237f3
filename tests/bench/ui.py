"""`doit bench:ui`: what the web page costs: its overview with 10,000 environments, its streams, its bytes.

A real service process on SQLite and a real process of the page, both with TLS, asked over loopback.
"""

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx2
from playwright.sync_api import Page

from environments.client import Filters
from environments.pages.requests import SESSION_COOKIE
from environments.wire.environments import ExtendRequest
from environments.wire.tokens import TokenRequest
from images.assets import ensure_assets
from images.report import Report, console
from tests.bench.engine_queue import used
from tests.bench.figures import Figure, Sample
from tests.bench.memory import resident
from tests.bench.reading import fill
from tests.bench.run import WEB
from tests.bench.telling import Run
from tests.support.authorities import make_authority
from tests.support.browser import Visitor, browser, driver
from tests.support.service_process import ServiceProcess, free_port

ENVIRONMENTS = 10_000
PAGES = 150
CHANGES = 60
PEOPLE, STREAMS_EACH = 20, 10
IDLE_SECONDS = 30
REPLAYS = 3
PAINTS = 20

_PAINT = 'performance.getEntriesByName("first-contentful-paint")'
"""W3C Paint Timing: milliseconds since the navigation began."""

PATHS = {
    "the first page": "/",
    "a search": "/?q=bench-12",
    "what needs somebody": "/?needs=me",
    "by time left": "/?sort=left",
    "of one owner, by name": "/?owner=owner-7&sort=name",
}


def main(environments: int = ENVIRONMENTS) -> bool:
    """Measures, prints and compares the figures, and keeps them if there were enough environments."""
    report = console()
    run = Run("bench:ui", report)
    with tempfile.TemporaryDirectory(prefix="calvinverse-bench-") as folder:
        figures, samples = _measure(Path(folder), environments, report)
    run.tell(figures, samples, too_few="" if environments >= ENVIRONMENTS else f"{ENVIRONMENTS} environments")
    return True


def _measure(folder: Path, environments: int, report: Report) -> tuple[list[Figure], list[Sample]]:
    authority = make_authority()
    service = ServiceProcess(folder / "service").secured(authority)
    report(f"Write {environments} environments into a database.")
    names = fill(service, WEB, environments)
    try:
        service.start()
        token = service.token_file.read_text().strip()
        certificate = authority.sign(folder / "ui.pem", "127.0.0.1")
        assert service.ca_file is not None
        with _page(folder, service, certificate) as (pid, port):
            trust = ssl.create_default_context(cafile=service.ca_file)
            report("Pages.")
            samples, size = _pages(port, trust, token)
            report("First paint.")
            painted = _painted(port, token)
            report("Changes.")
            changes = asyncio.run(_changes(port, trust, token, service, names))
            report(f"{PEOPLE * STREAMS_EACH} idle streams.")
            page_share, service_share = asyncio.run(_idle(port, trust, service, pid))
            report("All events once more.")
            grown = [asyncio.run(_replay(port, trust, token, service, pid)) for _ in range(REPLAYS)]
    finally:
        service.stop()
    first = samples[0]
    return [
        Figure.of(f"page of 50 of {environments} environments, at the server, p95", first, bar=60),
        Figure("page of 50 with its files, compressed, all that is sent", size / 1024, 60, "KB", noise=0),
        Figure.of("first paint in a browser without a cache, median", painted, 0.5, bar=500),
        Figure.of("from a change to the browser's connection, p95", changes, bar=300),
        Figure(f"{PEOPLE * STREAMS_EACH} idle streams: share of a core, the page", page_share * 100, 5, "%"),
        Figure(f"{PEOPLE * STREAMS_EACH} idle streams: share of a core, the service", service_share * 100, unit="%"),
        *(
            Figure(f"memory of the page after {number} times all {25 * environments:,} events", megabytes, unit="MB")
            for number, megabytes in enumerate(grown, 1)
        ),
    ], [*samples, painted, changes]


@contextmanager
def _page(folder: Path, service: ServiceProcess, certificate: Path) -> Iterator[tuple[int, int]]:
    """Process id and port of the page."""
    port, log = free_port(), folder / "ui.log"
    settings = {
        "PORT": port,
        "SERVICE": service.address,
        "SERVICE_CA_FILE": service.ca_file,
        "CERTIFICATE_FILE": certificate,
        "KEY_FILE": certificate,
        "ADDRESS": f"https://127.0.0.1:{port}",
        "ASSETS": ensure_assets(console()) / "served",
    }
    given = {f"CALVINVERSE_UI_{name}": str(value) for name, value in settings.items()}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "environments.ui"], env={**os.environ, **given}, stdout=file, stderr=file
        )
    try:
        end = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _pages(port: int, trust: ssl.SSLContext, token: str) -> tuple[list[Sample], int]:
    """How long pages take, the first page first; and the bytes of the first page and its files."""
    headers = {"Cookie": f"{SESSION_COOKIE}={token}", "Sec-Fetch-Site": "none", "Accept-Encoding": "gzip"}
    samples, size = [], 0
    with httpx2.Client(base_url=f"https://127.0.0.1:{port}", verify=trust, headers=headers, timeout=60) as http:
        for name, path in PATHS.items():
            taken = []
            for _ in range(PAGES):
                began = time.perf_counter()
                answer = http.get(path)
                taken.append(time.perf_counter() - began)
                assert answer.status_code == 200, answer.text
            samples.append(Sample(f"the overview: {name}", taken[5:]))
        page = http.get("/")
        for path in ["/", *re.findall(r'(?:href|src)="(/ui/[^"]*)"', page.text)]:
            with http.stream("GET", path) as answer:
                size += sum(len(chunk) for chunk in answer.iter_raw())
                size += sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
    return samples, size


def _painted(port: int, token: str) -> Sample:
    """From the request for the first page to its first content on the screen, each time with an empty cache."""
    taken, address = [], f"https://127.0.0.1:{port}"
    cookie = {"name": SESSION_COOKIE, "value": token, "url": address, "secure": True, "httpOnly": True}
    with driver() as playwright, browser(playwright) as running:
        for _ in range(PAINTS):
            visitor = Visitor(running)
            visitor.context.add_cookies([cookie])  # type: ignore[list-item]
            visitor.page.goto(f"{address}/")
            taken.append(_first_paint(visitor.page))
            visitor.close()
    return Sample("the overview: first content on the screen, without a cache", taken)


def _first_paint(page: Page) -> float:
    """Seconds. The page's policy forbids what waits for it inside of the page."""
    end = time.monotonic() + 60
    while not (entries := page.evaluate(f"{_PAINT}.map(entry => entry.startTime)")):
        assert time.monotonic() < end, "nothing was painted"
        page.wait_for_timeout(10)
    return float(entries[0]) / 1000


class _Stream:
    """One stream over a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, trust: ssl.SSLContext, token: str, path: str) -> "_Stream":
        """Opens one, up to the end of its headers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {SESSION_COOKIE}={token}\r\n"
            "Accept: text/event-stream\r\nHX-Request: true\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.partition(b"\r\n")[0], head
        return cls(reader, writer)

    async def until(self, text: bytes) -> None:
        """Reads up to a line that holds the text."""
        async with asyncio.timeout(300):
            while text not in (line := await self.reader.readline()):
                assert line, "the stream ended"

    async def until_place(self, place: int) -> None:
        """Reads until all events up to that one have passed."""
        async with asyncio.timeout(900):
            while not ((line := await self.reader.readline()).startswith(b"id: ") and int(line[4:]) >= place):
                assert line, "the stream ended"

    async def aclose(self) -> None:
        """Closes it."""
        self._writer.close()


async def _changes(port: int, trust: ssl.SSLContext, token: str, service: ServiceProcess, names: list[str]) -> Sample:
    """From the moment that the service has answered a change until its row is at the browser's end of the stream."""
    shown = names[:50]
    ids = ",".join(f"env-{name}" for name in shown)
    taken = []
    stream = await _Stream.open(port, trust, token, f"/live?ids={ids}")
    await stream.until(f"#env-env-{shown[-1]}".encode())
    for number in range(CHANGES):
        name = shown[number % len(shown)]
        request = ExtendRequest(ttl=f"{9 + number // len(shown)}h")
        waiting = asyncio.create_task(stream.until(f"#env-env-{name}".encode()))
        await asyncio.to_thread(service.client.extend, name, request)
        began = time.perf_counter()
        await waiting
        taken.append(max(time.perf_counter() - began, 0.0))
        await asyncio.sleep(0.05 * (number % 7))
    await stream.aclose()
    return Sample("a change, from the service's answer to the row on the stream", taken)


async def _idle(port: int, trust: ssl.SSLContext, service: ServiceProcess, pid: int) -> tuple[float, float]:
    """The share of a core that the page, and the service, take while nothing happens."""
    async with AsyncExitStack() as open_ones:
        before = [used(pid), used(service.pid)]
        await asyncio.sleep(IDLE_SECONDS)
        alone = (used(service.pid) - before[1]) / IDLE_SECONDS
        for number in range(PEOPLE):
            request = TokenRequest(owner=f"owner-{number}", note="bench", ttl="1h")
            token = (await asyncio.to_thread(service.client.create_token, request)).secret
            for _ in range(STREAMS_EACH):
                stream = await _Stream.open(port, trust, token, f"/live?ids=env-bench-{number:04}")
                await stream.until(b"id: ")
                open_ones.push_async_callback(stream.aclose)
                await asyncio.sleep(0.05)
        await asyncio.sleep(5)
        began, before = time.monotonic(), [used(pid), used(service.pid)]
        await asyncio.sleep(IDLE_SECONDS)
        seconds = time.monotonic() - began
        shares = [(now - then) / seconds for now, then in zip([used(pid), used(service.pid)], before, strict=True)]
    return shares[0], max(shares[1] - alone, 0.0)


async def _replay(port: int, trust: ssl.SSLContext, token: str, service: ServiceProcess, pid: int) -> float:
    """Resident megabytes of the page after all events have passed through a stream."""
    newest = (await asyncio.to_thread(service.client.overview, Filters(ids=""))).events_after
    stream = await _Stream.open(port, trust, token, "/live?ids=env-bench-0000&after=1")
    await stream.until_place(newest)
    await stream.aclose()
    return resident(pid) / 1024**2
