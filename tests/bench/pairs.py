"""Create and destroy of `web`: through the service and by the plain script, in turns.

Both are watched in the same way. The moment at which a job is registered is the one that Nomad itself notes in the job
(`SubmitTime`, nanoseconds of this machine's clock). Ready and destroyed are, for the service, the moments at which a
client that follows its events learns of it; for the script, its return.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from environments.client import Client, Disconnected
from environments.domain.environment import Event, EventType
from environments.domain.lifecycle import State
from environments.providers.backend.connections import Connections
from environments.wire.environments import CreateRequest
from tests.bench.plain import Plain
from tests.support.part_client import part_client
from tests.support.service_process import ServiceProcess

MESSAGE = "Hello from the bench"
_LIMIT = 120.0
"""Seconds that one create or destroy may take."""

_FINAL = frozenset({State.READY, State.FAILED, State.DESTROYED, State.DESTROY_FAILED})


@dataclass(frozen=True)
class Times:
    """Seconds from the request: to the job registered, to ready; and from the request to destroy to destroyed."""

    registered: float
    ready: float
    destroyed: float


class Follower:
    """A client of the service's event stream: tells when an environment got into a state that lasts."""

    def __init__(self, client: Client) -> None:
        self._stream = client.events()
        self._reached: queue.SimpleQueue[tuple[str, State, float]] = queue.SimpleQueue()
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._read, name="follower", daemon=True)
        self._thread.start()
        assert self._connected.wait(10), "the stream of events doesn't open"

    def close(self) -> None:
        """Ends the stream."""
        self._stream.close()
        self._thread.join(timeout=5)

    def wait(self, name: str, state: State) -> float:
        """The moment (`time.time()`) at which the environment was seen in that state, the next one that lasts."""
        while True:
            seen, reached, moment = self._reached.get(timeout=_LIMIT)
            if seen == name:
                assert reached is state, f"{name} is {reached.value} and not {state.value}"
                return moment

    def _read(self) -> None:
        for item in self._stream:
            moment = time.time()
            self._connected.set()
            assert not isinstance(item, Disconnected), item
            if isinstance(item, Event) and item.type is EventType.ENVIRONMENT_STATE:
                state = State(item.data["state"])
                if state in _FINAL:
                    self._reached.put((item.environment, state, moment))


class Pairs:
    """Measures pairs; `report` is told of each."""

    def __init__(
        self, service: ServiceProcess, connections: Connections, template: Path, report: Callable[[str], object]
    ) -> None:
        self._client = service.client
        self._follower = Follower(self._client)
        self._plain = Plain(connections, template)
        self._report = report
        self._nomad = part_client(connections, "nomad", timeout=10)

    def close(self) -> None:
        """Closes all connections."""
        self._follower.close()
        self._plain.close()
        self._nomad.close()

    def run(self, count: int) -> tuple[list[Times], list[Times]]:
        """Ours and theirs, `count` each, after one pair that isn't counted. Who begins changes from pair to pair."""
        ours: list[Times] = []
        theirs: list[Times] = []
        self._ours("ours-warm")
        self._theirs("theirs-warm")
        for number in range(count):
            # Names of one length: nothing shall differ but who does the work.
            for mine in (True, False) if number % 2 == 0 else (False, True):
                if mine:
                    ours.append(self._ours(f"pair-{number:03}-a"))
                else:
                    theirs.append(self._theirs(f"pair-{number:03}-b"))
            self._report(f"pair {number + 1} of {count}: ours {_line(ours[-1])}; plain script {_line(theirs[-1])}")
        return ours, theirs

    def _ours(self, name: str) -> Times:
        began = time.time()
        self._client.create(CreateRequest(name=name, template="web", parameters={"message": MESSAGE}))
        ready = self._follower.wait(name, State.READY)
        registered = self._registered(name)
        ending = time.time()
        self._client.destroy(name)
        destroyed = self._follower.wait(name, State.DESTROYED)
        return Times(registered - began, ready - began, destroyed - ending)

    def _theirs(self, name: str) -> Times:
        began = time.time()
        self._plain.create(name, MESSAGE)
        ready = time.time()
        registered = self._registered(name)
        ending = time.time()
        self._plain.destroy(name)
        return Times(registered - began, ready - began, time.time() - ending)

    def _registered(self, name: str) -> float:
        response = self._nomad.get(f"/v1/job/web?namespace={name}")
        response.raise_for_status()
        job = response.json()
        assert job["Version"] == 0, "the job was registered more than once"
        submitted: int = job["SubmitTime"]
        return submitted / 1e9


def _line(times: Times) -> str:
    return f"{times.registered * 1000:.0f} / {times.ready * 1000:.0f} / {times.destroyed * 1000:.0f} ms"
