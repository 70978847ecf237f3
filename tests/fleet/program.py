"""`calvinverse serve` with a step kind more: one that works on files and needs no cluster."""

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from environments.adapters.checking.pool import CheckPool
from environments.bootstrap import parts, service
from environments.cli import main
from tests.fleet.world import WORLD, FileHandler, GateExecutor


def add_kind(world: Path) -> None:
    """Lets the service know the step kind; its own toolbox stays as it is otherwise."""
    real = parts.make_toolbox

    def make_toolbox(*arguments: Any) -> Any:
        tools, vault = real(*arguments)
        gate, handler = GateExecutor(world), FileHandler(world)
        executors = {**tools.executors, gate.kind: gate}
        return replace(tools, executors=executors, handlers={**tools.handlers, handler.kind: handler}), vault

    parts.make_toolbox = make_toolbox  # type: ignore[assignment]
    service.CheckPool = partial(CheckPool, "tests.fleet.kinds:STEP_KINDS")  # type: ignore[attr-defined, assignment]


if __name__ == "__main__":
    add_kind(Path(os.environ[WORLD]))
    sys.argv[1:] = ["serve", *sys.argv[1:]]
    main()
