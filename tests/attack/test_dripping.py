"""Attack 6: a service whose answers never end holds up nobody but its owner."""

import threading
import time
from typing import Any

import pytest

from tests.support.attack_harness import Person, Target, until

VALIDATIONS = 45
"""More than there are threads for requests."""

SLOWEST = 15.0
"""Seconds within which everybody else is answered, on a busy machine."""


@pytest.fixture
def dripping(mallory: Person) -> Any:
    """An environment whose service drips; the check of it ends by its own time limit."""
    view = mallory.create("drip", "attack-drip")
    yield view
    mallory.destroy("drip")


def test_looks_at_a_dripping_service_hold_up_nobody(
    target: Target, mallory: Person, alice: Person, dripping: Any
) -> None:
    assert dripping["state"] == "failed"
    assert dripping["failure"]["step"] == "answers", dripping["failure"]
    bodies: list[tuple[str, Any]] = [("observe", None), ("plan", {"kind": "update", "parameters": {"message": "x"}})]
    codes: list[int] = []

    def validate(number: int) -> None:
        what, body = bodies[number % len(bodies)]
        try:
            response = mallory.http.post(f"/v1/environments/drip/{what}", json=body, timeout=180)
            codes.append(response.status_code)
        except Exception:  # noqa: BLE001 - a validation that breaks is counted below
            codes.append(0)

    threads = [threading.Thread(target=validate, args=(number,)) for number in range(VALIDATIONS)]
    for thread in threads:
        thread.start()
    slowest, end = 0.0, time.monotonic() + 12
    while time.monotonic() < end:
        began = time.monotonic()
        assert alice.http.get("/v1/environments", timeout=60).status_code == 200
        assert target.nobody.http.get("/self/liveness", timeout=60).status_code == 200
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.2)
    alice.made("drip-neighbour", "attack-notes")
    alice.destroy("drip-neighbour")
    assert slowest < SLOWEST
    until(lambda: len(codes) == VALIDATIONS, "validations with a dripping service never end", 150)
    for thread in threads:
        thread.join(120)
    assert 500 not in codes
    assert 0 not in codes
