"""Finds why Nomad can't parse a template: faults in the syntax of Go's text/template, and unknown functions."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from environments.domain.faults import meant
from environments.providers.nomad.go_template import Action, actions

UNKNOWN = "\1"
"""Replaces code of the job file in a template, whose result is unknown."""

_GIVEN = (UNKNOWN, "\0")
"""Replaced code that is the code of an action, such as `{{ ${local.call} }}`."""

_NAMES = (
    "and call html index slice js len not or print printf println urlquery eq ge gt le lt ne "
    "datacenters exportedServices file key keyExists keyOrDefault ls safeLs node nodes partitions peerings secret "
    "secrets service connect services tree safeTree caRoots caLeaf pkiCert getHostByName nomadServices nomadService "
    "nomadVarList nomadVarListSafe nomadVar nomadVarExists scratch base64Decode base64Encode base64URLDecode "
    "base64URLEncode byKey byMeta byPort byTag contains containsAll containsAny containsNone containsNotAll env "
    "mustEnv envOrDefault executeTemplate explode explodeMap mergeMap mergeMapWithOverride in indent loop join trim "
    "trimLeft trimRight trimPrefix trimSuffix trimSpace parseBool parseFloat parseInt parseJSON parseUint parseYAML "
    "plugin regexReplaceAll regexMatch replaceAll sha256Hex md5sum hmacSHA256Hex timestamp toLower toJSON "
    "toJSONPretty toUnescapedJSON toUnescapedJSONPretty toTitle toTOML toUpper toYAML split splitToMap sockaddr "
    "writeToFile add subtract multiply divide modulo minimum maximum spew_dump spew_printf spew_sdump "
    "spew_sprintf"
)
FUNCTIONS = frozenset(_NAMES.split())
"""The functions of Nomad's templates and those of Go."""

_SPRIG = "sprig_"
"""The prefix of the names of further functions."""

_OPENING = frozenset({"if", "range", "with", "block", "define"})
_WORDS = _OPENING | {"else", "end", "break", "continue", "template"}
_CONSTANTS = frozenset({"true", "false", "nil"})

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<text>\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`|'(?:[^'\\\n]|\\.)+')|(?P<quote>[\"`'])"
    r"|(?P<number>[-+]?\.?\d[\w.]*(?:(?<=[eEpP])[-+]\d+)?)|(?P<field>\.\w+)|(?P<dot>\.)|(?P<variable>\$\w*)"
    r"|(?P<word>\w+)|(?P<sign>:=|[|()=,])|(?P<other>.)",
    re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class Wrong(NamedTuple):
    """A fault at a position of a template."""

    at: int
    message: str
    suggestion: str = ""


def syntax_faults(text: str, left: str = "", right: str = "") -> Iterator[Wrong]:
    """Every fault, in order. `left` and `right`: the delimiters, `{{` and `}}` if empty."""
    blocks: list[tuple[str, Action]] = []
    sure = UNKNOWN not in text
    """Whether all code that may open or end a block is known."""
    for action in actions(text, left, right):
        if action.open:
            yield _endless(text, action)
            return
        if action.comment:
            continue
        tokens = list(_tokens(text, action))
        if any(token.text in _GIVEN for token in tokens):
            continue
        if broken := next((token for token in tokens if token.kind in ("quote", "other")), None):
            yield _stray(broken)
            continue
        word = tokens[0].text if tokens and tokens[0].kind == "word" and tokens[0].text in _WORDS else ""
        if sure and word:
            yield from _balance(word, action, blocks)
        if wrong := _inside(word, tokens, action):
            yield wrong
    if sure:
        for word, action in blocks:
            yield Wrong(action.start, f"the {word!r} that begins here has no end", "write {{ end }} behind its content")


def _tokens(text: str, action: Action) -> Iterator[_Token]:
    begin, stop = action.begin, action.stop
    if text[begin : begin + 1] == "-" and text[begin + 1 : begin + 2].isspace():
        begin += 1
    if text[stop - 1 : stop] == "-" and text[stop - 2 : stop - 1].isspace() and stop - 1 > begin:
        stop -= 1
    for found in _TOKEN.finditer(text, begin, stop):
        if found.lastgroup and found.lastgroup != "space":
            yield _Token(found.lastgroup, found[0], found.start())


def _endless(text: str, action: Action) -> Wrong:
    if action.comment:
        return Wrong(action.start, "the comment that begins here has no end")
    last = action.quoted[-1] if action.quoted else None
    if last is not None and last.stop == len(text):
        return Wrong(last.start - 1, "the text that begins here has no closing quote")
    return Wrong(action.start, "the action that begins here has no end")


def _stray(token: _Token) -> Wrong:
    if token.kind == "quote":
        return Wrong(token.at, "the text that begins here has no closing quote")
    return Wrong(token.at, f"{token.text!r} can't stand in an action")


def _balance(word: str, action: Action, blocks: list[tuple[str, Action]]) -> Iterator[Wrong]:
    """Tracks the blocks that an action opens and ends."""
    if word in _OPENING:
        blocks.append((word, action))
    elif word == "end":
        if not blocks:
            yield Wrong(action.start, "this 'end' has no block to end")
        else:
            blocks.pop()
    elif word == "else" and (not blocks or blocks[-1][0] in ("define", "block")):
        yield Wrong(action.start, "this 'else' belongs to no 'if', 'range' or 'with'")
    elif word in ("break", "continue") and all(around != "range" for around, _ in blocks):
        yield Wrong(action.start, f"{word!r} is outside of a 'range'")


def _inside(word: str, tokens: Sequence[_Token], action: Action) -> Wrong | None:
    """The fault between the delimiters, None if there is none."""
    rest = tokens[1:] if word else tokens
    if word == "else" and rest and rest[0].text in ("if", "with"):
        word, rest = rest[0].text, rest[1:]
    elif word in ("else", "end", "break", "continue"):
        return Wrong(rest[0].at, f"nothing can follow {word!r}") if rest else None
    if word in ("define", "template", "block"):
        if not rest or rest[0].kind != "text":
            return Wrong(action.start, f"a name in quotes must follow {word!r}")
        rest = rest[1:]
        if word != "block" and not rest:
            return None
    if not rest:
        return Wrong(action.start, f"a value must follow {word!r}" if word else "the action is empty")
    return _pipeline(rest, action)


def _pipeline(tokens: Sequence[_Token], action: Action) -> Wrong | None:
    opened: list[_Token] = []
    before: _Token | None = None
    for token in tokens:
        begins = before is None or (before.kind == "sign" and before.text in ("|", "(", ":=", "="))
        if token.kind == "word" and token.text not in FUNCTIONS | _CONSTANTS and not token.text.startswith(_SPRIG):
            return Wrong(token.at, f"there is no function {token.text!r} in templates", meant(token.text, FUNCTIONS))
        if token.kind == "sign" and token.text in ("|", ")") and begins:
            return Wrong(token.at, f"a function or a value is missing before {token.text!r}")
        piped = before is not None and before.text == "|" and before.kind == "sign"
        if piped and (token.kind in ("text", "number", "dot") or token.text in _CONSTANTS):
            return Wrong(token.at, f"{token.text[:40]} is no function; a pipe must lead to a function")
        if token.text == "(" and token.kind == "sign":
            opened.append(token)
        elif token.text == ")" and token.kind == "sign":
            if not opened:
                return Wrong(token.at, "there is one closing bracket too many")
            opened.pop()
        before = token
    if before is not None and before.kind == "sign" and before.text != ")":
        return Wrong(before.at, f"a function or a value is missing after {before.text!r}")
    return Wrong(opened[-1].at, "the bracket that begins here has no end") if opened else None
