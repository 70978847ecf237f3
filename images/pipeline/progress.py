"""Reports where a long build is: which image, which step, and for how long."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from images.report import Report, TerminalReport, duration

TICK = 1.0
"""Seconds between two updates of the time on a terminal."""


class Progress:
    """Reports a permanent line at the start and end of each part of an image's build, and a live line for its steps."""

    def __init__(self, image: str, report: Report) -> None:
        self._image = image
        self._report = report
        self._lock = threading.Lock()
        self._part = ""
        self._step = ""
        self._started = time.monotonic()
        self.seconds: dict[str, float] = {}

    def say(self, sentence: str) -> None:
        """Reports a permanent line about this image."""
        self._report(f"{self._image}: {sentence}")

    def step(self, text: str) -> None:
        """Sets the present step."""
        with self._lock:
            self._step = text
        self._show()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Times a part of the build, adds to `seconds`, and updates its live line."""
        with self._lock:
            self._part, self._step, self._started = name, "", time.monotonic()
        ended = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(ended,), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            ticker.join()
            self.seconds[name] = round(time.monotonic() - self._started, 3)
            if isinstance(self._report, TerminalReport):
                self._report.status("", self._image)

    def _tick(self, ended: threading.Event) -> None:
        while not ended.wait(TICK):
            self._show()

    def _show(self) -> None:
        if isinstance(self._report, TerminalReport):
            with self._lock:
                took = duration(time.monotonic() - self._started)
                self._report.status(f"{self._image} · {self._part} · {took} · {self._step}", self._image)
