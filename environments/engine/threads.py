"""Threads that work beside a loop: one for each key that has something to do, so that a slow one delays no other."""

import threading
from collections.abc import Callable


class ThreadForEach:
    """At most one thread for each key. For one thread, which begins and stops them."""

    def __init__(self) -> None:
        self._busy: dict[str, threading.Thread] = {}

    def forget_ended(self) -> None:
        """Keys whose thread has ended may begin again; what is begun for them then sees what the last one did."""
        self._busy = {key: thread for key, thread in self._busy.items() if thread.is_alive()}

    def begin(self, key: str, name: str, work: Callable[[], None]) -> None:
        """Does the work in a thread of that name, unless the key has one. The work raises nothing."""
        if key not in self._busy:
            self._busy[key] = threading.Thread(target=work, name=name, daemon=True)
            self._busy[key].start()

    def join(self, longest: float) -> None:
        """Waits for each of them so many seconds at most."""
        for thread in list(self._busy.values()):
            thread.join(timeout=longest)
