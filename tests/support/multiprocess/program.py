"""`calvinverse serve` with a step kind more: one that works on files and needs no cluster."""

import os
import sys
from pathlib import Path

from environments.cli import main
from tests.support.more_kinds import add_kind
from tests.support.multiprocess.world import WORLD, FileHandler, GateExecutor

if __name__ == "__main__":
    world = Path(os.environ[WORLD])
    add_kind(GateExecutor(world), FileHandler(world), "tests.support.multiprocess.kinds:STEP_KINDS")
    sys.argv[1:] = ["serve", *sys.argv[1:]]
    main()
