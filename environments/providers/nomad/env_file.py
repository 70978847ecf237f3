"""Checks values in a template whose lines become environment variables: they must not change the meaning of a line."""

import re

from environments.providers.nomad.go_template import Place

UNSAFE = frozenset("'#")
"""Characters that begin a comment or a quoted text in a line, in addition to those refused in any template."""

_READS = re.compile(
    r"^\W*(?:(?:with|if|range)\s+)?(?:\$\w+\s*(?:,\s*\$\w+\s*)?:?=\s*)?\(?\s*"
    r"(?:secrets?|key|keyExists|ls|safeLs|tree|safeTree|services?|connect|nodes?|nomad\w+|pkiCert|caLeaf|env)\b"
)
"""Code that doesn't print a quoted text in it, but reads what the text names."""


def check(text: str, foreign: list[bool], where: list[Place]) -> None:
    """Raises `ValueError` if a value could become the name of a variable, or would lose a blank.

    `foreign`: for each character whether it came from a value; `where`: its place in the template.
    """
    in_text = [own and place is Place.TEXT for own, place in zip(foreign, where, strict=True)]
    if _begins_a_line(text, in_text) or _written_out(text, foreign, where):
        raise ValueError("has a value that could name an environment variable")
    if _blank_at_an_end(text, foreign, where):
        raise ValueError(
            "has a value with a blank at an end of its line, which could change the template: it is cut off"
        )


def _begins_a_line(text: str, foreign: list[bool]) -> bool:
    """Whether a value stands in a line before its equals sign."""
    start = 0
    for line in text.splitlines(keepends=True):
        first = next((number for number in range(start, start + len(line)) if foreign[number]), None)
        if first is not None and "=" not in text[start:first]:
            return True
        start += len(line)
    return False


def _written_out(text: str, foreign: list[bool], where: list[Place]) -> bool:
    """Whether a value in quoted text stands in a line before its equals sign, where its action writes it out."""
    start = 0
    for line in text.splitlines(keepends=True):
        for number in range(start, start + len(line)):
            if where[number] is Place.TEXT and text[number] == "=":
                break
            if where[number] is Place.QUOTED and foreign[number]:
                begin = next(at for at in range(number, -1, -1) if where[at] is Place.TEXT or at == 0)
                code = "".join(text[at] for at in range(begin, number) if where[at] is Place.CODE)
                if not _READS.match(code) or text[number] == "=":
                    return True
        start += len(line)
    return False


def _blank_at_an_end(text: str, foreign: list[bool], where: list[Place]) -> bool:
    """Whether a value's blank starts or ends the text after an equals sign, or a quoted text in an action."""
    start = 0
    for line in text.splitlines(keepends=True):
        signs = [number for number in range(start, start + len(line)) if where[number] is not Place.CODE]
        equals = next((at for at, number in enumerate(signs) if text[number] == "="), -1)
        for found in (signs[equals + 1 :], signs[::-1]):
            blank = next((number for number in found if foreign[number] or not text[number].isspace()), None)
            if blank is not None and text[blank].isspace():
                return True
        start += len(line)
    edges = zip(where, [Place.CODE, *where], [*where[1:], Place.CODE], text, foreign, strict=False)
    return any(
        own and sign.isspace() and place is Place.QUOTED and Place.CODE in (before, after)
        for place, before, after, sign, own in edges
    )
