"""Live updates: one thread reads the service's events, one fetches what has changed; both post messages."""

import threading
from collections.abc import Callable

from textual.message import Message

from environments.client import Client, Connected, Disconnected, EventStream
from environments.domain.environment import Event, EventType
from environments.domain.errors import CalvinverseError, NotFound, ServiceUnavailable, Unauthenticated
from environments.wire.environments import EnvironmentView
from tui.background import unexpected

COALESCE = 0.05
"""Seconds between two fetches: changes in between are fetched together."""
MANY = 8
"""More changed environments than this are fetched as one list."""
POLL = 30.0
"""Seconds after which the list is fetched without an event, in case one was missed."""
RECONNECT = 3.0
"""Seconds before the next attempt when the stream can't reconnect by its own means."""


class Listed(Message):
    """All environments; the service answers."""

    def __init__(self, views: list[EnvironmentView]) -> None:
        super().__init__()
        self.views = views


class Changed(Message):
    """One environment with its newest deployment."""

    def __init__(self, view: EnvironmentView) -> None:
        super().__init__()
        self.view = view


class Gone(Message):
    """An environment that no longer exists, or that the user may no longer see."""

    def __init__(self, id: str) -> None:
        super().__init__()
        self.id = id


class Happened(Message):
    """Events are ready in `Live.take`."""


class Away(Message):
    """The service can't be reached; `again_in` seconds until the next attempt."""

    def __init__(self, error: CalvinverseError, again_in: float) -> None:
        super().__init__()
        self.error = error
        self.again_in = again_in


class Live:
    """Keeps a connection to the service for as long as it runs, through restarts and moves of the service.

    `connect` makes a client from the present context. It is called again when the token is refused, and when the
    service is away, since `doit deploy` may have moved it.
    """

    def __init__(self, connect: Callable[[], Client], post: Callable[[Message], object]) -> None:
        self._connect = connect
        self._post = post
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._stream: EventStream | None = None
        self._connected = False
        self._dirty: set[str] = set()
        self._everything = False
        self._happened: list[Event] = []
        self.ended = False
        """Whether ended environments are listed, too."""
        self.focus: str | None = None
        """The environment whose steps are shown."""

    def start(self) -> None:
        """Starts both threads."""
        for target in (self._read, self._fetch):
            threading.Thread(target=target, name=target.__name__, daemon=True).start()

    def stop(self) -> None:
        """Stops both threads and closes the connection; waits for neither."""
        self._stopped.set()
        self._wake.set()
        with self._lock:
            client, stream = self._client, self._stream
        if stream is not None:
            stream.close()
        if client is not None:
            client.close()

    def client(self) -> Client:
        """The client, for calls of others. Raises `ServiceUnavailable` while there is none."""
        with self._lock:
            if self._client is None:
                raise ServiceUnavailable("The service isn't connected yet.")
            return self._client

    def reload(self) -> None:
        """Fetches the whole list soon."""
        self._want(everything=True)

    def touch(self, id: str) -> None:
        """Fetches one environment soon."""
        self._want(id)

    def take(self) -> list[Event]:
        """The events that have happened since the last call, oldest first."""
        with self._lock:
            happened, self._happened = self._happened, []
            return happened

    # --- reading events ----------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except CalvinverseError as error:
                self._lost(error, RECONNECT)
            except Exception as error:  # noqa: BLE001  # a fault of ours: shown as the reason
                self._lost(unexpected(error), RECONNECT)
            else:
                continue
            self._stopped.wait(RECONNECT)

    def _follow(self) -> None:
        """Reads until the stream ends for good, or the service has moved."""
        client = self._connect()
        stream = client.events()
        with self._lock:
            self._client, self._stream = client, stream
        try:
            for item in stream:
                if self._stopped.is_set():
                    return
                if isinstance(item, Connected):
                    self._connected = True
                    self._want(everything=True)
                elif isinstance(item, Disconnected):
                    self._lost(item.error, item.again_in)
                    if self._moved(client.address):
                        return
                else:
                    self._note(item)
        finally:
            stream.close()
            client.close()

    def _moved(self, address: str) -> bool:
        """Whether the context names another address now."""
        candidate = self._connect()
        try:
            return candidate.address != address
        finally:
            if candidate is not self._client:
                candidate.close()

    def _lost(self, error: CalvinverseError, again_in: float) -> None:
        self._connected = False
        if not self._stopped.is_set():
            self._post(Away(error, again_in))

    def _note(self, event: Event) -> None:
        with self._lock:
            first = not self._happened
            self._happened.append(event)
        if first:
            self._post(Happened())
        if event.type is not EventType.LOG:
            self._want(event.environment_id)

    # --- fetching what has changed -----------------------------------------------------------------------------------

    def _want(self, *ids: str, everything: bool = False) -> None:
        with self._lock:
            self._dirty.update(ids)
            self._everything = self._everything or everything
        self._wake.set()

    def _fetch(self) -> None:
        while not self._stopped.is_set():
            told = self._wake.wait(POLL)
            self._wake.clear()
            with self._lock:
                dirty, self._dirty = self._dirty, set()
                everything, self._everything = self._everything or not told or len(dirty) > MANY, False
                client = self._client
            if client is None or not self._connected or self._stopped.is_set():
                continue
            if everything and self.focus is not None:
                dirty = {self.focus}
            elif everything:
                dirty = set()
            try:
                if everything:
                    self._tell(Listed(client.environments(ended=self.ended)))
                for id in sorted(dirty):
                    self._fetch_one(client, id)
            except CalvinverseError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001  # such as a client closed meanwhile: shown, tried again
                self._failed(unexpected(error))
            self._stopped.wait(COALESCE)

    def _fetch_one(self, client: Client, id: str) -> None:
        try:
            self._tell(Changed(client.environment(id)))
        except NotFound:
            self._tell(Gone(id))

    def _failed(self, error: CalvinverseError) -> None:
        """A fetch failed while events still arrive: reports it, and fetches everything again after a while.

        When the token is refused, the other thread connects again, with the token that the context has by then.
        """
        if not self._connected or self._stopped.is_set():
            return
        self._post(Away(error, RECONNECT))
        stream = self._stream
        if isinstance(error, Unauthenticated) and stream is not None:
            self._connected = False
            self._stopped.wait(RECONNECT)
            stream.close()
            return
        self._stopped.wait(RECONNECT)
        self._want(everything=True)

    def _tell(self, message: Message) -> None:
        """Posts an answer, unless the connection was lost meanwhile: the answer would say that the service is there."""
        if self._connected and not self._stopped.is_set():
            self._post(message)
