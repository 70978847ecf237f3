"""Signals at random moments of deploy, undeploy and builds: the next run converges, and nothing is left.

`CALVINVERSE_INTERRUPTS` says how often (once in the whole suite, many times in `doit test:interrupts`);
`CALVINVERSE_SEED` repeats a run.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.catalogue.records import Records
from jobs.status import status_lines
from tests.e2e.test_crash import SEED
from tests.e2e.test_hand_over import Machine
from tests.support.busy import patient
from tests.support.deployment import docker
from tests.support.image_checkout import Checkout, containers_of, untagged_of

INTERRUPTS = int(os.environ.get("CALVINVERSE_INTERRUPTS", "1"))

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)

ENDING_SECONDS = 90.0
"""How long an interrupted command may take to clean up: 60 s for its threads, and what is left then ends with it."""

UNDEPLOY = """
import sys
from pathlib import Path
from images.interrupts import handle_signals
from jobs.places import Places
from jobs.undeploy import undeploy
handle_signals()
undeploy(Places(Path(sys.argv[1])), print, force=True)
"""

BUILD = """
import sys
from pathlib import Path
from images.interrupts import handle_signals
from images.pipeline.builder import Builder
handle_signals()
Builder(Path(sys.argv[1]), Path(sys.argv[2])).build(None, print)
"""


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    """A program in a session of its own, which nobody reads."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )


def interrupt(process: subprocess.Popen[str], dice: random.Random, seconds: float) -> str:
    """Sends a process one of the signals within that time, and waits until it has ended; says what was done."""
    number, offset = dice.choice(SIGNALS), dice.uniform(0, seconds)
    try:
        process.wait(offset)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    if process.stdout is not None:
        process.stdout.close()  # its terminal is gone too
    process.wait(patient(ENDING_SECONDS))
    return f"{number.name} after {offset:.2f} s, status {process.returncode}"


def left_of(state: Path) -> dict[str, list[str]]:
    """What stands on this machine for a state folder: files, mounts, processes, sockets, containers."""
    folder = str(state)
    containers = json.loads(docker_inspect(docker("ps", "--all", "--quiet")))
    found = {
        "files": [path.name for path in state.iterdir() if path.name != "deploy.lock"],
        "mounts": [line for line in Path("/proc/self/mounts").read_text().splitlines() if folder in line],
        "processes": list(_processes(folder)),
        "sockets": [line for line in Path("/proc/net/unix").read_text().splitlines() if folder in line],
        "containers": [one["Name"] for one in containers if folder in json.dumps(one.get("Mounts", []))],
    }
    return {kind: those for kind, those in found.items() if those}


def docker_inspect(ids: list[str]) -> str:
    """What the engine tells of containers, some of which may go meanwhile."""
    if not ids:
        return "[]"
    done = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, timeout=120, check=False)
    return done.stdout or "[]"


def _processes(folder: str) -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if folder in line:
                yield f"{entry.name} {line}"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "state", names=("web",))
    yield machine
    machine.remove()


def test_interrupted_deploys_and_undeploys_converge_and_leave_nothing(machine: Machine) -> None:
    print(f"seed {SEED}, {INTERRUPTS} times")
    dice = random.Random(SEED)
    deploying, removing = 20.0, 5.0
    for number in range(INTERRUPTS):
        story = [f"seed {SEED}, time {number}: deploy {interrupt(machine.deploy(), dice, deploying)}"]
        if number == 0 or dice.random() < 0.5:
            began = time.monotonic()
            machine.deployed()
            deploying = time.monotonic() - began
            wrong = [line for line in status_lines(machine.where) if line.health[0] not in "✓○"]
            assert wrong == [], story
        story.append(f"undeploy {interrupt(started(UNDEPLOY, str(machine.where.state)), dice, removing)}")
        print("; ".join(story), flush=True)
        began = time.monotonic()
        machine.remove()
        removing = time.monotonic() - began
        assert left_of(machine.where.state) == {}, story


def test_interrupted_builds_converge_and_leave_nothing(image_checkout: Checkout) -> None:
    checkout = image_checkout
    print(f"seed {SEED}, {INTERRUPTS} times")
    dice = random.Random(SEED + 1)
    seconds = 15.0
    for number in range(INTERRUPTS):
        checkout.provision(checkout.first, f"echo served > /opt/purpose; sleep 1; echo {number}")
        program = started(BUILD, str(checkout.folder), str(checkout.state))
        story = f"seed {SEED}, time {number}: build {interrupt(program, dice, seconds)}"
        print(story, flush=True)
        began = time.monotonic()
        records = checkout.build()
        seconds = time.monotonic() - began
        assert [record.status for record in records] == ["good", "good"], story
        assert [Records(checkout.state, record.image).unfinished() for record in records] == [None, None], story
        assert containers_of(checkout) == untagged_of(checkout) == [], story
