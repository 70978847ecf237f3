"""One place says who may do what, and nothing gets into the queue past it."""

import ast
import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import environments
from environments.domain.access import ServiceRole
from environments.domain.environment import Environment
from environments.domain.errors import Forbidden, UnknownEnvironment
from environments.domain.lifecycle import State
from environments.domain.template import Bundle, make_bundle
from environments.service.authorization import Action, Allowed, Principal, may
from environments.service.roles import APPLIES, ON_SERVICE
from tests.fakes.service import WEB, FakeService, make_service
from tests.fakes.sharing import transaction
from tests.support.syntax import nodes

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE, BOB = Principal("alice", "user", "tok-a"), Principal("bob", "user", "tok-b")
ADMIN = Principal("root", "admin", "tok-r")
TX = transaction()
PLAIN = make_bundle({"template.toml": WEB.encode()})
MOUNTS = make_bundle({"template.toml": WEB.replace("[lifetime]", 'host_volumes = ["builds"]\n[lifetime]').encode()})

FOR_ADMINS = [action for action, role in ON_SERVICE.items() if role is ServiceRole.ADMIN]
FOR_AUDITORS = [action for action, role in ON_SERVICE.items() if role is ServiceRole.AUDITOR]


def environment(bundle: Bundle = PLAIN) -> Environment:
    """One of alice's."""
    return Environment(
        id="env-1",
        name="hers",
        owner="alice",
        template="web",
        template_version="3",
        bundle=bundle.digest,
        state=State.READY,
        state_since=NOW,
        created_at=NOW,
    )


@pytest.mark.parametrize("action", list(Action))
def test_every_action_is_the_owners_or_an_admins_or_nobodys(action: Action) -> None:
    becomes = PLAIN if action in APPLIES else None
    with pytest.raises(UnknownEnvironment, match="env-1"):
        may(TX, BOB, action, environment(), becomes=becomes)
    may(TX, ADMIN, action, environment(), becomes=becomes)
    if action in (*FOR_ADMINS, *FOR_AUDITORS):
        with pytest.raises(Forbidden):
            may(TX, ALICE, action, environment())
        return
    may(TX, ALICE, action, environment(), becomes=becomes)
    if action in APPLIES:
        with pytest.raises(Forbidden, match="builds"):
            may(TX, ALICE, action, environment(), becomes=MOUNTS)
        with pytest.raises(TypeError):
            may(TX, ALICE, action, environment())


def test_nobody_else_makes_an_allowance() -> None:
    with pytest.raises(TypeError):
        Allowed(Action.ENVIRONMENT_DESTROY, "env-1", "sha256:x", object())


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    service = make_service(tmp_path)
    yield service
    service.database.close()


def test_deployments_enter_the_queue_in_one_place_only() -> None:
    root = Path(inspect.getfile(environments)).parent
    places = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func).endswith("deployments.add")
    }
    assert places == {"service/transitions.py"}


def test_who_gets_an_environment_to_change_it_says_what_for() -> None:
    """A function that takes an environment which the service owns asks `may`, or hands it to one that does."""
    root = Path(inspect.getfile(environments)).parent / "service"
    asks = {"may", "updated", "rolled_back", "unchanged"}
    forgot = []
    for path in root.glob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef):
                called = {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
                if "owned" in called and not called & asks:
                    forgot.append(f"{path.name} {node.name}")
    assert forgot == []
