"""`calvinverse serve` with a step kind of fixed latency that needs no cluster: what is left is the engine's own."""

import sys
from dataclasses import replace
from typing import Any

from environments.bootstrap import parts
from environments.cli import main
from tests.fakes.world import ThingExecutor, ThingHandler, World


def with_things() -> None:
    """Adds `test.thing` to what the service knows."""
    real, world = parts.make_toolbox, World()

    def make_toolbox(*arguments: Any, **named: Any) -> Any:
        tools, *rest = real(*arguments, **named)
        executors = {**tools.executors, ThingExecutor.kind: ThingExecutor(world)}
        handlers = {**tools.handlers, ThingHandler.kind: ThingHandler(world)}
        return (replace(tools, executors=executors, handlers=handlers), *rest)

    parts.make_toolbox = make_toolbox


if __name__ == "__main__":
    with_things()
    sys.argv[1:] = ["serve", *sys.argv[1:]]
    main()
