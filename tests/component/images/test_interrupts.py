"""Signals that stop a program: its command is killed, what it cleans up is, and nobody needs to hear of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.busy import patient

PROGRAM = """
import sys
from pathlib import Path
from images.commands import run
from images.doit_reporter import lazy_action
from images.interrupts import handle_signals
from images.report import console

handle_signals()

def work():
    try:
        run(["sh", "-c", "echo $$; exec sleep 600"], limit=600, on_line=console())
    finally:
        console()("cleaning up")  # to a terminal that is gone, perhaps
        Path(sys.argv[1]).touch()

sys.modules["work"] = sys.modules["__main__"]
answer = lazy_action("work:work")()
sys.exit(0 if answer is True else 3)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_work_in_an_orderly_way(tmp_path: Path, number: signal.Signals) -> None:
    done = tmp_path / "done"
    terminal, end = os.openpty()
    before = signal.signal(number, signal.SIG_DFL)  # these tests may run under nohup, and programs inherit that
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(done)], stdin=end, stderr=end)
    signal.signal(number, before)
    os.close(end)
    with os.fdopen(terminal, "rb") as said:
        child = int(said.readline())
        handle = os.pidfd_open(child)
        process.send_signal(number)
    # Closing the terminal's other end is what SIGHUP tells of: whoever writes there gets an error.
    assert process.wait(patient(60)) == 3
    assert done.exists()
    with os.fdopen(handle):
        assert not Path(f"/proc/{child}").exists()


def test_a_program_that_shall_outlive_its_terminal_does(tmp_path: Path) -> None:
    command = ["nohup", sys.executable, "-c", PROGRAM, str(tmp_path / "done")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    with process.stderr:
        while not (line := process.stderr.readline().strip()).isdigit():  # what nohup says comes first
            assert line
        status = Path(f"/proc/{process.pid}/status").read_text().split()
        assert int(status[status.index("SigIgn:") + 1], 16) & 1 << (signal.SIGHUP - 1)
        process.terminate()
        assert process.wait(patient(60)) == 3
