"""Syntax trees of this checkout's own code, each file parsed once for all tests that search it."""

import ast
from collections.abc import Sequence
from functools import cache
from pathlib import Path


@cache
def nodes(path: Path) -> Sequence[ast.AST]:
    """All nodes of a file, as `ast.walk` gives them: the module first."""
    return [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
