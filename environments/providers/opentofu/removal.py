"""How what a module made is observed and removed: by its state, and by what a killed run may have made."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, NamedTuple

from environments.domain.counting import counted
from environments.domain.errors import CalvinverseError, Interrupted, StepFailed
from environments.providers.opentofu.ports import (
    RESOURCE_KIND,
    STATE_KIND,
    TIME_LIMIT,
    CredentialBroker,
    Module,
    ModuleKeys,
    Place,
    Planned,
    RunRecords,
    Settlement,
    StateBackend,
    Tofu,
)
from environments.providers.opentofu.run_record import RunRecord
from environments.steps.base import Holder, Observation, Owner, Presence, StepRun
from environments.steps.marks import ABSENT

FRESH = 2.0
"""Seconds for which an observation of a state is used again: all resources of a module are observed in a row."""


class ModuleObservation(NamedTuple):
    """The addresses in the state of a module, and those that may exist although the state has none of them.

    `exists`: there is a state, which may be empty.
    """

    exists: bool
    recorded: frozenset[str]
    in_flight: frozenset[str]


class Modules:
    """What was made by modules, as the states and run records tell it."""

    def __init__(
        self,
        tofu: Tofu,
        backend: StateBackend,
        keys: ModuleKeys,
        records: RunRecords,
        broker: CredentialBroker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tofu = tofu
        self._backend = backend
        self._keys = keys
        self._records = records
        self._broker = broker
        self._clock = clock
        self._guard = threading.Lock()
        self._observed: dict[tuple[str, str], tuple[float, ModuleObservation]] = {}

    def observe(self, owner: Owner, step: str) -> ModuleObservation:
        """What is there now, at most `FRESH` seconds old."""
        with self._guard:
            at, seen = self._observed.get((owner.id, step), (0.0, None))
            if seen is not None and self._clock() - at < FRESH:
                return seen
        seen = self._observe(owner, step)
        with self._guard:
            # Drop outdated observations of other modules.
            old = self._clock() - FRESH
            self._observed = {key: kept for key, kept in self._observed.items() if kept[0] > old}
            self._observed[owner.id, step] = (self._clock(), seen)
        return seen

    def forget(self, owner: Owner, step: str) -> None:
        """The next observation is a new one."""
        with self._guard:
            self._observed.pop((owner.id, step), None)

    def remove(self, owner: Owner, step: str, run: StepRun) -> None:
        """Destroys what a module made, observes that it is gone, and deletes its states.

        Raises `StepFailed` naming what is left; `details["left"]` are the addresses.
        """
        self.forget(owner, step)
        try:
            self._remove(owner, step, run)
        finally:
            self.forget(owner, step)

    def adopt(self, place: Place, record: RunRecord, run: StepRun) -> RunRecord:
        """Has tofu record what a killed run may have made, by creating it again; returns the settled run record.

        Works for resources whose id is known before they exist: creating them again finds them. Raises what tofu
        raises.
        """
        owner, step, holder = place.owner, place.step, _holder(run)
        run.log(f"recording what may have been made when tofu was killed: {', '.join(sorted(record.in_flight))}")
        with self.with_credentials(place, record.module, run) as place:
            self._tofu.apply(
                place,
                record.module,
                run,
                _nothing_to_write,
                _nothing_to_settle,
                unsaved=self.unsaved(owner, step, run),
                targets=sorted(record.in_flight),
            )
        record = record.with_in_flight(())
        self._records.save(owner, step, record.dump(), holder)
        return record

    @contextmanager
    def with_credentials(self, place: Place, module: Module, run: StepRun) -> Iterator[Place]:
        """The place with the credentials of the module, which are revoked afterwards."""
        if not module.credentials:
            yield place
            return
        with self._broker.issue(place.owner, module.credentials, run.time_left, run) as issued:
            yield replace(place, credentials=issued)

    def unsaved(self, owner: Owner, step: str, run: StepRun) -> "ModuleUnsavedStates":
        """The states that tofu could not save."""
        return ModuleUnsavedStates(self._backend, owner, step, run)

    def _observe(self, owner: Owner, step: str) -> ModuleObservation:
        record = self._record(owner, step)
        in_flight = record.in_flight if record is not None else frozenset()
        if not self._backend.exists(owner, step):
            return ModuleObservation(False, frozenset(), in_flight)
        recorded = self._recorded(owner, step, record)
        return ModuleObservation(True, recorded, in_flight - recorded)

    def _recorded(self, owner: Owner, step: str, record: RunRecord | None) -> frozenset[str]:
        encrypted = record is None or record.module.encrypted
        access = self._backend.open(owner, step, None, encrypted=encrypted)
        place = Place(owner, step, access, self._key(owner) if encrypted else "")
        return self._tofu.addresses(place, encrypted=encrypted)

    def _remove(self, owner: Owner, step: str, run: StepRun) -> None:
        holder = _holder(run)
        record, exists = self._record(owner, step), self._backend.exists(owner, step)
        if exists or (record is not None and record.in_flight):
            run.before_effect()
            if record is None:
                self._only_if_empty(owner, step)
            else:
                self._destroy(owner, step, record, run)
        run.before_effect()
        self._backend.remove(owner, step, holder)

    def _only_if_empty(self, owner: Owner, step: str) -> None:
        if left := self._recorded(owner, step, None):
            raise StepFailed(
                f"The module of step {step!r} can't be destroyed: what it was applied with is lost. "
                f"In its state are {', '.join(sorted(left))}.",
                hint="Remove these by hand, then `calvinverse env abandon`.",
                details={"left": sorted(left)},
            )

    def _destroy(self, owner: Owner, step: str, record: RunRecord, run: StepRun) -> None:
        access = self._backend.open(owner, step, _holder(run), encrypted=record.module.encrypted)
        place = Place(owner, step, access, self._key(owner))
        why = ""
        if record.in_flight:
            try:
                record = self.adopt(place, record, run)
            except Interrupted:
                raise
            except CalvinverseError as error:
                if error.transient:
                    raise
                why = error.message
        with self.with_credentials(place, record.module, run) as authorized:
            self._tofu.destroy(
                authorized, record.module, run, _nothing_to_settle, unsaved=self.unsaved(owner, step, run)
            )
        # What was adopted before the failure is destroyed with the rest; what wasn't is still in no state.
        left = self._recorded(owner, step, record)
        if left:
            raise StepFailed(
                f"tofu has destroyed the module of step {step!r}, and its state still holds {', '.join(sorted(left))}.",
                details={"left": sorted(left)},
            )
        if record.in_flight:
            raise StepFailed(
                f"{', '.join(sorted(record.in_flight))} may have been made when tofu was killed, and making it again, "
                f"to have it recorded and destroyed, failed: {why}",
                hint="The step is retried. If it was never made, `calvinverse env abandon` ends the attempts.",
                details={"left": sorted(record.in_flight)},
            )

    def _record(self, owner: Owner, step: str) -> RunRecord | None:
        content = self._records.load(owner, step)
        return None if content is None else RunRecord.load(content)

    def _key(self, owner: Owner) -> str:
        key = self._keys.existing(owner)
        if key is None:
            raise StepFailed(
                f"The key of environment {owner.name!r} is gone from OpenBao, so its modules' states can't be read.",
                hint="Restore the key from a snapshot of OpenBao; or remove what the modules made by hand, then "
                "`calvinverse env abandon`.",
            )
        return key


class ModuleUnsavedStates:
    """See `UnsavedStates`."""

    def __init__(self, backend: StateBackend, owner: Owner, step: str, run: StepRun) -> None:
        self._backend = backend
        self._owner = owner
        self._step = step
        self._run = run

    def keep(self, content: bytes, why: str) -> None:
        """Stores it with the service, also if another worker holds the deployment by now."""
        self._backend.keep_aside(self._owner, self._step, _holder(self._run), content, why)
        self._run.log(f"a state of the module is kept aside: {why}")

    def newer(self) -> bytes | None:
        """The one that succeeds the current state."""
        return self._backend.aside(self._owner, self._step)


class ModuleStateHandler:
    """Knows the state of a step's module (`<environment>/<step>`)."""

    kind: ClassVar[str] = STATE_KIND
    time_limit: ClassVar[timedelta] = TIME_LIMIT

    def __init__(self, modules: Modules) -> None:
        self._modules = modules

    def observe(self, address: str, owner: Owner) -> Observation:
        """Counts what is in the state, and what may exist beside it."""
        seen = self._modules.observe(owner, address.split("/")[1])
        if not seen.exists and not seen.in_flight:
            return ABSENT
        told = [counted(len(seen.recorded), "resource")] if seen.exists else []
        told += [f"{len(seen.in_flight)} may have been made by a run that was killed"] if seen.in_flight else []
        return Observation(Presence.OURS, ", ".join(told))

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Destroys all that the module made, then its states."""
        self._modules.remove(owner, address.split("/")[1], run)


class ModuleResourceHandler:
    """Knows one thing that a module made (`<environment>/<step>/<address in the module>`)."""

    kind: ClassVar[str] = RESOURCE_KIND
    time_limit: ClassVar[timedelta] = TIME_LIMIT
    inner: ClassVar[bool] = True
    """Lives inside of the step's state: it is never outdated by itself (see `engine.removal.Inspector.is_inner`)."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules

    def observe(self, address: str, owner: Owner) -> Observation:
        """Checks whether the state has it."""
        _, step, inner = address.split("/", 2)
        seen = self._modules.observe(owner, step)
        if inner in seen.recorded:
            return Observation(Presence.OURS, "in the module's state")
        if inner in seen.in_flight:
            return Observation(Presence.OURS, "may have been made by a run that was killed")
        return ABSENT

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Destroys the whole module: tofu knows the right order, and destroys everything in one run."""
        _, step, inner = address.split("/", 2)
        if self.observe(address, owner).presence is Presence.ABSENT:
            return
        try:
            self._modules.remove(owner, step, run)
        except StepFailed as error:
            left = error.details.get("left")
            if left is None or inner in left:
                raise


def _holder(run: StepRun) -> Holder:
    holder = run.holder
    assert holder is not None
    return holder


def _nothing_to_write(_planned: Planned) -> None:
    """What is adopted is in the inventory already."""


def _nothing_to_settle(_done: Settlement) -> None:
    """It is settled when all went well."""
