"""However many plans, observations and deployments there are, a process runs only so many tofu at once."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from environments.domain.errors import TooManyRequests
from environments.domain.plan import Change
from environments.providers.opentofu.folders import WorkFolders
from environments.providers.opentofu.installation import Installation
from environments.providers.opentofu.ports import Module, Output, Place, StateAccess
from environments.providers.opentofu.prepared import Prepared
from environments.providers.opentofu.run_queue import RunQueue
from environments.providers.opentofu.runner import OpenTofu
from environments.steps.base import Owner
from tests.support.step_harness import Run

MODULE = Module({"main.tf": b"output x { value = 1 }\n"}, {}, encrypted=False)

FAKE = """#!/bin/sh
[ "$1" = version ] && {{ echo "OpenTofu v1.12.6"; exit 0; }}
touch {folder}/run-$$
ls {folder} | grep -c run- >> {folder}/counts
sleep 0.1
rm {folder}/run-$$
case "$1" in show|output) echo '{{}}';; esac
"""


class NoUnsavedStates:
    def keep(self, content: bytes, why: str) -> None:
        raise AssertionError(why)

    def newer(self) -> bytes | None:
        return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "runs"
    made.mkdir()
    program = tmp_path / "tofu"
    program.write_text(FAKE.format(folder=made))
    program.chmod(0o755)
    return made


def tofu(folder: Path, at_once: int) -> OpenTofu:
    base = folder.parent
    installation = Installation(str(base / "tofu"), None, base / "providers")
    return OpenTofu(installation, WorkFolders(base / "work"), Prepared(base / "prepared"), at_once=at_once)


def place(number: int) -> Place:
    owner = Owner(f"env-{number}", f"number-{number}")
    return Place(owner, "net", StateAccess("http://127.0.0.1:1", "someone", "word"), "")


def counts(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "counts").read_text().split()]


def test_plans_observations_and_deployments_share_one_limit(folder: Path) -> None:
    runs = tofu(folder, at_once=2)

    def apply(number: int) -> Mapping[str, Output]:
        return runs.apply(
            place(number), MODULE, Run(limit=120), lambda planned: None, lambda done: None, unsaved=NoUnsavedStates()
        )

    with ThreadPoolExecutor(30) as pool:
        asked: list[Future[object]] = []
        for number in range(10):
            asked.append(pool.submit(runs.plan, place(number), MODULE, Run(limit=120)))
            asked.append(pool.submit(apply, 100 + number))
            asked.append(pool.submit(runs.addresses, place(200 + number), encrypted=False))
        for found in asked:
            found.result()
    seen = counts(folder)
    assert len(seen) > 30
    assert max(seen) == 2


def test_a_run_that_gets_no_slot_in_time_says_so(folder: Path) -> None:
    runs = tofu(folder, at_once=1)
    with (
        runs._queue.slot(reads=False, wait=time.sleep),
        pytest.raises(TooManyRequests, match="busy with other modules"),
    ):
        runs.plan(place(1), MODULE, Run(limit=0.5))
    assert list(runs.plan(place(1), MODULE, Run(limit=60))) == list[Change]()


def test_runs_start_in_the_order_of_asking_and_tell_the_position() -> None:
    queue, came, told = RunQueue(1), list[int](), list[str]()
    begun = threading.Event()

    def go(number: int) -> None:
        with queue.slot(reads=False, wait=time.sleep, say=told.append if number == 2 else lambda line: None):
            came.append(number)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(3)]
    with queue.slot(reads=False, wait=time.sleep):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            while len(queue._waiting) < number or (number == 3 and not told):
                begun.wait(0.01)
    for thread in threads:
        thread.join(120)
    assert came == [0, 1, 2]
    assert told[0] == "Waiting for OpenTofu: 1 runs at once, 2 more before this one."
