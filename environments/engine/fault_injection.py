"""The hooks with which tests interrupt a worker like a crash of its process. They do nothing in a service."""

import threading
from collections.abc import Callable

from environments.service.storage.transaction import Storage


class FaultInjection:
    """Hooks of a worker that do nothing. Tests override them to fail writes and to end threads."""

    def storage(self, storage: Storage) -> Storage:
        """Returns the storage for a worker and all its parts, here the given one."""
        return storage

    def started(self, thread: threading.Thread, wake: Callable[[], None]) -> None:
        """Is called when a thread of the worker has started. `wake` ends its wait; then it ends without a write."""


NO_FAULTS = FaultInjection()
