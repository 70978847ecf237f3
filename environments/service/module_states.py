"""States of OpenTofu modules: locked, with all their versions, and written only under the lease of the deployment.

OpenTofu accesses its state over HTTP (docs/reference/module-states.md). Each request checks in its own transaction
whether the caller still holds the deployment. A state that comes too late is kept aside, for reconciling, and never
written over the current state.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from environments.domain.errors import Forbidden, LeaseLost, StateRefused
from environments.service.module_access import (
    Credential,
    StateCaller,
    StateHolder,
    check_credential,
    make_credential,
    reader,
)
from environments.service.state_contents import check_content, lineage_and_serial, lock_id_of
from environments.service.storage.module_states import StateLock, StateVersion
from environments.service.storage.transaction import Storage, Transaction


class ModuleStates:
    """Stores and returns states, and decides who may write them.

    `secret` returns the key of the passwords, 32 bytes.
    """

    def __init__(self, storage: Storage, secret: Callable[[], bytes], clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._secret = secret
        self._clock = clock
        self._opened = itertools.count(1)  # counted in this process only: the holder of a deployment is one process

    # --- for the step that runs OpenTofu -----------------------------------------------------------------------------

    def open(self, environment_id: str, step: str, holder: StateHolder | None, *, encrypted: bool = True) -> Credential:
        """A credential for that state: for writing while the holder has its deployment, else for reading for an hour.

        Call it before each run of OpenTofu that may write, when the previous run of the same step has ended: the new
        run takes over a lock that the previous one still has. `encrypted`: unencrypted states are refused. Raises
        `LeaseLost`.
        """
        if holder is None:
            return make_credential(reader(environment_id, step, self._clock()), self._secret())
        with self._storage.write() as tx:
            _fence(tx, environment_id, holder)
        caller = StateCaller(environment_id, step, holder, encrypted, next(self._opened))
        return make_credential(caller, self._secret())

    def exists(self, environment_id: str, step: str) -> bool:
        """Whether there is a state, or one was kept aside: then resources of the module may exist."""
        with self._storage.read() as tx:
            return tx.module_states.any(environment_id, step)

    def remove(self, environment_id: str, step: str, holder: StateHolder) -> None:
        """Deletes all versions, also those kept aside, the lock and the run record. All resources in them must be gone.

        Idempotent. Raises `LeaseLost`.
        """
        with self._storage.write() as tx:
            _fence(tx, environment_id, holder)
            tx.module_states.remove(environment_id, step)

    def keep_aside(self, environment_id: str, step: str, holder: StateHolder, content: bytes, why: str) -> None:
        """Stores a state that could not be written, for reconciling.

        Needs no lease; the current state stays as it is.
        """
        with self._storage.write() as tx:
            self._aside(tx, StateCaller(environment_id, step, holder), content, why)

    def aside(self, environment_id: str, step: str) -> bytes | None:
        """The newest state kept aside that follows the current one: of the same lineage, with a higher serial.

        Without a current state it is the newest one kept aside. It may name resources that the current one doesn't.
        """
        with self._storage.read() as tx:
            kept = tx.module_states.aside(environment_id, step)
            current = _content(tx, environment_id, step)
        if current is not None:
            lineage, serial = lineage_and_serial(current)
            places = [(lineage_and_serial(version.content), version) for version in kept]
            kept = [version for place, version in places if place[0] == lineage and place[1] > serial]
        return kept[-1].content if kept else None

    def versions(self, environment_id: str, step: str) -> list[StateVersion]:
        """All versions, oldest first, without their content."""
        with self._storage.read() as tx:
            return tx.module_states.versions(environment_id, step)

    def save_run_record(self, environment_id: str, step: str, content: bytes, holder: StateHolder) -> None:
        """Stores the run record, which the caller has encrypted. Raises `LeaseLost`."""
        with self._storage.write() as tx:
            _fence(tx, environment_id, holder)
            tx.module_states.set_run_record(environment_id, step, content, self._clock())

    def run_record(self, environment_id: str, step: str) -> bytes | None:
        """The stored run record."""
        with self._storage.read() as tx:
            return tx.module_states.run_record(environment_id, step)

    # --- for OpenTofu, over HTTP -------------------------------------------------------------------------------------

    def admit(self, environment_id: str, step: str, username: str, password: str) -> StateCaller:
        """The caller with this credential for that state. Reads nothing from the database. Raises `Unauthenticated`."""
        return check_credential(environment_id, step, Credential(username, password), self._secret(), self._clock())

    def read(self, caller: StateCaller) -> bytes | None:
        """The state; None if there is none. Raises `StateRefused` when the environment no longer exists.

        (If it returned None then, OpenTofu would create everything again.)
        """
        with self._storage.read() as tx:
            _check_environment(tx, caller.environment_id)
            return _content(tx, caller.environment_id, caller.step)

    def write(self, caller: StateCaller, lock_id: str, content: bytes) -> None:
        """Writes the next version, if the caller holds the deployment and that lock. A repeated write changes nothing.

        Raises `StateRefused`, and then keeps the content aside; and `StateNotEncrypted`, `Forbidden`, `InvalidInput`,
        and then doesn't.
        """
        holder = _writer(caller)
        check_content(content, caller.encrypted)
        with self._storage.write() as tx:
            why = self._why_not(tx, caller, holder, lock_id)
            if why:
                self._aside(tx, caller, content, why)
            else:
                newest = tx.module_states.newest(caller.environment_id, caller.step)
                if newest is None or newest.content != content:
                    tx.module_states.add(caller.environment_id, caller.step, self._version(holder, content, None))
        if why:
            raise StateRefused(
                f"The state of step {caller.step!r} is kept aside: {why}.", details={"kept": True, "why": why}
            )

    def delete(self, caller: StateCaller) -> None:
        """Records that there is no state any more. Raises `StateRefused`, `Forbidden`."""
        holder = _writer(caller)
        with self._fenced(caller.environment_id, holder) as tx:
            newest = tx.module_states.newest(caller.environment_id, caller.step)
            if newest is not None and newest.content:
                tx.module_states.add(caller.environment_id, caller.step, self._version(holder, b"", None))

    def lock(self, caller: StateCaller, info: Mapping[str, Any]) -> dict[str, Any] | None:
        """Takes the lock and returns None, or returns the `info` of the present holder. `info["ID"]` is the lock's id.

        A lock is taken over from a holder that has lost the deployment, and from an earlier run of the same holder,
        which has ended: their writes are refused from then on. Raises `StateRefused`, `Forbidden`, `InvalidInput`.
        """
        holder = _writer(caller)
        lock_id = lock_id_of(info)
        with self._fenced(caller.environment_id, holder) as tx:
            lock = tx.module_states.lock(caller.environment_id, caller.step)
            if lock is not None and _keeps(tx, lock, caller):
                return None if lock.lock_id == lock_id and _holder_of(lock) == holder else dict(lock.info)
            taken = StateLock(lock_id, dict(info), *holder, caller.opened)
            tx.module_states.set_lock(caller.environment_id, caller.step, taken, self._clock())
            if lock is not None:
                self._tell(tx, caller, f"The lock of worker {lock.worker} on the state was taken over.")
        return None

    def unlock(self, caller: StateCaller, info: Mapping[str, Any]) -> None:
        """Releases the lock, if anybody has it. Raises `StateRefused`, `Forbidden`, `InvalidInput`."""
        holder = _writer(caller)
        lock_id = lock_id_of(info)
        with self._fenced(caller.environment_id, holder) as tx:
            lock = tx.module_states.lock(caller.environment_id, caller.step)
            if lock is None:
                return
            if lock.lock_id != lock_id:
                raise StateRefused(f"The state of step {caller.step!r} is locked with another id.", hint=_OTHER_RUN)
            tx.module_states.set_lock(caller.environment_id, caller.step, None, self._clock())

    # --- inside ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _fenced(self, environment_id: str, holder: StateHolder) -> Iterator[Transaction]:
        """A transaction during which the holder keeps its deployment. Raises `StateRefused`."""
        with self._storage.write() as tx:
            try:
                _fence(tx, environment_id, holder)
            except LeaseLost as error:
                raise StateRefused(error.message) from error
            yield tx

    def _why_not(self, tx: Transaction, caller: StateCaller, holder: StateHolder, lock_id: str) -> str | None:
        """Why a state is refused, as words after a colon; None if it is accepted."""
        _check_environment(tx, caller.environment_id)
        if not _holds(tx, caller.environment_id, holder):
            return f"worker {holder.worker} no longer holds the deployment"
        lock = tx.module_states.lock(caller.environment_id, caller.step)
        if lock is None or not lock_id:
            return "it came without the lock"
        if lock.lock_id != lock_id or _holder_of(lock) != holder:
            return "another run of OpenTofu has the lock"
        return None

    def _aside(self, tx: Transaction, caller: StateCaller, content: bytes, why: str) -> None:
        _check_environment(tx, caller.environment_id)
        assert caller.holder is not None
        known = tx.module_states.aside(caller.environment_id, caller.step)
        if known and known[-1].content == content:
            return  # it was sent again, because the answer was lost
        version = self._version(caller.holder, content, why)
        number = tx.module_states.add(caller.environment_id, caller.step, version)
        self._tell(tx, caller, f"A state was kept aside as version {number}, and not written: {why}.")

    def _version(self, holder: StateHolder, content: bytes, refused: str | None) -> StateVersion:
        return StateVersion(0, content, holder.deployment, holder.worker, holder.epoch, self._clock(), refused)

    def _tell(self, tx: Transaction, caller: StateCaller, line: str) -> None:
        """Writes a line to the step's log."""
        assert caller.holder is not None
        row = (caller.environment_id, caller.holder.deployment, caller.step, self._clock(), line)
        tx.events.add_logs([row])


_OTHER_RUN = "Another run of OpenTofu has taken the lock; nothing is lost."


def _content(tx: Transaction, environment_id: str, step: str) -> bytes | None:
    newest = tx.module_states.newest(environment_id, step)
    return newest.content if newest is not None and newest.content else None


def _fence(tx: Transaction, environment_id: str, holder: StateHolder) -> None:
    """Raises `LeaseLost` unless the holder has a deployment of this environment, and keeps it for the transaction."""
    tx.deployments.fence(*holder)
    deployment = tx.deployments.get(holder.deployment)
    if deployment is None or deployment.environment_id != environment_id:
        raise LeaseLost("The deployment belongs to another environment.")


def _holds(tx: Transaction, environment_id: str, holder: StateHolder) -> bool:
    try:
        _fence(tx, environment_id, holder)
    except LeaseLost:
        return False
    return True


def _keeps(tx: Transaction, lock: StateLock, caller: StateCaller) -> bool:
    """Whether the present holder of the lock may keep it."""
    if _holder_of(lock) == caller.holder:
        return lock.opened >= caller.opened
    return _holds(tx, caller.environment_id, _holder_of(lock))


def _check_environment(tx: Transaction, environment_id: str) -> None:
    if tx.environments.get(environment_id) is None:
        raise StateRefused(
            f"There is no environment {environment_id!r} any more.",
            hint="It was destroyed, and its record has been deleted since.",
        )


def _writer(caller: StateCaller) -> StateHolder:
    if caller.holder is None:
        raise Forbidden("This credential allows only reading the state.", hint="Plans change nothing; deployments do.")
    return caller.holder


def _holder_of(lock: StateLock) -> StateHolder:
    return StateHolder(lock.deployment_id, lock.worker, lock.epoch)
