"""`environments.providers.opentofu.ports.Tofu` on the real program."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from environments.domain.errors import TooManyRequests
from environments.domain.plan import Change
from environments.providers.opentofu.folders import WorkFolders
from environments.providers.opentofu.installation import Installation
from environments.providers.opentofu.plans import changes
from environments.providers.opentofu.ports import Module, Output, Place, Planned, Settled, UnsavedStates
from environments.providers.opentofu.prepared import Prepared
from environments.providers.opentofu.process import LeaseLimit, RunLimit, TimeLimit
from environments.providers.opentofu.run_queue import RunQueue
from environments.providers.opentofu.session import PLAN_FILE, STATE_LIST, Session
from environments.steps.base import StepRun

READ_LIMIT = 120.0
"""Seconds that reading a state may take."""

PLAN_LIMIT = 600.0
"""Seconds that a plan which is only shown may take."""


class OpenTofu:
    """Runs tofu, each time in a folder of its own that is removed afterwards; at most `at_once` in this process.

    Deployments, plans and observations count alike.
    """

    def __init__(self, installation: Installation, folders: WorkFolders, prepared: Prepared, at_once: int) -> None:
        self._installation = installation
        self._folders = folders
        self._prepared = prepared
        self._queue = RunQueue(at_once)

    def apply(
        self,
        place: Place,
        module: Module,
        run: StepRun,
        before: Callable[[Planned], None],
        settled: Settled,
        *,
        unsaved: UnsavedStates,
        targets: Sequence[str] = (),
    ) -> Mapping[str, Output]:
        """See `Tofu`."""
        with self._changing(place, module, run, unsaved) as session:
            session.ready()
            session.catch_up(unsaved)
            before(session.plan(*(f"-target={address}" for address in targets), say=True))
            return session.carry_out(settled)

    def destroy(self, place: Place, module: Module, run: StepRun, settled: Settled, *, unsaved: UnsavedStates) -> None:
        """See `Tofu`."""
        with self._changing(place, module, run, unsaved) as session:
            session.ready()
            session.catch_up(unsaved)
            session.destroy(settled)

    def plan(self, place: Place, module: Module, run: StepRun) -> Sequence[Change]:
        """See `Tofu`."""
        with self._reading(
            place, module, lambda: TimeLimit(PLAN_LIMIT, run), _QueueLimit(run.time_left, run)
        ) as session:
            session.ready()
            session.plan("-lock=false", say=False)
            return changes(json.loads(session.read("show", "-json", "-no-color", PLAN_FILE)), session.cleaner)

    def addresses(self, place: Place, *, encrypted: bool) -> frozenset[str]:
        """See `Tofu`."""
        module = Module({}, {}, encrypted=encrypted)
        with self._reading(place, module, lambda: TimeLimit(READ_LIMIT), _QueueLimit(READ_LIMIT)) as session:
            session.ready()
            listed = session.read(*STATE_LIST.split()).decode().splitlines()
        return frozenset(line for line in listed if line and not _is_data(line))

    @contextmanager
    def _changing(self, place: Place, module: Module, run: StepRun, unsaved: UnsavedStates) -> Iterator[Session]:
        program = self._installation.program(encrypted=module.encrypted)

        def rescue(state: bytes) -> None:
            unsaved.keep(state, "left behind by a run that died before it could save the state")

        with (
            self._queue.slot(reads=False, wait=run.wait, say=run.log),
            self._folders.for_run(place.owner, place.step, run.wait, rescue) as workplace,
        ):
            session = Session(program, self._installation, self._prepared, workplace, place, module, LeaseLimit(run))
            session.say = run.log
            session.wait = run.wait
            session.lay_out()
            try:
                yield session
            finally:
                session.close()
                if (state := workplace.errored()) is not None:
                    unsaved.keep(state, "the service did not take it from tofu")

    @contextmanager
    def _reading(
        self, place: Place, module: Module, begin: Callable[[], RunLimit], queued: "_QueueLimit"
    ) -> Iterator[Session]:
        program = self._installation.program(encrypted=module.encrypted)
        with (
            self._queue.slot(reads=True, wait=queued.wait),
            self._folders.for_reading(place.owner, place.step) as workplace,
        ):
            session = Session(program, self._installation, self._prepared, workplace, place, module, begin())
            session.lay_out()
            try:
                yield session
            finally:
                session.close()


class _QueueLimit:
    """How long a run that only reads waits for a slot."""

    def __init__(self, seconds: float, run: StepRun | None = None) -> None:
        self._end = time.monotonic() + seconds
        self._run = run

    def wait(self, seconds: float) -> None:
        """Sleeps. Raises `TooManyRequests` when it has been too long, and what the step raises."""
        if time.monotonic() + seconds >= self._end:
            raise TooManyRequests(
                "OpenTofu is busy with other modules: this run got no slot in time.", details={"retry_after": 30}
            )
        (time.sleep if self._run is None else self._run.wait)(seconds)


def _is_data(address: str) -> bool:
    """Whether an address names a data source, of the module or of one inside it."""
    return address.startswith("data.") or ".data." in address
