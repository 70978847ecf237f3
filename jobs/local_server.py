"""The program of the local service: `calvinverse serve`, for as long as the process lives that started it.

Its standard input is a pipe whose other end that process alone holds, so its end is noticed however it came. Until the
service has ended there is a record of it, by which the next deploy or undeploy finds it.
"""

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

from images.process_records import keep_record

STOP_SECONDS = 30.0
"""How long the service may take to end in an orderly way."""


def main(record: Path) -> None:
    """Runs the service, with a record of this process in that file."""
    keep_record(record)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = ["calvinverse", "serve"]
    runpy.run_module("environments", run_name="__main__")


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
