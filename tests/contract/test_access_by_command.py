"""Every command as everybody, and every key of the terminal UI for every role: the table of `action_table`."""

import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from environments.actions.action import Action
from environments.actions.refusal import NEEDS, beyond_role, not_allowed
from environments.actions.registry import ACTIONS, action
from environments.cli.program import run
from environments.domain.access import EnvironmentRole
from environments.service import roles as service_roles
from environments.service.roles import actions_of, short
from tests.contract import access_table
from tests.contract.access_table import expected
from tests.contract.action_table import NOTHING, ON_ENVIRONMENTS, ROWS, TUI, Row
from tests.fakes.service import listening
from tests.support.access.callers import CALLERS, Caller, Making
from tests.support.access.world import Given, World
from tests.support.views import environment_view

WHO = {
    "another person": "stranger",
    "viewer": "viewer",
    "planner": "planner",
    "operator": "operator",
    "owner": "owner",
    "auditor": "auditor",
    "admin": "admin",
}
"""Who types the commands → their column."""

BEYOND = ("another person", "auditor", "admin")
"""Who types those that concern no environment."""

STATUSES = {403: 5, 404: 3}
"""The answer of the route → the exit status of the command; 0 for what is done."""

SECRET = "swordfish"
ROUTES = {row.route: row for row in access_table.ROWS}
TYPED = [row for row in ROWS if row.typed is not None]


@dataclass
class Terminal:
    """Where commands are typed."""

    world: World
    token: Path
    days: Path


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("terminal")
    with ExitStack() as ending:
        world = World(ending)
        address = ending.enter_context(listening(world.service))
        patch = ending.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("CALVINVERSE_STATE", str(folder / "state"))
        patch.setenv("CALVINVERSE_ADDRESS", address)
        patch.setenv("CALVINVERSE_TOKEN_FILE", str(folder / "token"))
        days = folder / "days.txt"
        days.write_text("2031-12-25 Christmas\n")
        yield Terminal(world, folder / "token", days)


def test_every_action_has_a_row() -> None:
    ids, rows = {act.id for act in ACTIONS}, {row.id for row in ROWS if not row.how}
    missing, left = sorted(ids - rows), sorted({row.id for row in ROWS} - ids)
    assert not missing, (
        f"These actions have no row: {missing}. Add one to ROWS in tests/contract/action_table.py: which line of WHO "
        "says who may (or NOTHING), the route that decides, and the command's arguments, with which only rights can "
        'refuse it. Then run `python -c "from tests.unit.test_actions import write; write()"`.'
    )
    assert not left, f"These rows of tests/contract/action_table.py have no action: {left}"


def test_a_row_takes_what_its_route_takes_and_that_is_what_the_table_of_roles_says() -> None:
    for row in ROWS:
        if row.takes == NOTHING:
            assert not row.asks, row
            continue
        assert row.asks in ROUTES, f"{row}: tests/contract/access_table.py has no such route"
        route = ROUTES[row.asks]
        assert row.takes == route.who, row
        if not route.action:
            continue
        of_service = service_roles.Action(route.action)
        if of_service in service_roles.ON_ENVIRONMENTS and row.takes not in ("audits", "unlimited"):
            assert row.takes == service_roles.ON_ENVIRONMENTS[of_service].value, row
        elif row.takes in ("admin", "auditor"):
            assert row.takes == service_roles.ON_SERVICE[of_service].value, row


def test_every_command_with_an_environment_is_typed() -> None:
    """What has only keys, or the plan of a command that is typed, is not."""
    left = [row.id for row in ROWS if "{name}" in row.asks and "/environments/" in row.asks and row.typed is None]
    commands = [id for id in left if action(id).command is not None]
    assert {id for id in commands if not any(row.id == id for row in TYPED)} == set()


@pytest.mark.parametrize("row", TYPED, ids=lambda row: f"{row.id} {row.how}".strip())
def test_everybody_gets_what_the_table_says(terminal: Terminal, row: Row, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for kind in WHO if row in ON_ENVIRONMENTS else BEYOND:
        try:
            _check(terminal, row, kind, WHO[kind], capsys)
        except AssertionError as error:
            wrong.append(f"{kind}: {error}")
    assert not wrong, f"{row.id} {row.how} ({row.takes}):\n" + "\n".join(wrong)


def _check(terminal: Terminal, row: Row, kind: str, column: str, capsys: pytest.CaptureFixture[str]) -> None:
    world, route = terminal.world, ROUTES[row.asks]
    given = world.given(route.given)
    with world.write() as tx:
        making = Making(world, given, route, f"p{world.tag()}", tx)
        caller = CALLERS[column][kind](making)
        if given.owners_token:
            making.token(caller.name, id=given.owners_token, kind=given.owners_kind)
    terminal.token.write_text(caller.secret or "")
    ids = {**given.ids, "caller": caller.name, "template": given.template, "days": str(terminal.days)}
    words = [*(action(row.id).command or ()), *shlex.split((row.typed or "").format(**ids))]
    capsys.readouterr()
    status = run(words)
    out, err = capsys.readouterr()
    answer = expected(route, column)
    wanted = STATUSES.get(answer, 0)
    if status != wanted:  # said in one line
        raise AssertionError(f"`{' '.join(words)}` ends with {status} and not {wanted}: {err or out}")
    assert "Traceback" not in err
    if wanted:
        _check_refusal(row, given, caller, column, words, answer, out, err)
    if row.how != "--reveal":
        assert SECRET not in out + err, f"a secret is shown: {out + err}"


def _check_refusal(
    row: Row, given: Given, caller: Caller, column: str, words: list[str], answer: int, out: str, err: str
) -> None:
    """It says the role that is needed to those who see the environment, and nothing of it to others."""
    assert not out, f"a refused command has data: {out}"
    if answer == 403:
        assert "[forbidden]" in err, err
        if column != "stranger":
            needed = {"audits": "owner", "responsible": "responsible"}.get(row.takes, row.takes)
            assert needed in err, f"it doesn't name {needed!r}: {err}"
        if row.takes in {role.value for role in EnvironmentRole}:
            has = "viewer" if column == "auditor" else column
            assert has in err, f"it doesn't name {has!r}: {err}"
    if column == "stranger":
        told = [mark for mark in given.marks if mark in err and mark not in words]
        assert not told, f"somebody who doesn't see it reads {told}: {err}"
    assert caller.secret is None or caller.secret not in err


PLACED = [act for act in ACTIONS if act.places]


def _in_tui(act: Action) -> Row:
    """What the terminal UI asks for."""
    rows = [row for row in ROWS if row.id == act.id]
    return next((row for row in rows if row.how == TUI), next(row for row in rows if not row.how))


@pytest.mark.parametrize("act", PLACED, ids=lambda act: act.id)
def test_the_terminal_ui_refuses_what_the_table_refuses(act: Action) -> None:
    """To each role on an environment, and on the service."""
    row = _in_tui(act)
    roles = {role.value: role for role in EnvironmentRole}
    for role in EnvironmentRole:
        view = environment_view(role=role, may=tuple(map(short, actions_of(role))))
        why_not = beyond_role(act, view)
        allowed = row.takes not in roles or role.covers(roles[row.takes])
        assert (why_not is None) == allowed, f"{act.id} as {role.value}: {why_not}"
        assert why_not is None or f"the role {row.takes}" in why_not, why_not
    for name in ("user", "auditor", "admin"):
        why_not = not_allowed(act, name)
        allowed = row.takes not in ("auditor", "admin") or name in (row.takes, "admin")
        assert (why_not is None) == allowed, f"{act.id} as {name}: {why_not}"
        assert why_not is None or row.takes in why_not, why_not


def test_a_right_of_its_own_lets_reveal_in_the_terminal_ui() -> None:
    may = tuple(map(short, actions_of(EnvironmentRole.VIEWER, reveal=True)))
    assert beyond_role(action("environment.outputs"), environment_view(role=EnvironmentRole.VIEWER, may=may)) is None


def test_no_action_is_refused_that_the_table_does_not_refuse() -> None:
    roles = {role.value for role in EnvironmentRole} - {"viewer"}
    rows = {row.id for row in ROWS if row.takes in roles}
    assert set(NEEDS) <= rows
    assert {act.id for act in PLACED if _in_tui(act).takes in roles} <= set(NEEDS)
