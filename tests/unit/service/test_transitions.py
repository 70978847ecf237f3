"""Who changes states: one module, which checks the move and writes the row and the event."""

import ast
from pathlib import Path

import environments
from tests.support.syntax import nodes

PACKAGE = Path(environments.__file__).parent
TRANSITIONS = PACKAGE / "service" / "transitions.py"

WRITES = {
    "environments": {"add", "set_state"},
    "deployments": {"add", "supersede", "end_superseded", "claim", "set_aside", "withdraw", "cancel", "end"},
}
"""The calls of a transaction that write a state."""


def _calls(path: Path) -> list[str]:
    """Calls such as `tx.deployments.end(…)` in a file."""
    found = []
    for node in nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            on = node.func.value
            if isinstance(on, ast.Attribute) and node.func.attr in WRITES.get(on.attr, ()):
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {on.attr}.{node.func.attr}")
    return found


def test_no_other_module_writes_a_state() -> None:
    found = [call for path in PACKAGE.rglob("*.py") if path != TRANSITIONS for call in _calls(path)]
    assert found == []
    named = {call.rpartition(" ")[2] for call in _calls(TRANSITIONS)}
    assert named == {f"{table}.{call}" for table, calls in WRITES.items() for call in calls}
