"""`calvinverse serve` with a step kind of fixed latency that needs no cluster: what is left is the engine's own."""

import sys

from environments.bootstrap import providers
from environments.cli import main
from tests.fakes.things import FakeThings, ThingExecutor, ThingHandler
from tests.support.more_kinds import add_kind

STEP_KINDS = {**providers.STEP_KINDS, ThingExecutor.kind: ThingExecutor}

if __name__ == "__main__":
    world = FakeThings()
    add_kind(ThingExecutor(world), ThingHandler(world), "tests.bench.slow:STEP_KINDS")
    sys.argv[1:] = ["serve", *sys.argv[1:]]
    main()
