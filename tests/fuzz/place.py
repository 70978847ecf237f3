"""The service that is fuzzed: on a real cluster, with something of every kind that a route can be about."""

import base64
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import httpx2

from environments.api.app import create_app
from environments.bootstrap.parts import new_id
from environments.bootstrap.sign_in import pages
from environments.domain.access import Person, PersonKind
from environments.domain.received_event import NewReceivedEvent, Source
from environments.pages.requests import SESSION_COOKIE
from environments.service.built_in_provider import ENDPOINTS, PROVIDER_PATH
from environments.service.sessions import Sessions
from environments.stores.database import open_database
from tests.fakes.service import make_service
from tests.support.access.routes import routes_of
from tests.support.promises import CHECKOUT
from tests.support.service_process import ServiceProcess

CASE = CHECKOUT / "tests" / "cases" / "attack" / "notes"

VISITOR, LEAVER = "fuzz-visitor", "fuzz-leaver"
"""People with sessions: one who stays, and one whose sessions end one after the other."""

PEOPLE = ("fuzz-ada", "fuzz-bob", "fuzz/old", "svc-fuzz")
"""Two who sign in, an owner of an early version, and a service account: with them anything may happen."""

GROUPS = ("fuzz-group", "fuzz-group-2")
WEBHOOKS = ("fuzz-hook", "fuzz-hook-2")
LOCAL = ("fuzz-local", "fuzz-local-2")
SUBJECTS = (*PEOPLE, *(f"group:{name}" for name in GROUPS), "everyone")

_INPUT = re.compile(r'name="([^"]+)"(?:[^<>]*?value="([^"]*)")?')


@dataclass(frozen=True)
class Size:
    """What the service's process takes: KiB, threads, open files."""

    memory: int
    threads: int
    files: int


class Fuzzed:
    """A service that runs, what it takes, and whose tokens and sessions there are."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service = service
        self.sessions = _people_with_sessions(service.state / "service")
        self.ids: dict[str, list[str]] = {"events": _received(service.state / "service")}
        service.start()
        token = service.token_file.read_text().strip()
        self.tokens = {"admin": token}
        self.http = self.as_who("admin")
        self.tokens["user"] = self.http.post("/v1/tokens", json={"owner": "user"}).json()["secret"]
        self._fill()

    @property
    def spared(self) -> list[str]:
        """What nobody may end: those who ask, their tokens, and the template that they create from."""
        owners = {"root", "user"}
        tokens = [one["id"] for one in self.http.get("/v1/tokens").json() if one["owner"] in owners]
        return [*owners, VISITOR, LEAVER, "attack-notes", *tokens]

    def as_who(self, who: str) -> httpx2.Client:
        """Asks as an admin or a user."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return httpx2.Client(base_url=self.service.address, headers=headers, timeout=60, trust_env=False)

    def bearing(self, who: str) -> dict[str, str]:
        """The headers of a program with an admin's or a user's token."""
        return {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json"}

    def visiting(self, session: str) -> dict[str, str]:
        """The headers of a browser that is signed in with that session."""
        return {"Cookie": f"{SESSION_COOKIE}={session}", "Sec-Fetch-Site": "same-origin"}

    def inputs(self, paths: Iterable[str]) -> dict[str, list[str]]:
        """The fields of the forms of these pages, for the visitor and for strangers, with what is in them."""
        found: dict[str, list[str]] = {}
        with httpx2.Client(base_url=self.service.address, timeout=60, trust_env=False) as browser:
            for headers in ({}, self.visiting(self.sessions[VISITOR][0])):
                for path in paths:
                    for name, value in _INPUT.findall(browser.get(path, headers=headers).text):
                        found.setdefault(unescape(name), []).append(unescape(value))
        return {name: sorted(set(values)) for name, values in found.items()}

    def size(self) -> Size:
        """Measured, once nothing is going on any more."""
        folder = Path("/proc", str(self.service.pid))
        status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines())
        return Size(int(status["VmRSS"].split()[0]), int(status["Threads"]), len(list((folder / "fd").iterdir())))

    def series(self) -> list[str]:
        """The service's series, as Prometheus reads them."""
        text = self.http.get("/metrics").text
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    def _fill(self) -> None:
        text = (CASE / "template.toml").read_text()
        for name in ("attack-notes", "fuzz-notes"):
            files = {"template.toml": base64.b64encode(text.replace("attack-notes", name).encode()).decode()}
            _good(self.http.post("/v1/templates", json={"files": files}))
        for who in self.tokens:
            with self.as_who(who) as person:
                body = {"name": f"fuzz-{who}", "template": "attack-notes", "ttl": "1h"}
                made = _good(person.post("/v1/environments", json=body))
                plan = {"kind": "create", "template": "attack-notes"}
                planned = _good(person.post("/v1/environments/fuzz-new-1/plan", json=plan))
                self._keep("environments", made["environment"]["id"])
                self._keep("deployments", made["deployment_id"])
                self._keep("plans", planned["id"])
        for name in LOCAL:
            _good(self.http.post("/v1/local-people", json={"user_name": name}))
        _good(self.http.post("/v1/service-accounts", json={"name": "svc-fuzz", "responsible": "fuzz-ada"}))
        for name in WEBHOOKS:
            _good(self.http.post("/v1/webhooks", json={"name": name, "kind": "generic"}))
        for name in GROUPS:
            _good(self.http.post("/v1/groups", json={"name": name}))
            for member in PEOPLE:
                _good(self.http.put(f"/v1/groups/{name}/members/{member}"))
        for _ in range(5):
            self._keep(
                "account tokens", _good(self.http.post("/v1/service-accounts/svc-fuzz/tokens", json={}))["token"]["id"]
            )
            self._keep("tokens", _good(self.http.post("/v1/tokens", json={"owner": "fuzz-ada"}))["token"]["id"])
        for number in range(5):
            rest = {
                "name": f"rest-{number}",
                "on": "idle",
                "for": "2h",
                "cpu": 1,
                "action": "notify",
                "message": "idle",
            }
            for path, more in (("/v1/triggers", "attack-notes"), ("/v1/environments/fuzz-admin/triggers", "")):
                definition = rest | ({"template": more} if more else {})
                self._keep("triggers", _good(self.http.post(path, json={"definition": definition}))["id"])
        for session in _good(self.http.get("/v1/auth/sessions?owner=fuzz-ada")):
            self._keep("sessions", session["id"])

    def _keep(self, kind: str, id: str) -> None:
        self.ids.setdefault(kind, []).append(id)

    def destroy_all(self) -> None:
        """The cluster is for other tests too."""
        end = time.monotonic() + 120
        while left := self.http.get("/v1/environments").json():
            for view in left:
                if view["state"] not in ("destroying", "destroyed") and view["managed_by"] is None:
                    self.http.post(f"/v1/environments/{view['id']}/destroy")
            if all(view["managed_by"] for view in left):
                return
            assert time.monotonic() < end, [(view["name"], view["state"], view["failure"]) for view in left]
            time.sleep(0.5)


@dataclass(frozen=True)
class Routes:
    """Method and path of everything that answers, also of what OpenAPI doesn't have; `pages`: paths of pages."""

    every: tuple[tuple[str, str], ...]
    pages: frozenset[str]

    @property
    def paths(self) -> set[str]:
        """All paths, with their fields."""
        return {path for _, path in self.every}


def all_routes(folder: Path) -> Routes:
    """The routes, the pages and the endpoints of the provider."""
    service = make_service(folder)
    try:
        front: Any = pages(service, service.world.derive, service.clock, "").kwargs["pages"]
        listed = [route.partition(" ")[::2] for route in routes_of(create_app(service))]
        shown = [(method, path) for path, methods in front.paths.items() for method in methods]
        passed = [(method, f"{PROVIDER_PATH}/{name}") for name, methods in ENDPOINTS.items() for method in methods]
        return Routes(tuple(sorted({*listed, *shown, *passed})), frozenset(path for _, path in shown))
    finally:
        service.database.close()


def _people_with_sessions(folder: Path) -> dict[str, list[str]]:
    """People who have signed in, in the database of a service that hasn't begun; the secrets of their sessions."""
    database = open_database(folder)
    now = datetime.now(UTC)
    begin: Callable[..., Any] = Sessions(database, lambda: now, new_id).begin
    found: dict[str, list[str]] = {}
    try:
        with database.write() as tx:
            tx.people.keep("fuzz/old", PersonKind.UNCLAIMED, now, "")
            for name in (VISITOR, LEAVER, "fuzz-ada", "fuzz-bob"):
                person = Person(
                    name=name,
                    kind=PersonKind.PERSON,
                    issuer="https://id.example.net",
                    subject=name,
                    created_at=now,
                    signed_in_at=now,
                )
                tx.people.add(person)
                found[name] = [begin(tx, person, address="", note="fuzz").secret for _ in range(20)]
    finally:
        database.close()
    return found


def _received(folder: Path) -> list[str]:
    """Received events in the database of a service that hasn't begun; their ids."""
    database = open_database(folder)
    ids = [new_id("evt") for _ in range(3)]
    try:
        with database.write() as tx:
            for id in ids:
                event = NewReceivedEvent(
                    source=Source.PULL_REQUEST, kind="closed", origin="fuzz", delivery=id, subject="acme/shop#12"
                )
                tx.received.add(event, id, datetime.now(UTC))
    finally:
        database.close()
    return ids


def _good(answer: httpx2.Response) -> Any:
    assert answer.status_code < 300, f"{answer.request.method} {answer.request.url}: {answer.text}"
    return answer.json()
