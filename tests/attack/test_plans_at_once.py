"""Attack 7: however many plans are asked for, few programs run."""

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.attack_harness import Person, Target, until

PLANS = 30
AT_ONCE = 4
"""More programs than that never run beside each other; the service's own setting is 2."""


@pytest.fixture
def module(mallory: Person) -> Any:
    view = mallory.made("plans", "attack-module")
    yield view
    mallory.destroy("plans")


def programs(target: Target) -> int:
    """How many of OpenTofu run below the service's process."""
    parents, names = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = dict(
                    line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line
                )
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(folder.name)], names[int(folder.name)] = int(status["PPid"]), status["Name"]
    service = target.process()

    def below(pid: int) -> bool:
        while pid > 1:
            if pid == service:
                return True
            pid = parents.get(pid, 0)
        return False

    return sum(1 for pid, name in names.items() if name.startswith("tofu") and below(pid))


def test_many_plans_run_a_few_at_a_time(target: Target, mallory: Person, alice: Person, module: Any) -> None:
    codes: list[int] = []

    def plan(number: int) -> None:
        body = {"kind": "update", "parameters": {"size": number}}
        response = mallory.http.post("/v1/environments/plans/plan", json=body, timeout=240)
        codes.append(response.status_code)

    threads = [threading.Thread(target=plan, args=(number,)) for number in range(2, 2 + PLANS)]
    process = target.process()
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, programs(target))
        assert alice.http.get("/self/info", timeout=60).status_code == 200
        time.sleep(0.1)
    until(lambda: len(codes) == PLANS, "plans never end")
    assert target.process() == process
    counted = Counter(codes)
    assert set(counted) <= {201, 409, 429, 503}, counted
    assert counted[201] >= 1, counted
    assert 1 <= most <= AT_ONCE
