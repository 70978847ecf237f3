"""Where tests interrupt a worker as a crash of its process would. Does nothing in a service."""

import threading
from collections.abc import Callable

from environments.service.storage.transaction import Storage


class FaultInjection:
    """Hooks of a worker, which do nothing here. Tests override them to fail writes and to end threads."""

    def storage(self, storage: Storage) -> Storage:
        """The storage that a worker and all its parts use; given as it is."""
        return storage

    def started(self, thread: threading.Thread, wake: Callable[[], None]) -> None:
        """A thread of the worker was started. `wake` ends its waits, after which it ends without writing anything."""


NO_FAULTS = FaultInjection()
