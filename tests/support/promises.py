"""The promises of `docs/explanation/trust.md`, and the tests that each of them names.

A promise is one bullet or one row of a table. Behind it stands `<!-- test: tests/path/test_x.py::test_name -->`, with
several separated by commas. A row of a table that says what somebody has, and nothing that holds them back, ends with
`<!-- no promise -->`. In the section "What is not protected" nothing is promised.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "explanation" / "trust.md"
UNPROTECTED = "What is not protected"

_TEST = re.compile(r"<!--\s*test:(.*?)-->", re.DOTALL)
_NONE = re.compile(r"<!--\s*no promise\s*-->")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s")
_RULE = re.compile(r"^\|[\s:|-]+\|$")


@dataclass(frozen=True)
class Promise:
    """A sentence that the page promises, the section that it stands in, and the tests that it names."""

    section: str
    text: str
    tests: tuple[str, ...]


def promises(page: str) -> list[Promise]:
    """All promises of a page in Markdown, in order."""
    found = []
    for section, kind, block in _blocks(page):
        if section == UNPROTECTED or (kind == "row" and _NONE.search(block)):
            continue
        tests = tuple(name.strip() for match in _TEST.findall(block) for name in match.split(",") if name.strip())
        text = " ".join(_COMMENT.sub("", block).split())
        found.append(Promise(section, text, tests))
    return found


def fault(test: str, checkout: Path = CHECKOUT) -> str:
    """What is wrong with the name of a test: empty if there is such a test and it runs."""
    path, _, name = test.partition("::")
    name = name.partition("[")[0]
    file = checkout / path
    if not path.startswith("tests/") or not file.name.startswith("test_") or not file.is_file():
        return f"there is no file of tests {path}"
    marks = _tests(file).get(name)
    if marks is None:
        return f"there is no test {name} in {path}"
    if "xfail" in marks or "skip" in marks:
        return f"{name} in {path} is not expected to pass"
    return ""


@cache
def _tests(file: Path) -> dict[str, frozenset[str]]:
    """The tests of a file, by name (`test_a`, `TestB::test_c`), with the names of what decorates them."""
    found: dict[str, frozenset[str]] = {}

    def collect(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                collect(node.body, f"{node.name}::")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found[prefix + node.name] = frozenset(
                    part.attr
                    for decorator in node.decorator_list
                    for part in ast.walk(decorator)
                    if isinstance(part, ast.Attribute)
                )

    collect(ast.parse(file.read_text(encoding="utf-8")).body, "")
    return found


def _blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Section, kind (`bullet` or `row`) and text of everything that may be a promise."""
    section, table = "", False
    bullet: list[str] = []
    lines = [*page.splitlines(), ""]
    for number, line in enumerate(lines):
        row = line.lstrip().startswith("|")
        # A bullet ends with an empty line, the next bullet, a table or a heading.
        if bullet and (not line.strip() or _BULLET.match(line) or row or line.startswith("#")):
            yield section, "bullet", "\n".join(bullet)
            bullet = []
        if line.startswith("#"):
            section = line.lstrip("#").strip()
        elif row:
            heading = not table and number + 1 < len(lines) and _RULE.match(lines[number + 1].strip())
            if not heading and not _RULE.match(line.strip()):
                yield section, "row", line
        elif bullet or _BULLET.match(line):
            bullet.append(line)
        table = row
