"""A forge that delivers at a fixed pace, whatever the answers take: a process of its own.

`python -m tests.bench.forge_load` reads what to send from standard input and writes what became of it, both as JSON.
"""

import asyncio
import hashlib
import hmac
import json
import random
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from tests.support.webhook_payloads import payload

CONNECTIONS = 32
"""Kept connections; a delivery that finds none free waits, and its time goes on."""

PAYLOADS = (
    "pull_request_synchronized",
    "pull_request_synchronized",
    "pull_request_labelled",
    "pull_request_opened",
    "pull_request_closed",
)
"""What is delivered, in turns, about pull requests at random."""

_REPOSITORY, _BRANCH, _SHA, _NUMBER, _NOW = "bench/repository", "bench-branch", "bench-sha", 987_654_321, "bench-now"


@dataclass(frozen=True)
class Load:
    """So many deliveries a second for so long, to a webhook of kind `gitea`, of `repositories` and `branches`."""

    port: int
    ca_file: str
    path: str
    secret: str
    rate: float
    seconds: float
    repositories: int
    branches: int

    @property
    def count(self) -> int:
        """Deliveries."""
        return round(self.rate * self.seconds)


@dataclass(frozen=True)
class Answer:
    """Seconds from the moment that a delivery was due to its answer, the status, and the event that it became."""

    seconds: float
    status: int
    event: str


def main() -> None:
    """Sends what standard input says."""
    load = Load(**json.loads(sys.stdin.read()))
    print(json.dumps([asdict(answer) for answer in asyncio.run(_deliver(load))]))


async def _deliver(load: Load) -> list[Answer]:
    context = ssl.create_default_context(cafile=load.ca_file)
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await _Connection.open(load.port, context))
    bodies, dice, loop = [_template(name) for name in PAYLOADS], random.Random(1), asyncio.get_running_loop()
    begin, sent = loop.time() + 0.5, []
    for number in range(load.count):
        headers, template = bodies[number % len(bodies)]
        request = _request(load, number, headers, _filled(template, load, dice))
        due = begin + number / load.rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        sent.append(asyncio.create_task(_send(free, request, due)))
    return list(await asyncio.gather(*sent))


async def _send(free: "asyncio.Queue[_Connection]", request: bytes, due: float) -> Answer:
    connection = await free.get()
    try:
        status, body = await connection.exchange(request)
    finally:
        free.put_nowait(connection)
    seconds = asyncio.get_running_loop().time() - due
    told = json.loads(body)
    return Answer(seconds, status, told.get("event", "") if isinstance(told, dict) else "")


@dataclass(frozen=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext) -> "_Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        size = int(head.partition("content-length:")[2].partition("\r\n")[0])
        return int(head.split(" ", 2)[1]), await self.reader.readexactly(size)


def _template(name: str) -> tuple[dict[str, str], bytes]:
    """A recorded payload whose pull request, branch, commit and moment are placeholders."""
    given = payload("gitea", name)
    content = given.content
    content["number"] = content["pull_request"]["number"] = _NUMBER
    content["pull_request"]["updated_at"] = _NOW
    content["repository"]["full_name"] = _REPOSITORY
    for end in ("base", "head"):
        content["pull_request"][end]["repo"]["full_name"] = _REPOSITORY
    content["pull_request"]["head"] |= {"ref": _BRANCH, "sha": _SHA}
    return given.headers, json.dumps(content, indent=2).encode()


def _filled(template: bytes, load: Load, dice: random.Random) -> bytes:
    values = {
        _REPOSITORY: f"acme/shop-{dice.randrange(load.repositories)}",
        _BRANCH: f"branch-{dice.randrange(load.branches)}",
        _SHA: f"{dice.getrandbits(160):040x}",
        str(_NUMBER): str(dice.randrange(1, 10_000)),
        _NOW: datetime.now(UTC).isoformat(),
    }
    for placeholder, value in values.items():
        template = template.replace(placeholder.encode(), value.encode())
    return template


def _request(load: Load, number: int, headers: dict[str, str], body: bytes) -> bytes:
    delivery = f"bench-{time.time_ns()}-{number}"
    signature = hmac.new(load.secret.encode(), body, hashlib.sha256).hexdigest()
    more = {"Host": f"127.0.0.1:{load.port}", "Content-Length": str(len(body)), "X-Gitea-Signature": signature}
    lines = (headers | more | {"X-Gitea-Delivery": delivery}).items()
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"POST {load.path} HTTP/1.1\r\n{head}\r\n".encode() + body


if __name__ == "__main__":
    main()
