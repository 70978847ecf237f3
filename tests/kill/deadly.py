"""`calvinverse serve` that kills itself with SIGKILL at a chosen point of a step.

CALVINVERSE_KILL holds a `Point` as JSON. No other process can kill this one between two lines of its code, so this
module follows what the engine writes.
"""

import os
import signal
import sys
import threading
from typing import Any

from environments.cli import main
from environments.domain.lifecycle import StepState
from environments.engine.recorder import Recorder
from tests.kill.points import VARIABLE, Moment, Point


def die() -> None:
    """The end, without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: Point) -> None:
    """Lets the process die at that point."""
    real_step, real_end = Recorder.step, Recorder.end
    over = threading.Event()

    def step(self: Recorder, tx: Any, name: str, state: StepState, **values: Any) -> None:
        if over.is_set():
            die()
        mine = name == point.step and self.lease.deployment.kind is point.kind
        if mine and state is StepState.RUNNING and point.moment is Moment.BEFORE:
            die()
        if mine and state is StepState.DONE and point.moment is Moment.ENDING:
            die()
        real_step(self, tx, name, state, **values)
        if mine and state is StepState.RUNNING and point.moment is Moment.INSIDE:
            threading.Timer(point.seconds, die).start()
        if mine and state is StepState.DONE and point.moment is Moment.ENDED:
            over.set()

    def end(self: Recorder, *arguments: Any, **named: Any) -> None:
        if over.is_set():
            die()
        real_end(self, *arguments, **named)

    Recorder.step = step  # type: ignore[method-assign]
    Recorder.end = end  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(Point.model_validate_json(os.environ.pop(VARIABLE)))
    sys.argv[1:] = ["serve", *sys.argv[1:]]
    main()
