"""`calvinverse serve` with one more step kind, which makes files and needs no cluster."""

import os
import sys
from pathlib import Path

from environments.cli import main
from tests.support.more_kinds import add_kind
from tests.support.multiprocess.shared_files import SHARED_FILES, FileHandler, GateExecutor

if __name__ == "__main__":
    files = Path(os.environ[SHARED_FILES])
    add_kind(GateExecutor(files), FileHandler(files), "tests.support.multiprocess.kinds:STEP_KINDS")
    sys.argv[1:] = ["serve", *sys.argv[1:]]
    main()
