"""Other programs get lists of arguments: nothing that a person wrote is ever read by a shell."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.support.promises import CHECKOUT
from tests.support.syntax import nodes

PACKAGES = ("environments", "images", "jobs", "tui")
SHELLS = {"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"}


def asked(code: Iterable[ast.AST]) -> Iterator[int]:
    """Lines of calls that a shell would read."""
    for node in code:
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            shell = [word.value for word in node.keywords if word.arg == "shell"]
            if name in SHELLS or any(not (isinstance(word, ast.Constant) and word.value is False) for word in shell):
                yield node.lineno


def test_no_shell_is_ever_asked() -> None:
    files = [path for package in PACKAGES for path in sorted(Path(CHECKOUT, package).rglob("*.py"))]
    assert len(files) > 100
    assert [f"{path}:{line}" for path in files for line in asked(nodes(path))] == []


def test_a_shell_would_be_seen() -> None:
    for call in ("os.system(x)", "subprocess.run(x, shell=True)", "run(x, shell=y)", "subprocess.getoutput(x)"):
        assert list(asked(ast.walk(ast.parse(call)))) == [1], call
    assert list(asked(ast.walk(ast.parse("subprocess.run([x], shell=False)")))) == []
