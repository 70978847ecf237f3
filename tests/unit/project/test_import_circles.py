"""No file imports itself in a circle: neither at the top of a module, nor inside functions, nor for type checkers."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

from images.places import CHECKOUT
from tests.support.syntax import nodes

PACKAGES = ("environments", "images", "jobs", "tui")


def module_name(file: Path) -> str:
    parts = file.relative_to(CHECKOUT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> dict[str, Path]:
    return {module_name(file): file for package in PACKAGES for file in sorted((CHECKOUT / package).rglob("*.py"))}


def imported_names(code: Iterable[ast.AST], package: str) -> Iterator[tuple[str, str]]:
    """Module and name of every import of a file: `from a import b` gives (a, b), `import a` gives (a, "")."""
    for node in code:
        if isinstance(node, ast.Import):
            yield from ((name.name, "") for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            yield from ((base, name.name) for name in node.names)


def imports(module: str, code: Iterable[ast.AST], known: Mapping[str, Path]) -> set[str]:
    """The modules of this project that a file imports. A name that is no module stands for its package."""
    is_package = known[module].name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    found = {
        inner if (inner := f"{base}.{name}") in known else base
        for base, name in imported_names(code, package)
        if base in known
    }
    return found - {module}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The first circle that is found, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_found() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == {"b", "c"}
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_imports_are_found_wherever_they_are() -> None:
    source = "import a\nif TYPE_CHECKING:\n    from p import b\ndef f():\n    from .c import d\n"
    known = {name: Path("m.py") for name in ("a", "p", "p.b", "p.c", "p.d", "p.m")}
    assert imports("p.m", ast.walk(ast.parse(source)), known) == {"a", "p.b", "p.c"}


def test_no_files_import_each_other_in_a_circle() -> None:
    known = modules()
    graph = {name: imports(name, nodes(file), known) for name, file in known.items()}
    assert len(graph) > 100
    assert circle(graph) == []
