"""States, keys and run records of OpenTofu modules in memory."""

import base64
import json
import threading
from dataclasses import dataclass, field
from typing import Any

from environments.domain.errors import LeaseLost
from environments.providers.opentofu.ports import StateAccess
from environments.steps.base import Holder, Owner

_Place = tuple[str, str]


@dataclass
class _State:
    versions: list[bytes] = field(default_factory=list)
    aside: list[tuple[bytes, str]] = field(default_factory=list)
    lock: dict[str, Any] | None = None
    lock_by: tuple[int, Holder | None] = (0, None)


class MemoryModuleStates:
    """`StateBackend` and `RunRecords`. `holder` is who holds every environment now; None: whoever asks.

    `address` is what `open` gives: of a server that offers `read`, `write`, `take_lock` and `drop_lock` over HTTP.
    """

    def __init__(self, address: str = "memory:") -> None:
        self.address = address
        self.holder: Holder | None = None
        self.states: dict[_Place, _State] = {}
        self.records: dict[_Place, bytes] = {}
        self.passwords: dict[str, tuple[_Place, tuple[int, Holder | None]]] = {}
        """Which state a password opens, as which run, and for whom."""
        self._guard = threading.RLock()

    # --- the port -----------------------------------------------------------------------------------------------------

    def open(self, owner: Owner, step: str, holder: Holder | None, *, encrypted: bool = True) -> StateAccess:
        """Access with a password of its own."""
        with self._guard:
            number = len(self.passwords) + 1
            password = f"password-of-run-{number}"
            self.passwords[password] = ((owner.id, step), (number, holder))
        return StateAccess(f"{self.address}/{owner.id}/{step}", "module", password)

    def exists(self, owner: Owner, step: str) -> bool:
        """Whether there is a version."""
        with self._guard:
            state = self.states.get((owner.id, step))
            return state is not None and bool(state.versions or state.aside)

    def remove(self, owner: Owner, step: str, holder: Holder) -> None:
        """Forgets it."""
        with self._guard:
            self._check(holder)
            self.states.pop((owner.id, step), None)
            self.records.pop((owner.id, step), None)

    def keep_aside(self, owner: Owner, step: str, holder: Holder, content: bytes, why: str) -> None:
        """Keeps it beside the versions."""
        with self._guard:
            self._state((owner.id, step)).aside.append((content, why))

    def aside(self, owner: Owner, step: str) -> bytes | None:
        """The newest of the same lineage with a higher serial."""
        with self._guard:
            state = self.states.get((owner.id, step)) or _State()
            current = json.loads(state.versions[-1]) if state.versions else {}
            for content, _ in reversed(state.aside):
                told = json.loads(content)
                if not current or (told["lineage"] == current["lineage"] and told["serial"] > current["serial"]):
                    return content
            return None

    def save(self, owner: Owner, step: str, content: bytes, holder: Holder) -> None:
        """Keeps a run record."""
        with self._guard:
            self._check(holder)
            self.records[owner.id, step] = content

    def load(self, owner: Owner, step: str) -> bytes | None:
        """The run record."""
        with self._guard:
            return self.records.get((owner.id, step))

    # --- what a server needs ------------------------------------------------------------------------------------------

    def who(self, password: str, place: _Place) -> tuple[int, Holder | None] | None:
        """Which run it is, and for whom; None for a password that doesn't open this state."""
        with self._guard:
            known, who = self.passwords.get(password, (None, None))
            return who if known == place else None

    def read(self, place: _Place) -> bytes | None:
        """The newest version."""
        with self._guard:
            state = self.states.get(place)
            return state.versions[-1] if state is not None and state.versions else None

    def write(self, place: _Place, holder: Holder | None, lock_id: str, content: bytes) -> bool:
        """A new version; False when it is kept aside, for it comes from somebody who holds nothing."""
        with self._guard:
            state = self._state(place)
            locked = state.lock is not None and state.lock.get("ID") == lock_id
            if holder is None or not locked or (self.holder is not None and holder != self.holder):
                state.aside.append((content, "late"))
                return False
            state.versions.append(content)
            return True

    def take_lock(self, place: _Place, who: tuple[int, Holder | None], info: dict[str, Any]) -> dict[str, Any] | None:
        """None, or the lock that somebody else has; that of an earlier run or of an earlier holder is taken over."""
        with self._guard:
            state = self._state(place)
            run, holder = state.lock_by
            lost = self.holder is not None and holder != self.holder and who[1] == self.holder
            if state.lock is not None and not lost and not (holder == who[1] and run < who[0]):
                return state.lock
            state.lock, state.lock_by = info, who
            return None

    def drop_lock(self, place: _Place, lock_id: str) -> bool:
        """Whether it was that lock."""
        with self._guard:
            state = self._state(place)
            if state.lock is not None and state.lock.get("ID") != lock_id:
                return False
            state.lock, state.lock_by = None, (0, None)
            return True

    def _state(self, place: _Place) -> _State:
        return self.states.setdefault(place, _State())

    def _check(self, holder: Holder) -> None:
        if self.holder is not None and holder != self.holder:
            raise LeaseLost("Another worker has taken over this deployment.")


class MemoryModuleKeys:
    """`ModuleKeys`: a key for each environment, the same for the same id."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}

    def key(self, owner: Owner) -> str:
        """Made of the id."""
        return self.keys.setdefault(owner.id, base64.b64encode(owner.id.encode().ljust(32, b"-")[:32]).decode())

    def existing(self, owner: Owner) -> str | None:
        """If it was asked for before."""
        return self.keys.get(owner.id)
