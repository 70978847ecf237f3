"""Names of previews' environments: legal, readable, and never the same for two pull requests."""

import json
import re
from hashlib import sha256

from environments.domain.errors import InvalidName
from environments.domain.names import ID_ALPHABET, LONGEST_ENVIRONMENT, check_environment_name

DEFAULT_PATTERN = "{{ event.repository }}-pr-{{ event.number }}"
"""Of a preview whose trigger names no environment."""

_REPOSITORY = re.compile(r"\{\{\s*event\.repository\s*\}\}")
_NUMBER = re.compile(r"\{\{\s*event\.number\s*\}\}")
_UNSAFE = re.compile(r"[^a-z0-9]+")
_PLAIN = re.compile(r"[a-z][a-z0-9]*/[a-z0-9]+(-[a-z0-9]+)*")
_MOST_DIGITS = 10
_HASH = 7
_MARK = "h"
"""Before a hash, so that the last part of a name is never digits only where it is a hash."""


def environment_name(pattern: str, repository: str, number: int) -> str:
    """The name of the environment for a pull request, of `DEFAULT_PATTERN` if there is no pattern.

    Where characters have to be left out, two repositories could get the same name, or the name is too long or
    reserved, it ends with a hash of both. Forges ignore the case of repositories; so does the name. A pattern without
    `event.number` gets it at its end. The texts of the forge come in as they are.
    """
    pattern, number = pattern or DEFAULT_PATTERN, max(number, 0)
    if not _NUMBER.search(pattern):
        pattern = f"{pattern}-{{{{ event.number }}}}"
    known = repository.lower()
    digits = str(number)
    made = _NUMBER.sub(lambda _: digits, _REPOSITORY.sub(lambda _: known.replace("/", "-", 1), pattern))
    name = _label(made)
    unclear = bool(_REPOSITORY.search(pattern)) and not _PLAIN.fullmatch(known)
    custom = pattern != DEFAULT_PATTERN
    if not unclear and made == name and _is_free(name) and len(digits) <= _MOST_DIGITS and not (custom and _odd(name)):
        return name
    tail = f"-{_MARK}{_hash(pattern if custom else '', known, number)}"
    if not custom and len(digits) <= _MOST_DIGITS:
        tail = f"-pr-{digits}{tail}"
        name = _label(known)
    head = name[: LONGEST_ENVIRONMENT - len(tail)].rstrip("-") or "preview"
    return check_environment_name(f"{head}{tail}")


def _label(text: str) -> str:
    cleaned = _UNSAFE.sub("-", text.lower()).strip("-")
    return cleaned if cleaned[:1].isalpha() else f"p-{cleaned}".rstrip("-")


def _odd(name: str) -> bool:
    """Whether a name of a pattern ends like one with a hash."""
    last = name.rpartition("-")[2]
    return len(last) == _HASH + 1 and last.startswith(_MARK)


def _is_free(name: str) -> bool:
    try:
        check_environment_name(name)
    except InvalidName:
        return False
    return True


def _hash(pattern: str, repository: str, number: int) -> str:
    value = int.from_bytes(sha256(json.dumps([pattern, repository, number]).encode("utf-8", "surrogatepass")).digest())
    letters = []
    for _ in range(_HASH):
        value, rest = divmod(value, len(ID_ALPHABET))
        letters.append(ID_ALPHABET[rest])
    return "".join(letters)
