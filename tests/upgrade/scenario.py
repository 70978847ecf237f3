"""Environments of every kind, made in an older version; what has to be so before and after the upgrade.

All over HTTP, and by the makers' APIs of the parts: nothing here depends on what either version looks like inside.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from environments.providers.backend.connections import Connections
from tests.support.attack_harness import Person, bundle, until
from tests.support.cluster_snapshot import Taker
from tests.support.denial import denied
from tests.upgrade import nomad_jobs
from tests.upgrade.nomad_jobs import CANARY, DONE
from tests.upgrade.refused import CASES, NAME, push, refused_by, taken

SECONDS = 240.0
"""Within which an environment settles."""

ID_LIKE = "env-abcdefghjkmn"
GIVEN_UP = "up-given-up"
WORKING = 45
"""Seconds that the update takes which runs while the upgrade goes on."""

KEPT = ("id", "name", "owner", "template", "state", "parameters", "outputs", "deadline", "created_at", "bundle")
"""What an upgrade doesn't change of an environment at rest."""

Tell = Callable[[str], object]


@dataclass
class Scenario:
    """What was made, by the name that it is spoken of."""

    admin: Person
    alice: Person
    child: Person
    ids: dict[str, str] = field(default_factory=dict)
    views: dict[str, dict[str, Any]] = field(default_factory=dict)
    revealed: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    templates: frozenset[str] = frozenset()
    done: nomad_jobs.Runs = (0, ())
    plan: str = ""
    abandoned: str = ""

    def reach(self, state: Path) -> None:
        """Everybody reads again where the service is: an upgrade may have given it TLS."""
        address, ca_file = service(state)
        for person in (self.admin, self.alice, self.child):
            person.reach(address, ca_file)


def people(state: Path) -> tuple[Person, Person, Person]:
    """An admin, a user, and the user by a token that another one of theirs made; all of the older version."""
    address, ca_file = service(state)
    admin = Person("admin", address, (state / "token").read_text().strip(), ca_file)
    first = admin.post("/v1/tokens", {"owner": "alice", "ttl": "30d"})
    alice = Person("alice", admin.address, first["secret"], admin.ca_file)
    child = alice.post("/v1/tokens", {"owner": "alice", "ttl": "10d", "note": "made by a token"})
    return admin, alice, Person("child", admin.address, child["secret"], admin.ca_file)


def service(state: Path) -> tuple[str, Path | None]:
    """Where the deployed service itself is, and the file with the authority of its certificate, if it has one."""
    context = json.loads((state / "context.json").read_text())
    context = context.get("behind_edge") or context
    return str(context["address"]), state / context["ca_file"] if context.get("ca_file") else None


def make(state: Path, commit: str, tell: Tell) -> Scenario:
    """Makes them all, in the older version; except what that commit refuses, which is told."""
    admin, alice, child = people(state)
    scenario = Scenario(admin, alice, child)
    refused = refused_by(commit)
    cases = ("notes", "failing", "slow", "module", "pattern", "volumes", "reader", "done", "canary")
    scenario.templates = frozenset(f"up-{case}" for case in cases if push(admin, case, refused.get(case), tell))
    image = next(image["reference"] for image in admin.get("/v1/images") if image["name"] == "web")
    # In some version whoever typed a reference revealed the secrets of others by it.
    typed = "secret:environments/up-web/password#password"
    asked: dict[str, tuple[Person, str, Mapping[str, Any]]] = {
        "up-web": (alice, "web", {"branch": "feature/x", "message": "before"}),
        "up-module": (alice, "up-module", {"size": 1}),
        "up-failed": (alice, "up-failing", {"pin": "4711"}),
        "up-slow": (alice, "up-slow", {}),
        "up-cancelled": (child, "up-slow", {"seconds": 600}),
        GIVEN_UP: (alice, "up-notes", {}),
        ID_LIKE: (alice, "up-notes", {"message": "named like an id"}),
        "up-planned": (alice, "up-notes", {}),
        "up-gone": (alice, "up-notes", {}),
        "up-pattern": (alice, "up-pattern", {}),
        "up-volumes": (admin, "up-volumes", {}),
        "up-reader": (child, "up-reader", {"admin_login": typed}),
        DONE: (alice, "up-done", {"image": image}),
        CANARY: (alice, "up-canary", {}),
    }
    asked = {name: wish for name, wish in asked.items() if wish[1] == "web" or wish[1] in scenario.templates}
    for name, (person, template, parameters) in asked.items():
        body = {"name": name, "template": template, "parameters": dict(parameters), "ttl": "8h"}
        tell(f"  {name}")
        refusal = refused.get(NAME) if name == ID_LIKE else None
        if accepted := taken(person, NAME, "/v1/environments", body, refusal, tell):
            scenario.ids[name] = accepted["environment"]["id"]
    for name in list(scenario.ids):
        if name == "up-cancelled":
            _when_working(alice, name)
            alice.post(f"/v1/environments/{name}/cancel", {"force": True})
        view = admin.settled(name, SECONDS)
        expected = "failed" if name in ("up-failed", "up-cancelled") else "ready"
        assert view["state"] == expected, (name, view["state"], view["failure"])
    alice.post("/v1/environments/up-web/extend", {"ttl": "30h"})
    plan = alice.post("/v1/environments/up-planned/plan", {"kind": "update", "parameters": {"message": "planned"}})
    scenario.plan = plan["id"]
    assert alice.destroy("up-gone", SECONDS)["state"] == "destroyed"
    _give_up(state, scenario)
    scenario.views = {name: admin.get(f"/v1/environments/{id}") for name, id in scenario.ids.items()}
    scenario.done = nomad_jobs.runs(state, DONE, "work")
    for name, id in scenario.ids.items():
        scenario.revealed[name] = _revealed(admin, id)
        scenario.events[name] = len(admin.get(f"/v1/environments/{id}/events?limit=1000"))
    alice.put("/v1/environments/up-slow", {"parameters": {"seconds": WORKING}})
    _when_working(alice, "up-slow")
    return scenario


def _when_working(person: Person, name: str) -> None:
    """Waits until its job is being run."""

    def working() -> bool:
        deployment = person.get(f"/v1/environments/{name}")["deployment"]
        return any(step["name"] == "work" and step["state"] == "running" for step in deployment["steps"])

    until(working, f"{name} doesn't begin to work", SECONDS)


def _give_up(state: Path, scenario: Scenario) -> None:
    """Makes a destroy fail, abandons the environment, and asks for another one of the same name, as was possible."""
    with denied(Connections.load(state / "connections.json").caller("vault"), GIVEN_UP):
        ended = scenario.alice.destroy(GIVEN_UP, SECONDS)
        assert ended["state"] == "destroy_failed", ended
        scenario.abandoned = scenario.ids.pop(GIVEN_UP)
        scenario.alice.post(f"/v1/environments/{scenario.abandoned}/abandon", {"reason": "its secret is stuck"})
    again = scenario.alice.ask(GIVEN_UP, "up-notes")
    if again.status_code == 202:
        scenario.ids[GIVEN_UP] = again.json()["environment"]["id"]
        scenario.alice.settled(scenario.ids[GIVEN_UP], SECONDS)


def _revealed(person: Person, id: str) -> Any:
    """The outputs with their secrets; of an environment that is gone, that they can't be read."""
    response = person.http.get(f"/v1/environments/{id}/outputs?reveal=true")
    return response.json() if response.status_code == 200 else response.json()["code"]


def compare(scenario: Scenario) -> list[str]:
    """What was lost or changed by the upgrade alone."""
    faults = []
    listed = {view["id"] for view in scenario.admin.get("/v1/environments?ended=true")}
    for name, id in scenario.ids.items():
        before = scenario.views[name]
        if id not in listed:
            faults.append(f"{name} is not in the list any more")
            continue
        after = scenario.admin.get(f"/v1/environments/{id}")
        if name not in ("up-slow", "up-reader"):
            faults += [
                f"{name}: {what} was {before[what]!r} and is {after[what]!r}"
                for what in KEPT
                if before[what] != after[what]
            ]
        if after["state"] == "ready":
            faults += nomad_jobs.flags(scenario.admin, id)
        if name not in ("up-gone", "up-reader") and _revealed(scenario.admin, id) != scenario.revealed[name]:
            faults.append(f"{name}: an output reveals something else than before")
        if len(scenario.admin.get(f"/v1/environments/{id}/events?limit=1000")) < scenario.events[name]:
            faults.append(f"{name}: events are gone")
    reader = scenario.ids.get("up-reader")
    if reader and scenario.revealed["up-web"]["password"]["value"] in json.dumps(_revealed(scenario.admin, reader)):
        faults.append("a typed reference, kept from before, reveals a secret of another environment")
    if ID_LIKE in scenario.ids and scenario.alice.get(f"/v1/environments/{ID_LIKE}")["id"] != scenario.ids[ID_LIKE]:
        faults.append(f"{ID_LIKE} doesn't lead to the environment of that name")
    if scenario.admin.get(f"/v1/environments/{scenario.abandoned}")["state"] != "abandoned":
        faults.append("what was abandoned is not so any more")
    for person in (scenario.alice, scenario.child):
        if person.get("/self/info")["owner"] != "alice":
            faults.append(f"the token of {person.name} is not alice's any more")
    for template in sorted(scenario.templates):
        if scenario.alice.http.get(f"/v1/templates/{template}/bundle").status_code != 200:
            faults.append(f"the template {template} is gone")
    return faults


def update(state: Path, scenario: Scenario) -> list[str]:
    """Updates each of them in the newer version."""
    faults = []
    view = scenario.alice.settled("up-slow", SECONDS)
    if view["state"] != "ready" or view["parameters"]["seconds"] != WORKING:
        faults.append(f"the update that ran during the upgrade ended as {view['state']}: {view['failure']}")
    files = bundle(CASES / "failing-mended")
    assert base64.b64decode(files["template.toml"])
    scenario.admin.post("/v1/templates", {"files": files})
    changes: dict[str, tuple[Person, dict[str, Any]]] = {
        "up-web": (scenario.alice, {"message": "after"}),
        "up-module": (scenario.child, {"size": 2}),
        "up-failed": (scenario.alice, {}),
        "up-slow": (scenario.alice, {"seconds": 1}),
        "up-cancelled": (scenario.alice, {"seconds": 0}),
        ID_LIKE: (scenario.alice, {"message": "after"}),
        "up-volumes": (scenario.admin, {"message": "after"}),
        DONE: (scenario.alice, {"message": "after"}),
    }
    changes = {name: change for name, change in changes.items() if name in scenario.ids}
    for name, (person, parameters) in changes.items():
        response = person.http.put(f"/v1/environments/{name}", json={"parameters": parameters})
        if response.status_code != 202:
            faults.append(f"{name} can't be updated: {response.text}")
    if "up-pattern" in scenario.ids:
        pattern = scenario.alice.http.put("/v1/environments/up-pattern", json={"parameters": {"word": "cab"}})
        if pattern.status_code not in (202, 422) or (pattern.status_code == 422 and "word" not in pattern.text):
            faults.append(f"up-pattern: {pattern.status_code} {pattern.text}")
    applied = scenario.alice.http.post(f"/v1/plans/{scenario.plan}/apply")
    if applied.status_code not in (202, 409):
        faults.append(f"the saved plan: {applied.status_code} {applied.text}")
    for name in [*changes, *({"up-planned", "up-pattern"} & set(scenario.ids))]:
        view = scenario.admin.settled(name, SECONDS)
        if view["state"] != "ready":
            faults.append(f"{name} is {view['state']} after its update: {view['failure']}")
    vault = Connections.load(state / "connections.json").caller("vault")
    kept = vault.call("GET", "/v1/secret/data/environments/up-failed/keys")
    if kept["data"]["data"] != {"pin": "4711"}:
        faults.append("the secret parameter that waited in the database did not arrive")
    password = scenario.admin.get("/v1/environments/up-web/outputs?reveal=true")["password"]["value"]
    if password != scenario.revealed["up-web"]["password"]["value"]:
        faults.append("the update of up-web made another password")
    if (runs := nomad_jobs.runs(state, DONE, "work")) != scenario.done:
        faults.append(f"the update of {DONE} ran its batch job again: {scenario.done} became {runs}")
    faults += nomad_jobs.see_promotion(scenario.admin, scenario.alice)
    return faults + nomad_jobs.see_degraded(state, scenario.alice)


def destroy(state: Path, scenario: Scenario) -> list[str]:
    """Destroys each of them, and counts what is left by the makers' own APIs."""
    faults = []
    connections = Connections.load(state / "connections.json")
    # Of what was abandoned a person has to remove what is left.
    for kept in ("database", ".owner"):
        connections.caller("vault").call("DELETE", f"/v1/secret/metadata/environments/{GIVEN_UP}/{kept}")
    connections.caller("consul").call("DELETE", f"/v1/kv/environments/{GIVEN_UP}/?recurse=true")
    for name, id in scenario.ids.items():
        if name != "up-gone":
            response = scenario.admin.http.post(f"/v1/environments/{id}/destroy", json={"reason": "upgraded"})
            if response.status_code not in (200, 202):
                faults.append(f"{name} can't be destroyed: {response.text}")
    for name, id in scenario.ids.items():
        view = scenario.admin.settled(id, SECONDS)
        if view["state"] != "destroyed":
            faults.append(f"{name} is {view['state']}: {view['failure']}")
    taker = Taker(connections, state)
    try:
        things = taker.take().things
    finally:
        taker.close()
    names = [*scenario.ids, GIVEN_UP]
    for kind, found in things.items():
        if left := sorted(thing for thing in found if any(name in thing for name in names)):
            faults.append(f"left behind, {kind}: {', '.join(left)}")
    for kind in ("nomad namespaces", "openbao pki roles", "openbao leases"):
        # The edge of the deployment itself has a certificate.
        own = {thing for thing in things[kind] if thing in ("default", "meta") or thing.startswith("pki/issue/meta/")}
        if strange := sorted(things[kind] - own):
            faults.append(f"left behind, {kind}: {', '.join(strange)}")
    return faults
