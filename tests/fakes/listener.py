"""A reader of a stream of events in a thread of its own."""

import threading
import time
from collections.abc import Callable

from environments.client import Connected, EventStream, StreamItem
from environments.domain.environment import Event, EventType


class Listener:
    """Reads a stream in a thread of its own."""

    def __init__(self, stream: EventStream) -> None:
        self.items: list[StreamItem] = []
        self.error: Exception | None = None
        self._stream = stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for item in self._stream:
                self.items.append(item)
        except Exception as error:  # noqa: BLE001 - handed to the test
            self.error = error

    @property
    def events(self) -> list[Event]:
        """The events so far."""
        return [item for item in self.items if isinstance(item, Event)]

    @property
    def messages(self) -> list[str]:
        """The log lines so far."""
        return [event.message for event in self.events if event.type is EventType.LOG]

    def until(self, condition: Callable[["Listener"], object]) -> None:
        """Waits until something holds of what was read."""
        end = time.monotonic() + 120
        while not condition(self):
            assert time.monotonic() < end, (self.items, self.error)
            time.sleep(0.01)

    def close(self) -> None:
        """Ends the stream; the thread has to follow at once."""
        self._stream.close()
        self._thread.join(120)
        assert not self._thread.is_alive()


def connected(listener: Listener) -> bool:
    """Whether the stream is there."""
    return any(isinstance(item, Connected) for item in listener.items)
