"""What an older version knew nothing of: batch jobs that are done, new versions that wait, and what stopped working.

Each of it on an environment that the older version made.
"""

from pathlib import Path
from typing import Any

from environments.providers.backend.connections import Connections
from tests.support.attack_harness import Person, until
from tests.upgrade.refused import CASES

DONE, CANARY = "up-done", "up-canary"
SECONDS = 240.0

Runs = tuple[int, tuple[str, ...]]
"""A job's version in Nomad, and the ids of its allocations."""

_WAITS = 'with = { file = "app.nomad.hcl",'


def flags(person: Person, name: str) -> list[str]:
    """What an environment is flagged with though nothing is wrong with it."""
    view = person.get(f"/v1/environments/{name}")
    return [
        f"{name}: {flag} is {view.get(flag)!r}, and should be empty"
        for flag in ("degraded", "awaiting_promotion")
        if view.get(flag) != []
    ]


def runs(state: Path, name: str, job: str) -> Runs:
    """How often a job was registered and started."""
    place = f"/v1/job/{job}"
    found = _nomad(state, "GET", f"{place}?namespace={name}")
    started = _nomad(state, "GET", f"{place}/allocations?namespace={name}")
    return int(found["Version"]), tuple(sorted(item["ID"] for item in started))


def see_promotion(admin: Person, alice: Person) -> list[str]:
    """Updates a job to a version that waits for a person, and promotes it."""
    admin.push(CASES / "canary", {_WAITS: _WAITS.replace(",", ', promotion = "manual",'), '"1"': '"2"'})
    alice.put(f"/v1/environments/{CANARY}", {"parameters": {"mark": "after"}})
    view = admin.settled(CANARY, SECONDS)
    if view["state"] != "ready" or view["awaiting_promotion"] != ["app"]:
        return [f"{CANARY} is {view['state']}, and {view['awaiting_promotion']} awaits promotion: {view['failure']}"]
    alice.post(f"/v1/environments/{CANARY}/promote")
    view = admin.settled(CANARY, SECONDS)
    return [f"{CANARY} is {view['state']} when promoted: {view['failure']}"] if view["state"] != "ready" else []


def see_degraded(state: Path, alice: Person) -> list[str]:
    """Removes a job behind the service's back, and has it repaired: what is told of it comes, and goes."""

    def degraded() -> Any:
        return alice.get(f"/v1/environments/{CANARY}")["degraded"]

    _nomad(state, "DELETE", f"/v1/job/app?namespace={CANARY}")
    told = until(degraded, f"nobody sees that the job of {CANARY} is gone", SECONDS)
    faults = [] if told[0]["step"] == "app" else [f"{CANARY} is degraded by something else: {told}"]
    alice.post(f"/v1/environments/{CANARY}/repair")
    view = alice.settled(CANARY, SECONDS)
    if view["state"] != "ready":
        faults.append(f"{CANARY} is {view['state']} when repaired: {view['failure']}")
    until(lambda: not degraded(), f"{CANARY} stays degraded when it is repaired", SECONDS)
    return [*faults, *flags(alice, CANARY)]


def _nomad(state: Path, method: str, path: str) -> Any:
    return Connections.load(state / "connections.json").caller("nomad").call(method, path)
