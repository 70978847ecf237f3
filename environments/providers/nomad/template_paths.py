"""Finds what the templates of a job file read from Consul and OpenBao, and checks that the environment may read it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from environments.domain.faults import Fault
from environments.providers.nomad.go_syntax import UNKNOWN, syntax_faults
from environments.providers.nomad.go_template import Place, actions, places
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tree import Attribute

_CALL = re.compile(
    r"(?<![\w.$])(?P<name>keyOrDefault|keyExists|key|safeLs|ls|safeTree|tree|secrets?|pkiCert)\s+"
    r"(?:\(\s*printf\s+)?(?P<text>\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`)"
    r"(?P<rest>\s*\(\s*env\s+(?:\"NOMAD_NAMESPACE\"|`NOMAD_NAMESPACE`)\s*\)\s*\))?"
)
"""A call of a template function with a text, or with `(printf "…" (env "NOMAD_NAMESPACE"))`."""

_ENVIRONMENT = "\0"
"""Replaces the environment's name in a path."""

_PREFIXES = {
    "secret": (f"secret/data/environments/{_ENVIRONMENT}/", f"secret/environments/{_ENVIRONMENT}/"),
    "pki": (f"pki/issue/{_ENVIRONMENT}",),
    "key": (f"environments/{_ENVIRONMENT}/",),
}
_LONGEST = 100_000
"""Characters of a template that are checked."""


@dataclass(frozen=True)
class Read:
    """A path that a template reads: with the template function `function`, `path` below the environment's prefix."""

    function: str
    path: str
    line: int


def read_paths(source: Source) -> Iterator[Read | Fault]:
    """The paths that templates read below the environment's prefix, and a fault for each path that they can't read."""
    for found in _templates(source):
        yield from _reads(source, found)


def template_faults(source: Source) -> Iterator[Fault]:
    """Faults for which Nomad can't parse a template; the task would wait for it for ever."""
    for found in _templates(source):
        if len(found.text) > _LONGEST:
            continue
        for wrong in syntax_faults(found.text, found.left, found.right):
            yield Fault(
                message=f"in the template: {wrong.message}",
                suggestion=wrong.suggestion,
                file=source.file,
                line=_line(source, found.data, found.text, wrong.at),
            )


@dataclass(frozen=True)
class _Template:
    """The text of a block `template`, and its delimiters (empty: Go's own)."""

    data: Attribute
    text: str
    left: str
    right: str


def _templates(source: Source) -> Iterator[_Template]:
    for block, _ in source.tree.walk():
        if block.kind != "template" or (data := block.body.attribute("data")) is None or (parts := data.parts) is None:
            continue
        sides = [block.body.attribute(name) for name in ("left_delimiter", "right_delimiter")]
        if any(side is not None and side.text is None for side in sides):
            continue
        left, right = (side.text or "" if side is not None else "" for side in sides)
        text = "".join(_shown(code, part) for code, part in parts)
        yield _Template(data, text, left, right)


def _reads(source: Source, template: _Template) -> Iterator[Read | Fault]:
    data, text = template.data, template.text[:_LONGEST]
    found = places(text, template.left, template.right)
    for action in actions(text, template.left, template.right):
        if action.comment:
            found[action.start : action.end] = [Place.TEXT] * (action.end - action.start)
    for call in _CALL.finditer(text):
        if found[call.start("name")] is not Place.CODE:
            continue
        printed = "printf" in call[0][: call.start("text") - call.start()]
        if printed and call["rest"] is None:
            continue  # arguments other than the environment's name: the path is unknown
        path = call["text"][1:-1]
        if printed:
            path = path.replace("%s", _ENVIRONMENT, 1)
        if UNKNOWN not in path:
            yield _read(source, _line(source, data, text, call.start()), call["name"], path)


def _shown(code: bool, part: str) -> str:
    if not code:
        return part
    return _ENVIRONMENT if part in ("var.environment", "NOMAD_NAMESPACE") else UNKNOWN


def _line(source: Source, data: Attribute, text: str, at: int) -> int:
    """The line of a position in a template. Lines in a heredoc are lines of the file."""
    line, _ = source.tree.place(data.at)
    return line + 1 + text.count("\n", 0, at) if data.tokens[0].text.startswith("<<") else line


def _read(source: Source, line: int, function: str, path: str) -> Read | Fault:
    kind = "pki" if function == "pkiCert" else "secret" if function.startswith("secret") else "key"
    path = path.lstrip("/") if kind != "key" else path
    for prefix in _PREFIXES[kind]:
        if path == prefix.rstrip("/") or path.startswith(prefix):
            return Read(function, path.removeprefix(prefix), line)
    wanted = _PREFIXES[kind][0]
    shown = path.replace(_ENVIRONMENT, "<environment>")
    rest = "" if kind == "pki" else "…"
    form = f"{wanted.replace(_ENVIRONMENT, '%s')}{rest}"
    return Fault(
        message=f"{function} reads {shown[:100]!r}, and a job reads only what is below "
        f"{wanted.replace(_ENVIRONMENT, '<environment>')!r}",
        suggestion=f'write {function} (printf "{form}" (env "NOMAD_NAMESPACE"))',
        file=source.file,
        line=line,
    )
