"""Whatever stands in templates, parameters and bundles, from a user or an admin: no 500, no hang, no growth."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from environments.checking.pool import CheckPool
from environments.domain.template import make_bundle
from tests.fakes.kinds import KINDS_HERE
from tests.fakes.service import Served, served
from tests.fuzz import SECONDS
from tests.fuzz.strategies import body, bundles, schemas, template_texts, times, toml, values

SHARE = 0.4
"""Of all seconds; the rest is for the API."""

HANG = 2.0
"""Seconds, on a machine that has nothing else to do."""

MORE_MEMORY = 200 * 1024 * 1024
"""Bytes by which this process, which is the service and the fuzzer, may grow."""

BATCH = 20
OWNERS = 40
"""People: one who sent what is costly has to wait, and would find no more faults."""

ANSWERS = frozenset({200, 201, 202, 400, 403, 404, 409, 413, 415, 422, 429})


@dataclass
class Fuzzed:
    """A service, and people who send it things."""

    api: Served
    http: httpx2.Client
    users: list[str]
    admins: list[str]
    turn: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    def send(self, who: str, path: str, value: Any) -> httpx2.Response:
        """Sends it as the next of those people. Fails unless it is answered properly and in time."""
        content = body(value)
        note(f"{who}: POST {path} {content[:3000]!r}")
        for _ in range(3):
            self.turn += 1
            tokens = self.admins if who == "admin" else self.users
            headers = {"Authorization": f"Bearer {tokens[self.turn % OWNERS]}", "Content-Type": "application/json"}
            began = time.monotonic()
            answer = self.http.post(path, content=content, headers=headers)
            taken = time.monotonic() - began
            _check(answer)
            told = answer.json()
            kind = str(told.get("code", "ok")) if isinstance(told, dict) else "ok"
            self.seen[kind] = self.seen.get(kind, 0) + 1
            if taken <= HANG or taken <= HANG * _slowness():
                return answer
        raise AssertionError(f"{path} took {taken:.1f} s")


def _check(answer: httpx2.Response) -> None:
    assert answer.status_code in ANSWERS, f"{answer.status_code}: {answer.text[:2000]}"
    assert len(answer.content) < 2_000_000
    told = answer.json()
    if answer.status_code >= 400:
        assert told["code"] not in ("internal", "conflict"), told
        assert told["detail"]
        assert told["hint"]


def _slowness() -> float:
    """How much longer than on an idle machine things take right now; 1 at least."""
    wall, processor = time.monotonic(), time.thread_time()
    while time.thread_time() - processor < 0.05:
        pass
    return max(1.0, (time.monotonic() - wall) / 0.05) * 1.5


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    pool = CheckPool(KINDS_HERE)
    try:
        with (
            served(tmp_path_factory.mktemp("fuzz"), pool) as api,
            httpx2.Client(base_url=api.address, timeout=120, trust_env=False) as http,
        ):
            access, root = api.service.tokens, api.service.admin
            users = [access.create_token(root, owner=f"user{n}").secret for n in range(OWNERS)]
            admins = [access.create_token(root, f"admin{n}", "admin").secret for n in range(OWNERS)]
            yield Fuzzed(api, http, users, admins)
    finally:
        pool.stop()


def go_on(share: float, test: Callable[[], None]) -> None:
    """Lets a test of hypothesis run again and again for its share of the time, with memory looked at."""
    until = time.monotonic() + SECONDS * SHARE * share
    test()
    before = _memory()
    while time.monotonic() < until:
        test()
    assert _memory() - before < MORE_MEMORY


_settings = settings(
    max_examples=BATCH, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
)


def test_any_bundle_is_checked_or_refused(fuzzed: Fuzzed) -> None:
    @_settings
    @given(st.data())
    def send(data: st.DataObject) -> None:
        files = data.draw(bundles(data.draw(template_texts())))
        assert fuzzed.send("user", "/v1/templates/validate", {"files": files}).status_code in (403, 413, 422)
        looked = fuzzed.send("admin", "/v1/templates/validate", {"files": files})
        pushed = fuzzed.send("admin", "/v1/templates", {"files": files})
        if (
            looked.status_code == 200
            and pushed.status_code not in (429,)
            and pushed.json().get("code") != "check_too_costly"
        ):
            assert (pushed.status_code == 200) is not bool(looked.json()["problems"]), (looked.text, pushed.text)

    go_on(0.4, send)
    assert fuzzed.http.get("/v1/templates", headers={"Authorization": f"Bearer {fuzzed.users[0]}"}).status_code == 200
    print(fuzzed.seen)


def test_any_parameters_fit_or_are_refused(fuzzed: Fuzzed) -> None:
    """Of a template that was pushed, and of the same one if an older version had taken it unseen."""
    names = iter(range(10**9))

    @_settings
    @given(schemas, values, st.booleans(), times)
    def send(schema: dict[str, Any], value: Any, unseen: bool, when: dict[str, Any]) -> None:
        text = f'[template]\nname = "given"\n[parameters]\np = {toml(schema)}\n[[steps]]\nname = "a"\nuses = "fake"\n'
        text += 'with = { a = "{{ parameters.p }}" }\n'
        bundle = make_bundle({"template.toml": text.encode()})
        if unseen:
            try:
                bundle.template()
            except Exception:  # noqa: BLE001 - such a template was never taken
                return
            with fuzzed.api.service.database.write() as tx:
                tx.templates.push("given", bundle, "root", fuzzed.api.service.requests._clock(), None)
        else:
            files = {path: base64.b64encode(content).decode() for path, content in bundle.files.items()}
            if fuzzed.send("admin", "/v1/templates", {"files": files}).status_code != 200:
                return
        name = f"e{next(names)}"
        asked = {"template": "given", "parameters": {"p": value}, **when}
        fuzzed.send("user", f"/v1/environments/{name}/plan", {"kind": "create", **asked})
        made = fuzzed.send("user", "/v1/environments", {"name": name, **asked})
        if made.status_code == 202:
            root = {"Authorization": f"Bearer {fuzzed.api.token}"}
            shown = fuzzed.http.get(f"/v1/environments/{name}", headers=root)
            assert shown.status_code == 200
            assert json.loads(shown.text)["parameters"].get("p", value) == value or schema.get("writeOnly") is True
            assert fuzzed.http.post(f"/v1/environments/{name}/destroy", headers=root).status_code == 202

    go_on(0.6, send)
    print(fuzzed.seen)
    assert fuzzed.seen.get("ok"), "nothing was ever taken"
