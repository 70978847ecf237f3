"""Patterns of JSON Schemas, run by RE2: in time linear in the text, whatever the pattern.

JSON Schema asks for regular expressions of ECMA-262. RE2 has what a finite automaton can do of them, so no look-ahead,
look-behind and back-references, and repeats a part at most 1000 times. `\\u0041` and `\\u{1F600}`, which only ECMA-262
has, are translated.
"""

import re
from functools import lru_cache
from typing import Any

import re2

LARGEST_PROGRAM = 1024 * 1024
"""Bytes that the automaton of one pattern may take."""

LONGEST_PATTERN = 4096
"""Characters."""

_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|.)", re.DOTALL)
_SUGGESTIONS = (
    (r"\(\?<?[=!]", "it has no look-ahead and look-behind: say what is wanted, or use `not` and `allOf`"),
    (r"\\[1-9]|\\k<", "it has no back-references: write the alternatives out"),
    (r"\{\d{4,}|\{\d*,\d{4,}", "a part is repeated at most 1000 times: use minLength and maxLength"),
    (r"\\Z", "the end of the text is `$`"),
    (r"[*+?}]\+|\(\?>", "it has no possessive and atomic groups; it never goes back anyway"),
)


class UnusablePattern(ValueError):
    """RE2 can't run a pattern; the message says why. `suggestion`: what to write instead, may be empty."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(reason)
        self.pattern = pattern
        self.suggestion = next((text for sign, text in _SUGGESTIONS if re.search(sign, pattern)), "")


def found(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text. Raises `UnusablePattern`."""
    return _compiled(pattern).search(text.encode(errors="replace")) is not None


def check_pattern(pattern: str) -> None:
    """Raises `UnusablePattern`."""
    _compiled(pattern)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    if len(pattern) > LONGEST_PATTERN:
        raise UnusablePattern(pattern, f"it has more than {LONGEST_PATTERN} characters")
    options = re2.Options()
    options.max_mem = LARGEST_PROGRAM
    options.log_errors = False
    options.never_capture = True
    try:
        return re2.compile(_ESCAPE.sub(_translated, pattern).encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise UnusablePattern(pattern, reason or "it can't be read") from None
    except UnicodeEncodeError:
        raise UnusablePattern(pattern, "it holds half a character") from None


def _translated(found: "re.Match[str]") -> str:
    digits = found[1] or found[2]
    return found[0] if digits is None else f"\\x{{{digits}}}"
