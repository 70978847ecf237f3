"""A database whose listings fail, or come back empty, as a test says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from environments.domain.errors import StorageError
from environments.service.storage.transaction import Storage, Transaction

FAULTS = ("empty", "failing", "late failing", "no templates", "none living")


def _fails(*_: Any, **__: Any) -> Any:
    raise StorageError("The listing failed.")


def _answers(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


_REPLACED: dict[str, dict[str, dict[str, Callable[..., Any]]]] = {
    "empty": {"holds": {"due": _answers([]), "destroyed": _answers([])}, "environments": {"due": _answers([])}},
    "failing": {"holds": {"due": _fails}},
    "late failing": {"environments": {"due": _fails}},
    "no templates": {"templates": {"bundle": _answers(None)}},
    "none living": {"holds": {"living": _answers(0)}},
}


class _Part:
    def __init__(self, real: Any, replaced: dict[str, Callable[..., Any]]) -> None:
        self._real = real
        self._replaced = replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced.get(name) or getattr(self._real, name)


class FlakyStorage:
    """See `Storage`. `fault` is one of `FAULTS`; empty: none."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.fault = ""

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """See `Storage.read`."""
        with self._storage.read() as tx:
            yield self._made_flaky(tx)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """See `Storage.write`."""
        with self._storage.write() as tx:
            yield self._made_flaky(tx)

    def _made_flaky(self, tx: Any) -> Any:
        replaced = _REPLACED.get(self.fault, {})
        return _Part(tx, {}) if not replaced else _Flaky(tx, replaced)


class _Flaky:
    def __init__(self, tx: Any, replaced: dict[str, dict[str, Callable[..., Any]]]) -> None:
        self._tx = tx
        self._parts = replaced

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._tx, name)
        return _Part(real, self._parts[name]) if name in self._parts else real
