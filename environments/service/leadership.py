"""Which of several processes on one database is the leader: the one that runs the scheduler and follows the cluster."""

from typing import Protocol


class Leadership(Protocol):
    """One process's claim to be the leader. Used by one thread."""

    def is_leader(self) -> bool:
        """Whether this process is the leader now, which it becomes if there is none. Raises `StorageError`.

        Call it every second: a leader that stops calling it loses leadership.
        """
        ...

    def close(self) -> None:
        """Gives leadership up, so that another process can take it."""
        ...
