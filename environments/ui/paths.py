"""Addresses of pages: names may hold anything, also a slash, and may be those of a form beside them, such as `new`."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

FORMS = frozenset({"new", "publish", "set"})
"""What stands in a page's address where another page has a name."""

_NAME = "name:"
"""Before a name that is the name of a form; see `part`."""

_SAFE = ":@!$&'()*+,;="
"""What stands in a part of a path as it is (RFC 3986, 3.3), beside what is never encoded: no name begins a query."""


def part(name: str) -> str:
    """A name as a part of an address, not encoded: `name:new` for `new`, which is a form."""
    return f"{_NAME}{name}" if _bare(name) in FORMS else name


def _bare(text: str) -> str:
    while text.startswith(_NAME):
        text = text.removeprefix(_NAME)
    return text


def _name(text: str) -> str:
    """The name that `part` was given."""
    return text.removeprefix(_NAME) if _bare(text) in FORMS else text


def parts_of(raw: bytes) -> tuple[str, ...]:
    """The parts of a path as it was sent; an encoded slash is within one."""
    return tuple(unquote(one) for one in raw.decode("ascii", "replace").split("/"))


def encoded(parts: Sequence[str]) -> str:
    """The path of these parts."""
    return "/".join(quote(one, safe=_SAFE) for one in parts)


def matched(pattern: Sequence[str], parts: Sequence[str]) -> Mapping[str, str] | None:
    """The names of a path by their field in `pattern`, whose fields stand in braces; None: it is of another page."""
    if len(pattern) != len(parts):
        return None
    found = {}
    for wanted, given in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            if not given:
                return None
            found[wanted[1:-1]] = _name(given)
        elif wanted != given:
            return None
    return found
