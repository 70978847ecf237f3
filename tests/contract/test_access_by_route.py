"""Every route, for everybody who may ask, whether they see the environment or not: the table of `access_table`."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from environments.domain.timing import Scope
from environments.service.storage.audit import AuditFilter
from tests.contract.access_table import COLUMNS, ROWS, Row, expected
from tests.support.access.callers import ALONE, CALLERS, LIMITED_TO_ENVIRONMENTS, Caller, Making
from tests.support.access.routes import routes_of
from tests.support.access.world import Given, World

UNSEEN = frozenset({"nobody", "stranger", "elsewhere"})
"""Columns of those who don't see the environment."""

CODES = {401: {"unauthenticated"}, 403: {"forbidden"}, 404: {"unknown_environment", "unknown_plan", "not_found"}}
ON_ENVIRONMENTS = ("planner", "operator", "owner")
SECRET = "swordfish"
_JSON = ("application/json", "application/problem+json")
KINDS = {kind: column for column, callers in CALLERS.items() for kind in callers}


@dataclass
class Answer:
    """What came back; of a stream of events only that it began."""

    status: int
    text: str
    body: Any = field(default=None)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with ExitStack() as ending:
        yield World(ending)


def test_every_route_has_a_row(world: World) -> None:
    routes, rows = set(routes_of(world.app)), {row.plain for row in ROWS}
    missing, left = sorted(routes - rows), sorted(rows - routes)
    assert not missing, (
        f"These routes have no row: {missing}. Add one to ROWS in tests/contract/access_table.py: which line of WHO "
        "says who may, the action that `may` is asked for, what there has to be (`given`, in "
        "tests/support/access/world.py) and a body with which only rights can refuse it. Then run "
        "`python -m tests.support.docs_reference`."
    )
    assert not left, f"These rows of tests/contract/access_table.py have no route: {left}"


def test_the_columns_are_those_of_the_callers() -> None:
    assert list(CALLERS) == list(COLUMNS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.route)
def test_everybody_gets_what_the_table_says(world: World, row: Row) -> None:
    """What is refused changes nothing, so it is asked of one environment; what may change something has its own."""
    common = world.given(row.given)
    before, wrong = _recorded(world, common), []
    for kind, column in KINDS.items():
        if row.who == "link" and kind != next(iter(CALLERS[column])):  # they are limited by address
            continue
        wanted = _wanted(row, column, kind)
        changes = wanted == row.ok and not row.route.startswith("GET")
        own = changes or kind in ALONE or bool(common.owners_token)
        try:
            _check(world, row, kind, world.given(row.given) if own else common)
        except AssertionError as error:
            wrong.append(f"{kind}: {error}")
    assert not wrong, f"{row.route} ({row.who}):\n" + "\n".join(wrong)
    assert _recorded(world, common) == before, "a refused request has changed something"


@pytest.mark.parametrize("state", ["ready", "failed", "stopped", "destroy_failed"])
@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_the_role_refuses_before_the_state_does(world: World, role: str, state: str) -> None:
    """Whoever may not do something in any state isn't told that it isn't possible in this one."""
    given = world.given(state)
    given.ids |= {"other": "nobody-there", "new": "new-there"}
    for row in ROWS:
        if not row.plain.partition(" ")[2].startswith("/v1/environments/{name}") or expected(row, role) != 403:
            continue
        with world.write() as tx:
            caller = CALLERS[role][role](Making(world, given, row, f"p{world.tag()}", tx))
        answer = _asked(world, row, given, caller)
        assert answer.status == 403, f"{row.route}: {answer.status}: {answer.text[-600:]}"


def _check(world: World, row: Row, kind: str, given: Given) -> None:
    column = KINDS[kind]
    with world.write() as tx:
        making = Making(world, given, row, f"p{world.tag()}", tx)
        caller = CALLERS[column][kind](making)
        if given.owners_token:
            making.token(caller.name or "nobody", id=given.owners_token, kind=given.owners_kind)
    wanted = _wanted(row, column, kind)
    answer = _asked(world, row, given, caller)
    if answer.status != wanted:  # said in one line
        raise AssertionError(f"{answer.status} and not {wanted}: {answer.body}")
    if wanted != row.ok or row.who == "other":
        _check_refusal(row, answer, column, caller, wanted)
        if wanted == 403:
            _check_refusal_audited(world, caller)
    elif row.audited:
        _check_audited(world, row, caller)
    asked = {value for key, value in given.ids.items() if f"{{{key}}}" in row.route}
    _check_leaks(row, given, answer, column, asked=asked)
    if wanted == 404 and given.environment and "{name}" in row.route and column != "nobody":
        for name in (f"id:{given.environment_id}", f"name:{given.environment}", given.environment[:-1]):
            again = _asked(world, row, given, caller, name=name)
            assert again.status == 404, f"{name}: {again.status}: {again.body}"
            _check_leaks(row, given, again, column, asked={name.partition(":")[2]})


def _wanted(row: Row, column: str, kind: str) -> int:
    if kind == "viewer who may reveal" and "reveal=true" in row.route:
        return row.ok
    if row.who == "unlimited" and kind in LIMITED_TO_ENVIRONMENTS:
        return row.ok if kind.endswith("template") and row.action == "environment:create" else 403
    if row.who == "unlimited" and row.action == "account:manage" and kind.startswith("service account"):
        return 403
    if row.alone and kind == "service account for the action":
        return row.alone
    return expected(row, column)


def _asked(world: World, row: Row, given: Given, caller: Caller, **instead: str) -> Answer:
    ids = {**given.ids, "caller": caller.name or "nobody", **instead}
    method, _, path = row.route.partition(" ")
    headers = dict(row.headers)
    if caller.secret is not None:
        headers["Authorization"] = f"Bearer {caller.secret}"
    body = given.body if given.body is not None else _filled(row.body, ids)
    sent: dict[str, Any] = {} if body is None else {"json": body}
    with world.http.stream(method, path.format(**ids), headers=headers, **sent) as response:
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            return Answer(response.status_code, "")
        response.read()
        found = response.json() if response.headers.get("content-type", "").partition(";")[0] in _JSON else None
        told = "\n".join([*(f"{name}: {value}" for name, value in response.headers.items()), response.text])
        return Answer(response.status_code, told, found)


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**ids)
    if isinstance(value, dict):
        return {key: _filled(part, ids) for key, part in value.items()}
    return [_filled(part, ids) for part in value] if isinstance(value, list) else value


def _check_refusal(row: Row, answer: Answer, column: str, caller: Caller, status: int) -> None:
    """A refusal has the right code; to one who sees the environment it names the role that it takes, and theirs."""
    assert answer.body is not None, answer.text[:300]
    assert answer.body["code"] in CODES[status], answer.text[:300]
    details = answer.body["details"]
    if status == 403 and column in ("viewer", "planner", "operator", "auditor") and row.who in ON_ENVIRONMENTS:
        has = "viewer" if column == "auditor" else column
        assert details == {"needs": row.who, "has": has}, answer.text[:300]
        assert row.who in answer.body["detail"], "the sentence doesn't name the role"
    if status == 403 and row.who in ("admin", "auditor") and caller.role not in ("owner", "admin"):
        assert details["needs"] == row.who, answer.text[:300]


def _check_leaks(row: Row, given: Given, answer: Answer, column: str, asked: set[str]) -> None:
    if column in UNSEEN:
        told = [mark for mark in given.marks if mark in answer.text and mark not in asked]
        assert not told, f"somebody who doesn't see it reads {told}: {answer.text[:600]}"
    if not (answer.status == row.ok and "reveal=true" in row.route):
        assert SECRET not in answer.text, f"a secret is shown: {answer.text[:600]}"


def _check_audited(world: World, row: Row, caller: Caller) -> None:
    with world.read() as tx:
        found = tx.audit.list(AuditFilter(actor=caller.name), limit=20)
    told = [(one.entry.action, one.entry.outcome) for one in found]
    assert (row.action, "allowed") in told, f"the audit log has no entry {row.action}, but {told}"


def _check_refusal_audited(world: World, caller: Caller) -> None:
    told = [(one.actor, one.outcome, one.code) for one in world.service.audit_collector.take(all=True)]
    assert (caller.name, "refused", "forbidden") in told, f"the audit log has no word of the refusal, but {told}"


def _recorded(world: World, given: Given) -> Any:
    """What there is of what the request is about."""
    if "hold_id" in given.ids:  # the next one ends it
        return None
    with world.read() as tx:
        name = given.ids.get("name", "")
        found = (
            tx.environments.get(given.environment_id),
            tx.deployments.of(given.environment_id),
            tx.plans.get(given.ids.get("plan_id", "")),
            tx.events.after(0, environment_id=given.environment_id, limit=100),
            tx.templates.find(given.template, None),
            tx.images.history(name),
            tx.calendars.get(name),
            tx.policies.get(Scope.OWNER, name),
        )
        return [str(one) for one in found]
