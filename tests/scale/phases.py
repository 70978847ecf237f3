"""What is done to a site, and what each part of it costs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from environments.client import Filters
from environments.stores.postgres import open_postgres
from environments.wire.environments import CreateRequest
from environments.wire.tokens import TokenRequest
from tests.scale.model import Load, Split
from tests.scale.site import WHOLE, Site, write_event
from tests.scale.streams import OpenStreams

QUIET_SECONDS = 15.0
DEPLOYMENTS = 40
READS = 150
STREAMS = 100
EVENTS = 150
PAGE = 50
MIX_SECONDS = 20.0
MIX_EACH_SECOND = {"create": 1.5, "show": 10.0, "page": 4.0}
"""What the mixed run does in a second."""

OWNERS = 20


@dataclass(frozen=True)
class Used:
    """By one phase: `cores` are seconds of processor time."""

    seconds: float
    cores: Split
    transactions: int
    events: int
    commits: int
    """Transactions that wrote events."""

    def each(self, count: float) -> Split:
        """Processor time of one of so many."""
        return self.cores * (1 / count)


class Watch:
    """Counts what is used while its block runs."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.used = Used(0, Split(), 0, 0, 0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """What happens within the block is counted."""
        before = self._site.counts()
        yield
        after = self._site.counts()
        row = self._site.connection.execute(
            "SELECT count(*), count(DISTINCT xmin::text) FROM events WHERE id > %s", [before.last_event]
        ).fetchone()
        assert row is not None
        self.used = Used(
            after.at - before.at,
            after.cores - before.cores,
            after.transactions - before.transactions,
            int(str(row[0])),
            int(str(row[1])),
        )


def quiet(site: Site, seconds: float = QUIET_SECONDS) -> Used:
    """Nothing happens."""
    watch = Watch(site)
    with watch.running():
        time.sleep(seconds)
    return watch.used


def deploy(site: Site, count: int = DEPLOYMENTS) -> Used:
    """So many creates at once, and then so many destroys: twice as many deployments."""
    names = [f"made-{number}" for number in range(count)]
    watch = Watch(site)
    with watch.running():
        for name in names:
            site.api.client.create(CreateRequest(name=name, template="five"))
        site.until_nothing_is_left()
        for name in names:
            site.api.client.destroy(name)
        site.until_nothing_is_left()
    return watch.used


def show(site: Site, count: int = READS) -> Used:
    """One environment after another, over one kept connection."""
    watch = Watch(site)
    site.api.client.environment("bench-0000")
    with watch.running():
        for number in range(count):
            site.api.client.environment(f"bench-{number % WHOLE:04}")
    return watch.used


def pages(site: Site, count: int = READS) -> Used:
    """First pages of the overview, with how many there are of each state."""
    watch = Watch(site)
    site.api.client.environments(limit=PAGE)
    with watch.running():
        for _ in range(count):
            found = site.api.client.environments(limit=PAGE)
            site.api.client.overview(Filters())
            assert len(found) == PAGE
    return watch.used


@contextmanager
def open_streams(site: Site, count: int = STREAMS) -> Iterator[OpenStreams]:
    """So many streams, each with a token of its own that sees everything."""
    client = site.api.client
    wanted = [TokenRequest(owner=f"viewer-{number % OWNERS}", role="admin", ttl="1h") for number in range(count)]
    tokens = [client.create_token(request).secret for request in wanted]
    assert site.api.ca_file is not None
    with OpenStreams(site.api.port, site.api.ca_file, tokens) as streams:
        time.sleep(3)
        yield streams


def happen(site: Site, count: int = EVENTS, each_second: float = 15.0) -> Used:
    """So many commits with one event each."""
    database = open_postgres(site.database, site.postgres.password_file)
    watch = Watch(site)
    try:
        with watch.running():
            begin = time.monotonic()
            for number in range(count):
                write_event(database)
                time.sleep(max(0.0, begin + (number + 1) / each_second - time.monotonic()))
            time.sleep(1)
    finally:
        database.close()
    return watch.used


def mixed(site: Site) -> tuple[Used, Load]:
    """Everything at the same time, at a fixed pace; what was used, and what really happened."""
    client, done = site.api.client, dict.fromkeys(MIX_EACH_SECOND, 0)
    environments = site.environments()
    watch = Watch(site)
    with open_streams(site), watch.running():
        begin = time.monotonic()
        while (now := time.monotonic() - begin) < MIX_SECONDS:
            kind = min(done, key=lambda each: (done[each] + 1) / MIX_EACH_SECOND[each])
            time.sleep(max(0.0, (done[kind] + 1) / MIX_EACH_SECOND[kind] - now))
            match kind:
                case "create":
                    client.create(CreateRequest(name=f"mixed-{done[kind]}", template="five"))
                case "show":
                    client.environment(f"bench-{done[kind] % WHOLE:04}")
                case _:
                    client.environments(limit=PAGE)
                    client.overview(Filters())
            done[kind] += 1
        site.until_nothing_is_left()
    seconds = watch.used.seconds
    rates = {name: count / seconds for name, count in done.items()}
    load = Load(environments, len(site.workers), STREAMS, rates["create"], rates["show"], rates["page"])
    return watch.used, load
