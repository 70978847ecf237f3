"""The client's stream of events, which a test can cut."""

import queue
import threading
from collections.abc import Callable, Iterator

from environments.client.stream import Connected, Disconnected, EventStream, Open, StreamItem
from environments.domain.errors import CalvinverseError


class CuttableStream(EventStream):
    """`away`: the error that keeps the service from being reached, or None while it can be."""

    def __init__(self, connect: Open, after: int | None, away: Callable[[], CalvinverseError | None]) -> None:
        super().__init__(connect, after)
        self.closed = False
        self._away = away
        self._items: queue.SimpleQueue[StreamItem | CalvinverseError | None] = queue.SimpleQueue()

    def give(self, item: StreamItem | CalvinverseError) -> None:
        """The next thing that the reader sees; an error is raised there."""
        self._items.put(item)

    def __iter__(self) -> Iterator[StreamItem]:
        if (error := self._away()) is not None:
            self.give(Disconnected(error, 0.5))
        threading.Thread(target=self._pass_on, name="stream", daemon=True).start()
        while (item := self._items.get()) is not None:
            if isinstance(item, CalvinverseError):
                raise item
            yield item

    def _pass_on(self) -> None:
        try:
            for item in super().__iter__():
                if not (isinstance(item, Connected) and self._away() is not None):
                    self.give(item)
        except CalvinverseError as error:
            self.give(error)

    def close(self) -> None:
        self.closed = True
        super().close()
        self._items.put(None)
