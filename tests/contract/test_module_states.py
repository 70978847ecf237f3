"""The states of OpenTofu modules over HTTP, on the real database: locked, fenced, every version kept."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from environments.api.routes.module_states import LARGEST_STATE
from environments.api.state_server import StateServer
from environments.domain.environment import EventType
from environments.domain.errors import LeaseLost
from environments.domain.lifecycle import DeploymentKind
from environments.providers.opentofu.ports import StateAccess
from environments.providers.opentofu.served_states import ServedStates
from environments.service.module_states import ModuleStates
from environments.steps.base import Holder, Owner
from environments.wire.environments import CreateRequest
from environments.wire.system import Problem
from tests.fakes.service import Served, served


def state(serial: int = 1, lineage: str = "one", **more: Any) -> bytes:
    """What OpenTofu writes with its state encryption, as far as anybody but OpenTofu can read it."""
    head = {"serial": serial, "lineage": lineage, "meta": {}, "encryption_version": "v0"}
    return json.dumps({**head, "encrypted_data": "AAAA", **more}).encode()


def lock(lock_id: str, who: str = "ada@here") -> dict[str, str]:
    return {"ID": lock_id, "Operation": "OperationTypeApply", "Who": who, "Info": "", "Path": ""}


class Tofu:
    """Speaks as OpenTofu's http backend does."""

    def __init__(self, access: StateAccess) -> None:
        self._access = access
        self._http = httpx2.Client(auth=(access.username, access.password), trust_env=False, timeout=30)

    def get(self) -> httpx2.Response:
        return self._http.get(self._access.address)

    def lock(self, lock_id: str, who: str = "ada@here") -> httpx2.Response:
        return self._http.request("LOCK", self._access.address, json=lock(lock_id, who))

    def unlock(self, lock_id: str) -> httpx2.Response:
        return self._http.request("UNLOCK", self._access.address, json=lock(lock_id))

    def post(self, content: bytes, lock_id: str | None, **headers: str) -> httpx2.Response:
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        return self._http.post(
            self._access.address,
            params={} if lock_id is None else {"ID": lock_id},
            content=content,
            headers={"Content-Type": "application/json", "Content-MD5": digest, **headers},
        )

    def delete(self) -> httpx2.Response:
        return self._http.delete(self._access.address)

    def close(self) -> None:
        self._http.close()


@dataclass
class Scene:
    """A service with one environment `demo`, whose state is that of step `app`."""

    api: Served
    owner: Owner
    states: ServedStates
    speak: Callable[[Holder | None], Tofu]

    def claim(self, worker: str) -> Holder:
        """The deployment of `demo`, taken over from whoever has it."""
        with self.api.service.database.write() as tx:
            tx.deployments.release_all()
            claim = tx.deployments.claim(worker, 60, list(DeploymentKind), datetime.now(UTC))
        assert claim is not None
        return Holder(claim.deployment.id, worker, claim.deployment.epoch)

    def versions(self) -> list[str | None]:
        """For each version of the state why it was refused; None: it was not."""
        found = self.api.service.module_states.versions(self.owner.id, "app")
        return [version.refused for version in found]

    def log(self) -> list[str]:
        """What people read."""
        with self.api.service.database.read() as tx:
            events = tx.events.after(0, environment_id=self.owner.id, limit=100)
        return [event.message for event in events if event.type is EventType.LOG and event.step == "app"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    spoken: list[Tofu] = []
    with served(tmp_path) as api:
        with api.client() as client:
            environment = client.create(CreateRequest(name="demo", template="web")).environment
        owner = Owner(environment.id, environment.name)
        states = ServedStates(api.service.module_states, lambda: api.address)

        def speak(holder: Holder | None) -> Tofu:
            spoken.append(Tofu(states.open(owner, "app", holder)))
            return spoken[-1]

        try:
            yield Scene(api, owner, states, speak)
        finally:
            for tofu in spoken:
                tofu.close()


def problem_of(response: httpx2.Response) -> Problem:
    assert response.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(response.content)
    assert problem.status == response.status_code
    assert problem.hint
    return problem


def test_a_state_is_locked_written_read_and_unlocked_and_every_version_is_kept(scene: Scene) -> None:
    tofu = scene.speak(scene.claim("w1"))
    assert not scene.states.exists(scene.owner, "app")
    assert (tofu.get().status_code, tofu.get().content) == (204, b"")
    assert tofu.lock("a").status_code == 200
    assert tofu.lock("a").status_code == 200, "the answer may have got lost"
    assert tofu.post(state(1), "a").status_code == 200
    assert tofu.post(state(2), "a").status_code == 200
    assert tofu.post(state(2), "a").status_code == 200, "the answer may have got lost"
    answer = tofu.get()
    assert (answer.status_code, answer.content) == (200, state(2))
    assert answer.headers["cache-control"] == "no-store"
    assert tofu.unlock("a").status_code == 200
    assert tofu.unlock("a").status_code == 200, "the answer may have got lost"
    assert tofu.lock("b").status_code == 200
    assert scene.versions() == [None, None]
    assert scene.states.exists(scene.owner, "app")
    assert scene.log() == []


def test_a_second_run_is_told_who_has_the_lock_and_its_write_is_kept_aside(scene: Scene) -> None:
    holder = scene.claim("w1")
    tofu = scene.speak(holder)
    tofu.lock("a", "ada@first")
    held = tofu.lock("b")
    assert (held.status_code, held.json()) == (423, lock("a", "ada@first"))
    assert tofu.post(state(1), "a").status_code == 200
    for lock_id in ("b", None):
        problem = problem_of(tofu.post(state(2, more=lock_id), lock_id))
        assert (problem.code, problem.status, problem.details["kept"]) == ("state_refused", 409, True)
    assert problem_of(tofu.unlock("b")).code == "state_refused"
    assert tofu.get().content == state(1)
    assert scene.versions() == [
        None,
        "another run of OpenTofu has the lock",
        "it came without the lock",
    ]
    assert len(scene.log()) == 2


def test_the_next_run_of_the_same_holder_gets_the_lock_of_the_one_that_died(scene: Scene) -> None:
    holder = scene.claim("w1")
    died = scene.speak(holder)
    died.lock("a")
    tofu = scene.speak(holder)
    assert died.post(state(1), "a").status_code == 200, "until the next one begins it lives"
    assert died.lock("b").status_code == 423
    assert tofu.lock("b").status_code == 200
    assert problem_of(died.post(state(2), "a")).code == "state_refused"
    assert died.lock("a").status_code == 423
    assert tofu.get().content == state(1)
    assert tofu.post(state(2), "b").status_code == 200


def test_a_stale_worker_writes_locks_and_unlocks_nothing(scene: Scene) -> None:
    stale = scene.speak(scene.claim("w1"))
    stale.lock("a")
    stale.post(state(1), "a")
    tofu = scene.speak(scene.claim("w2"))
    problem = problem_of(stale.post(state(2), "a"))
    assert (problem.code, problem.details["why"]) == ("state_refused", "worker w1 no longer holds the deployment")
    assert problem_of(stale.post(state(2), "a")).code == "state_refused"
    assert tofu.get().content == state(1)
    assert tofu.lock("b").status_code == 200, "the lock of who lost the deployment is taken over"
    for refused in (stale.lock("a"), stale.unlock("a"), stale.unlock("b"), stale.delete()):
        assert (refused.status_code, problem_of(refused).code) == (409, "state_refused")
    assert tofu.lock("c").status_code == 423
    assert tofu.post(state(3), "b").status_code == 200
    assert scene.versions() == [None, "worker w1 no longer holds the deployment", None]
    assert stale.get().content == state(3)
    assert [line for line in scene.log() if "taken over" in line] == [
        "The lock of worker w1 on the state was taken over."
    ]
    with pytest.raises(LeaseLost):
        scene.speak(Holder("dep-none", "w1", 1))


def test_the_same_worker_in_a_later_epoch_is_another_one(scene: Scene) -> None:
    first = scene.claim("w1")
    stale = scene.speak(first)
    stale.lock("a")
    again = scene.claim("w1")
    assert again.epoch > first.epoch
    assert problem_of(stale.post(state(1), "a")).code == "state_refused"
    tofu = scene.speak(again)
    assert tofu.lock("b").status_code == 200
    assert tofu.post(state(1), "b").status_code == 200


def test_a_deployment_of_another_environment_opens_nothing(scene: Scene) -> None:
    holder = scene.claim("w1")
    with scene.api.client() as client:
        other = client.create(CreateRequest(name="other", template="web")).environment
    with pytest.raises(LeaseLost):
        scene.states.open(Owner(other.id, other.name), "app", holder)


def test_what_is_kept_aside_is_found_when_it_goes_on_from_the_state(scene: Scene) -> None:
    stale_holder = scene.claim("w1")
    stale = scene.speak(stale_holder)
    stale.lock("a")
    stale.post(state(1), "a")
    holder = scene.claim("w2")
    find = scene.states.aside
    assert find(scene.owner, "app") is None
    stale.post(state(2), "a")
    assert find(scene.owner, "app") == state(2)
    scene.states.keep_aside(scene.owner, "app", stale_holder, state(3), "the service was away")
    scene.states.keep_aside(scene.owner, "app", stale_holder, state(9, "other"), "the service was away")
    scene.states.keep_aside(scene.owner, "app", stale_holder, b"\0cut sh", "the service was away")
    assert find(scene.owner, "app") == state(3)
    tofu = scene.speak(holder)
    tofu.lock("b")
    tofu.post(state(4), "b")
    assert find(scene.owner, "app") is None
    scene.states.remove(scene.owner, "app", holder)
    assert not scene.states.exists(scene.owner, "app")
    assert scene.versions() == []
    scene.states.keep_aside(scene.owner, "app", stale_holder, state(1, "late"), "it came too late")
    assert scene.states.exists(scene.owner, "app"), "something may be there again"
    assert find(scene.owner, "app") == state(1, "late")


def test_a_deleted_state_is_not_there_and_its_versions_are(scene: Scene) -> None:
    holder = scene.claim("w1")
    tofu = scene.speak(holder)
    tofu.lock("a")
    tofu.post(state(1), "a")
    scene.states.keep_aside(scene.owner, "app", holder, state(2), "lost")
    assert tofu.delete().status_code == 200
    assert tofu.delete().status_code == 200
    assert tofu.get().status_code == 204
    assert not scene.states.exists(scene.owner, "app")
    assert scene.states.aside(scene.owner, "app") is None
    assert scene.versions() == [None, "lost", None]
    assert tofu.post(state(5, "new"), "a").status_code == 200
    assert tofu.get().content == state(5, "new")


def test_removing_is_for_the_holder_and_can_be_done_twice(scene: Scene) -> None:
    stale = scene.claim("w1")
    scene.states.keep_aside(scene.owner, "app", stale, state(1), "lost")
    holder = scene.claim("w2")
    with pytest.raises(LeaseLost):
        scene.states.remove(scene.owner, "app", stale)
    assert scene.states.exists(scene.owner, "app")
    scene.states.remove(scene.owner, "app", holder)
    scene.states.remove(scene.owner, "app", holder)
    assert not scene.states.exists(scene.owner, "app")


def test_reading_only_is_reading_only(scene: Scene) -> None:
    tofu = scene.speak(scene.claim("w1"))
    tofu.lock("a")
    tofu.post(state(1), "a")
    reader = scene.speak(None)
    assert reader.get().content == state(1)
    for refused in (reader.lock("b"), reader.post(state(2), "a"), reader.unlock("a"), reader.delete()):
        assert (refused.status_code, problem_of(refused).code) == (403, "forbidden")
    assert scene.versions() == [None]
    assert tofu.post(state(2), "a").status_code == 200


def test_a_credential_is_for_one_holder_one_step_and_one_environment(scene: Scene) -> None:
    holder = scene.claim("w1")
    access = scene.states.open(scene.owner, "app", holder)
    reading = scene.states.open(scene.owner, "app", None)
    other_step = scene.states.open(scene.owner, "db", holder)
    other = scene.api.service.module_states.open("env-other", "app", None)
    deployment, worker, epoch, opened = access.username.split(".")
    shown = [
        (access.username, "wrong"),
        (access.username, ""),
        (access.username, reading.password),
        (access.username, other_step.password),
        (reading.username, other.password),
        (reading.username, access.password),
        (f"{deployment}.{worker}.{int(epoch) + 1}.{opened}", access.password),
        (f"{deployment}.{worker}.{epoch}.{int(opened) + 1}", access.password),
        (f"{deployment}.other.{epoch}.{opened}", access.password),
        (f"plain.{access.username}", access.password),
        ("", ""),
        ("a.b", "c"),
        ("a.b.c.d", "c"),
        ("ä.b.1.1", "ü"),
        (f"a.b.1.{'9' * 5000}", "c"),
        ("a.%ff.1.1", "c"),
    ]
    with httpx2.Client(trust_env=False, timeout=60) as http:
        headers = [{"Authorization": "Basic " + base64.b64encode(f"{u}:{p}".encode()).decode()} for u, p in shown]
        headers += [{}, {"Authorization": f"Bearer {scene.api.token}"}, {"Authorization": "Basic %%%"}]
        headers += [{"Authorization": "Basic /w=="}, {"Authorization": "Basic"}]
        for header in headers:
            for method in ("GET", "POST", "LOCK", "UNLOCK", "DELETE", "PUT"):
                refused = http.request(method, access.address, headers=header, content=b"{")
                assert refused.status_code == 401, (method, header)
                assert problem_of(refused).code == "unauthenticated"
                assert refused.headers["www-authenticate"].startswith("Basic")
        good = httpx2.BasicAuth(access.username, access.password)
        assert http.get(access.address, auth=good).status_code == 204
        assert http.put(access.address, auth=good).status_code == 405
        elsewhere = f"{scene.api.address}/v1/environments"
        assert http.get(elsewhere, auth=good).status_code == 401, "the API takes tokens only"
        assert http.get(f"{access.address}/more", auth=good).status_code == 401


def test_a_worker_may_be_called_anything(scene: Scene) -> None:
    holder = scene.claim("host.example:8400/a b.7")
    tofu = scene.speak(holder)
    assert tofu.lock("a").status_code == 200
    assert tofu.post(state(1), "a").status_code == 200
    assert scene.versions() == [None]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_input"),
        (b"{", "invalid_input"),
        (b"\xff\xfe", "invalid_input"),
        (b"[" * 100_000, "invalid_input"),
        (b"[]", "invalid_input"),
        (json.dumps({"version": 4, "serial": 1, "lineage": "one", "resources": []}).encode(), "state_not_encrypted"),
        (json.dumps({"version": 4, "outputs": {"a": {"value": "hunter2"}}}).encode(), "state_not_encrypted"),
    ],
    ids=["empty", "cut", "no text", "deep", "list", "resources", "outputs"],
)
def test_what_is_no_encrypted_state_is_refused_and_not_kept(scene: Scene, body: bytes, code: str) -> None:
    tofu = scene.speak(scene.claim("w1"))
    tofu.lock("a")
    refused = tofu.post(body, "a")
    assert (refused.status_code, problem_of(refused).code) == (422, code)
    assert "hunter2" not in refused.text
    assert scene.versions() == []


def test_a_step_may_say_that_its_state_is_plain(scene: Scene) -> None:
    plain = json.dumps({"version": 4, "serial": 1, "lineage": "one", "resources": []}).encode()
    tofu = Tofu(scene.states.open(scene.owner, "app", scene.claim("w1"), encrypted=False))
    try:
        tofu.lock("a")
        assert tofu.post(plain, "a").status_code == 200
        assert tofu.get().content == plain
    finally:
        tofu.close()


def test_a_state_that_was_cut_short_on_its_way_is_refused(scene: Scene) -> None:
    tofu = scene.speak(scene.claim("w1"))
    tofu.lock("a")
    refused = tofu.post(state(1), "a", **{"Content-MD5": base64.b64encode(b"x" * 16).decode()})
    assert problem_of(refused).code == "invalid_input"
    assert scene.versions() == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"ID": ""}', b'{"ID": 1}', b'{"ID": "' + b"x" * 201 + b'"}'],
    ids=["nothing", "cut", "list", "none", "empty", "number", "long"],
)
def test_locks_without_an_id_are_refused(scene: Scene, body: bytes) -> None:
    access = scene.states.open(scene.owner, "app", scene.claim("w1"))
    with httpx2.Client(auth=(access.username, access.password), trust_env=False, timeout=60) as http:
        for method in ("LOCK", "UNLOCK"):
            refused = http.request(method, access.address, content=body, headers={"Content-Type": "application/json"})
            assert (refused.status_code, problem_of(refused).code) == (422, "invalid_input"), method
    with scene.api.service.database.read() as tx:
        assert tx.module_states.lock(scene.owner.id, "app") is None


def test_states_of_megabytes_are_taken_up_to_a_limit(scene: Scene) -> None:
    tofu = scene.speak(scene.claim("w1"))
    tofu.lock("a")
    room = LARGEST_STATE - len(state(1, encrypted_data=""))
    large = state(1, encrypted_data="A" * room)
    assert len(large) == LARGEST_STATE
    assert tofu.post(large, "a").status_code == 200
    assert tofu.get().content == large
    refused = tofu.post(state(2, encrypted_data="A" * (room + 2**20)), "a")
    assert (refused.status_code, problem_of(refused).code) == (413, "request_too_large")
    assert tofu.get().content == large


def test_a_forgotten_environment_does_not_look_like_one_without_a_state(scene: Scene) -> None:
    holder = scene.claim("w1")
    tofu = scene.speak(holder)
    tofu.lock("a")
    tofu.post(state(1), "a")
    long_ago = datetime.now(UTC) - timedelta(days=900)
    with scene.api.service.database.write() as tx:
        tx.environments.change(scene.owner.id, destroyed_at=long_ago)
        assert tx.forget_ended(long_ago + timedelta(days=1)) == 1
    for refused in (tofu.get(), tofu.post(state(2), "a"), tofu.lock("b")):
        assert (refused.status_code, problem_of(refused).code) == (409, "state_refused")
    assert scene.versions() == [], "states go with their environment"


def test_beside_a_worker_states_are_served_on_loopback_until_it_has_ended(scene: Scene) -> None:
    server = StateServer(scene.api.service.tokens, scene.api.service.module_states)
    server.start()
    tofu: Tofu | None = None
    try:
        assert server.address.startswith("http://127.0.0.1:")
        states = ServedStates(scene.api.service.module_states, lambda: server.address)
        tofu = Tofu(states.open(scene.owner, "app", scene.claim("w1")))
        assert tofu.lock("a").status_code == 200
        assert tofu.post(state(1), "a").status_code == 200
        assert scene.speak(None).get().content == state(1), "the API gives the same"
        with httpx2.Client(trust_env=False, headers={"Authorization": f"Bearer {scene.api.token}"}, timeout=60) as http:
            assert problem_of(http.get(f"{server.address}/v1/environments")).code == "unknown_route"
        with httpx2.Client(trust_env=False, timeout=60) as http:
            assert problem_of(http.get(f"{server.address}/openapi.json")).code == "unauthenticated"
    finally:
        server.stop()
        server.stop()
    with pytest.raises(httpx2.ConnectError):
        tofu.get()
    tofu.close()


def test_a_credential_for_reading_ends_after_an_hour(scene: Scene) -> None:
    """One that was issued long ago is refused, whatever end it claims; a new one reads."""
    service, owner = scene.api.service, scene.owner
    long_ago = ModuleStates(service.database, lambda: b"\1" * 32, lambda: datetime.now(UTC) - timedelta(minutes=61))
    old = ServedStates(long_ago, lambda: scene.api.address).open(owner, "app", None)
    end = int(old.username.rpartition(".")[2])
    for username in (old.username, f"read-only.{end + 7200}", "read-only"):
        answer = httpx2.get(old.address, auth=(username, old.password), trust_env=False, timeout=60)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert scene.speak(None).get().is_success
