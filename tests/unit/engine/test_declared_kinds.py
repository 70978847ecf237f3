"""What the engine has to know of a step kind is declared by its executor: no code of it has a kind's name."""

import ast
import re
from pathlib import Path

import environments
from environments.bootstrap.providers import STEP_KINDS
from environments.domain.plan import CHECKS
from tests.support.syntax import nodes

ENGINE = Path(environments.__file__).parent / "engine"

KIND = re.compile(r"(agent|check|cluster|consul|edge|http|nomad|opentofu|vault)\.\w*")
"""Names of step kinds and of kinds of resources, and what they begin with."""

NAMES = {"CHECKS", "SECRET_STEPS", "JOB_KIND", "CHECK_KIND"}
"""Constants that are such names."""


def _kinds_named(path: Path) -> list[str]:
    documents = {id(node.value) for node in nodes(path) if isinstance(node, ast.Expr)}
    found = []
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            if KIND.fullmatch(node.value):
                found.append(f"{path.name}:{node.lineno} {node.value!r}")
        elif isinstance(node, ast.ImportFrom):
            found += [f"{path.name}:{node.lineno} {name.name}" for name in node.names if name.name in NAMES]
    return found


def test_the_engine_names_no_kind() -> None:
    assert [found for path in sorted(ENGINE.glob("*.py")) for found in _kinds_named(path)] == []


def test_every_kind_is_one_that_the_search_finds() -> None:
    assert [kind for kind in STEP_KINDS if not KIND.fullmatch(kind)] == []


def test_kinds_that_only_check_are_named_so_and_declare_it() -> None:
    """Plans know only the name of a kind, the engine only what is declared: both must say the same."""
    declared = {kind for kind, step in STEP_KINDS.items() if getattr(step, "only_checks", False)}
    assert declared == {kind for kind in STEP_KINDS if kind.startswith(CHECKS)}
    assert declared
