"""No widget of the TUI takes a text that isn't a literal as markup."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tui

_FILES = sorted(Path(tui.__file__).parent.glob("*.py"))
_PLAIN = {"Static", "Label", "AwayBanner", "notify"}
"""Take `markup=False`."""

_LABELLED = {"Button", "Checkbox", "RadioButton"}
"""Take a text first, which is markup unless it is content."""

_TITLES = {"border_title", "border_subtitle", "tooltip"}


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_safe(node: ast.expr | None) -> bool:
    """Whether it is a literal, or content."""
    if isinstance(node, ast.IfExp):
        return _is_safe(node.body) and _is_safe(node.orelse)
    if isinstance(node, ast.Call):
        of = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        return _name(of) == "Content" or (isinstance(of, ast.Call) and _name(of.func) == "Content")
    return node is None or isinstance(node, ast.Constant)


def _faults(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            first = node.args[0] if node.args else given.get("label", given.get("content"))
            no_markup = isinstance(given.get("markup"), ast.Constant) and not given["markup"].value  # type: ignore[attr-defined]
            if _name(node.func) in _PLAIN and not no_markup and not (first is not None and _is_safe(first)):
                yield node.lineno
            if _name(node.func) in _LABELLED and not _is_safe(first):
                yield node.lineno
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in _TITLES and not _is_safe(node.value):
                    yield node.lineno


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_what_is_no_literal_is_never_markup(file: Path) -> None:
    assert not sorted(_faults(ast.parse(file.read_text())))


@pytest.mark.parametrize(
    "line",
    [
        "yield Static(text)",
        "yield Static(f'of {name}')",
        "yield Static(id='told')",
        "yield Button(name, id='go')",
        "yield Checkbox(f'{name}')",
        "box.border_title = title",
        "box.tooltip = f'{title}'",
        "app.notify(text, title='x')",
    ],
)
def test_the_rule_finds_what_would_be_markup(line: str) -> None:
    assert list(_faults(ast.parse(line)))
