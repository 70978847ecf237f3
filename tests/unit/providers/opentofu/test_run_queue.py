"""However many plans, observations and deployments there are, a process runs only so many tofu at once."""

import time

import pytest

from environments.domain.errors import Interrupted
from environments.providers.opentofu.run_queue import RunQueue


def test_runs_that_only_read_leave_a_slot_to_deployments() -> None:
    queue = RunQueue(2)
    with queue.slot(reads=True, wait=time.sleep):
        with pytest.raises(Interrupted), queue.slot(reads=True, wait=_refuse):
            pass
        with queue.slot(reads=False, wait=_refuse):
            pass
    with queue.slot(reads=True, wait=_refuse):  # what gave up is in nobody's way
        pass


def _refuse(seconds: float) -> None:
    raise Interrupted("Another run has the slot.")
