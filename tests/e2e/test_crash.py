"""SIGKILL at any moment of create and destroy, then start again: nothing left over, nothing twice.

`CALVINVERSE_CRASHES` says how many moments are tried (a sample in the whole suite, many in `doit test:crash`);
`CALVINVERSE_SEED` repeats a run.
"""

import os
import random
import time

from environments.domain.lifecycle import State
from environments.wire.environments import CreateRequest
from tests.support.cluster_snapshot import Taker, describe
from tests.support.service_process import ServiceProcess

CRASHES = int(os.environ.get("CALVINVERSE_CRASHES", "8"))
SEED = int(os.environ.get("CALVINVERSE_SEED", str(random.SystemRandom().randrange(10**6))))


def measured(service: ServiceProcess, name: str) -> tuple[float, float]:
    """How long create and destroy take undisturbed, in seconds."""
    began = time.monotonic()
    service.client.create(CreateRequest(name=name, template="web"))
    service.wait_for(name, State.READY)
    ready = time.monotonic()
    service.client.destroy(name)
    service.wait_for(name, State.DESTROYED)
    return ready - began, time.monotonic() - ready


def test_killed_at_random_moments(service: ServiceProcess, taker: Taker) -> None:
    print(f"seed {SEED}, {CRASHES} crashes")
    dice = random.Random(SEED)
    create_seconds, destroy_seconds = measured(service, "warm")
    before = taker.take()
    for number in range(CRASHES):
        name = f"crash-{number}"
        dying = number % 2 == 0
        offset = dice.uniform(0, create_seconds if dying else destroy_seconds)
        where = f"seed {SEED}, crash {number}: {offset:.3f} s into {'create' if dying else 'destroy'}"
        service.client.create(CreateRequest(name=name, template="web"))
        if dying:
            crash_after(service, offset)
        environment = service.wait_for(name, State.READY, State.FAILED)
        assert environment.state is State.READY, f"{where}\n{service.story(name)}"
        assert taker.duplicates(name) == [], where
        service.client.destroy(name)
        if not dying:
            crash_after(service, offset)
        environment = service.wait_for(name, State.DESTROYED, State.DESTROY_FAILED)
        assert environment.state is State.DESTROYED, f"{where}\n{service.story(name)}"
        left = taker.left_since(before)
        assert left == {}, f"{where}\n{describe(left)}\n{service.story(name)}"


def crash_after(service: ServiceProcess, seconds: float) -> None:
    """Kills the service after that time, and starts it again."""
    time.sleep(seconds)
    service.kill()
    service.start()
