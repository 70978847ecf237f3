"""Many simulated decisions to destroy, with everything that can go wrong around them: no wrong one.

A sample by default; CALVINVERSE_DECISIONS says how many in all. The simulator must be able to fail, too: with any one
protection taken out, it finds a wrong decision.
"""

import os
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import structlog

from environments.domain.holds import HoldLimits
from environments.engine.clock_check import ClockCheck
from environments.service import expiry, retiming
from tests.support.decisions.dice import Dice
from tests.support.decisions.oracle import WrongDecision

DECISIONS = int(os.environ.get("CALVINVERSE_DECISIONS", "20000"))
WORLDS = max(4, DECISIONS // 25_000)
"""Each with other dice."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the service logs of its thousands of faults helps nobody."""
    former = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.configure(**former)


def test_no_decision_to_destroy_is_wrong() -> None:
    decisions = tempting = destroyed = 0
    for seed in range(WORLDS):
        dice = Dice(seed)
        try:
            dice.play(DECISIONS // WORLDS)
        except WrongDecision as wrong:
            raise AssertionError(f"with seed {seed}, after {dice.world.oracle.decisions} decisions: {wrong}") from wrong
        decisions += dice.world.oracle.decisions
        tempting += dice.world.oracle.tempting
        destroyed += dice.world.oracle.destroyed
    print(
        f"\n{decisions} decisions in {WORLDS} worlds, none wrong. In {tempting} of them the deadline had passed by the "
        f"machine's clock; {destroyed} environments were destroyed.",
        file=sys.stderr,
    )
    assert decisions >= DECISIONS
    assert destroyed > DECISIONS // 1000


LOADED: dict[str, tuple[int, dict[str, int]]] = {
    "any number": (1, {"_edit": 20}),
    "any clock": (3, {"_jump": 5, "_reboot": 10, "_silence": 0}),
    "any copy": (5, {"_restore": 12, "_copy": 6, "_extend": 4}),
    "any deadline": (4, {"_scribble": 20}),
    "no warning counts": (1, {"_edit": 4}),
    "all warned": (1, {"_edit": 10}),
    "nothing computed again": (1, {"_set_policy": 10}),
}
"""For each protection that is taken out: a seed, and plays that come more often, so that its danger comes soon."""


def _taken_out(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], object]]:
    return {
        "any copy": lambda: monkeypatch.setattr(ClockCheck, "_is_restored", lambda *_: False),
        "any deadline": lambda: monkeypatch.setattr(
            expiry, "provable", lambda _, environment: SimpleNamespace(at=environment.deadline)
        ),
        "no warning counts": lambda: monkeypatch.setattr(expiry, "_sudden", lambda _: True),
        "nothing computed again": lambda: monkeypatch.setattr(retiming, "_computed", lambda *_: None),
        "all warned": lambda: monkeypatch.setattr(expiry, "noticed", lambda *_, **__: True),
    }


def _dice(what: str) -> Dice:
    seed, often = LOADED[what]
    limits = HoldLimits(above=10**9) if what == "any number" else None
    return Dice(seed, limits, checks_clock=what != "any clock", often=often)


@pytest.mark.parametrize("what", LOADED)
def test_without_a_protection_the_simulator_finds_a_wrong_decision(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _taken_out(monkeypatch).get(what, lambda: None)()
    dice = _dice(what)
    with pytest.raises(WrongDecision):
        dice.play(8000)
