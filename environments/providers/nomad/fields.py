"""Writes a value into a field of a job so that Nomad uses it unchanged (measured on Nomad 1.10).

- A task's `env`: Nomad replaces `${name}` once, and there is no escape. So a dollar sign of a value that would begin a
  reference is written as a reference to an item of the job's metadata whose value is a dollar sign. Nomad evaluates the
  metadata before `env`.
- A task's `config` is evaluated as a template of HCL: `${"$"}` is a dollar sign.
- In all other fields Nomad replaces `${name}` too, in some of them again at each restart: such a value is refused.
- `template.data` is code of Go's text/template: a value is allowed in its text and in its quoted texts, without
  characters that could end those.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from enum import Enum
from typing import Any

from environments.providers.nomad import env_file
from environments.providers.nomad.go_template import Place, places, unclosed

DOLLAR = "calvinverse_dollar"
"""Key of a job's metadata whose value is a dollar sign."""

_DOLLAR_NAME = f"${{NOMAD_META_{DOLLAR}}}"

MANY_WORDS = 200
"""With more words of untracked values than this, all text that Nomad acts on must be in the job file."""

KEY = "\0key"
"""The last part of a key's path."""

TEMPLATE = "EmbeddedTmpl"
"""Name of the field with the text of a template."""

Path = tuple[str | int, ...]

_NAMED = re.compile(r"\$\{[a-zA-Z0-9_\-.]+\}")
"""A reference that Nomad replaces (its `helper/args`)."""

_ANY = re.compile(r"\$\{[^}]*\}?")
_HCL = re.compile(r"[$%]\{[^}]*\}?")
_DECODERS = re.compile(r"\b(?:\w*decode\w*|rsadecrypt|replace|regex_replace)\b")
"""Functions that produce characters which neither a value nor the author wrote. The file must name one to call it."""

_PLAIN_NAME = re.compile(r"\$\{[\w.\-]+\}")
_UNSAFE = re.compile(r"[{}\"`\\\x00-\x08\x0a-\x1f\x7f]")


class Origin(Enum):
    """How much is known about the origin of a text."""

    WHOLE = "whole"
    """For each character it is known whether it comes from the author or from a value."""

    CHOSEN = "chosen"
    """A value decided which text it is: what Nomad acts on in it must be in the job file."""

    LOST = "lost"
    """A function computed it from a value."""


@dataclass(frozen=True)
class Text:
    """A text of a job: `foreign` says for each character whether it came from a value.

    `words`: texts of values that it may contain without being tracked.
    """

    text: str
    foreign: list[bool]
    origin: Origin = Origin.WHOLE
    words: tuple[str, ...] = ()


class Author:
    """The text of a job file, to decide what its author wrote."""

    def __init__(self, file: str, words: Collection[str]) -> None:
        """`words`: texts of untracked values that the job may contain, because they decide its structure."""
        self._words = _pieces(words)
        self.decodes = _DECODERS.search(file) is not None
        unquoted = file.replace('\\"', '"').replace("$${", "${").replace("%%{", "%{").replace("\\n", "\n")
        self._texts = [" ".join(found.split()) for found in (file, unquoted, unquoted.replace("\\\\", "\\"))]

    def strange(self, code: str, text: Text, *, closed: bool) -> bool:
        """Whether that code may contain an untracked value, because the author didn't write it.

        `closed`: whether the code is complete. An incomplete one would be a part of any longer code in the job file.
        """
        many = max(len(self._words), len(text.words)) > MANY_WORDS
        if text.origin is Origin.WHOLE and not many:
            words = self._words | _pieces(text.words)
            if not (words and self.decodes) and not any(word in code.casefold() for word in words):
                return False
        if not closed:
            return True
        code = " ".join(code.split())
        if name := _PLAIN_NAME.fullmatch(code):
            # HCL also allows a name without braces.
            pattern = re.compile(rf"(?<![\w.]){re.escape(name[0][2:-1])}(?![\w.])")
            return not any(pattern.search(found) for found in self._texts)
        return not any(code in found for found in self._texts)


def _pieces(words: Collection[str]) -> set[str]:
    return {piece for word in words for piece in re.findall(r"\w+", word.casefold())}


@dataclass(frozen=True)
class Written:
    """A text as it is registered, and the metadata that the job needs for it."""

    text: str
    meta: Mapping[str, str] = dataclass_field(default_factory=dict)


Beside = Callable[[str], tuple[str, bool]]
"""Returns a text of the same block by its name, and whether the author wrote it."""


class Field:
    """A place in a job, and how Nomad evaluates the text there."""

    def __init__(self, path: Path, job: Mapping[str, Any]) -> None:
        self.path = path
        self._job = job

    @property
    def template(self) -> bool:
        """Whether it is the text of a template."""
        return self.path[-1] == TEMPLATE

    @property
    def delimiter(self) -> bool:
        """Whether it is a delimiter of a template's code."""
        return self.path[-1] in ("LeftDelim", "RightDelim")

    @property
    def environment(self) -> bool:
        """Whether it is the value of an environment variable of a task."""
        return self._of_task("Env") and len(self.path) == 6

    @property
    def config(self) -> bool:
        """Whether it is a text in the configuration of a task's driver."""
        return self._of_task("Config") and self.path[-1] != KEY

    @property
    def hcl(self) -> bool:
        """Whether it is in a configuration that is HCL, of a task or a sidecar."""
        return "Config" in self.path

    @property
    def in_env_file(self) -> bool:
        """Whether it is the text of a template whose lines become environment variables."""
        node: Any = self._job
        for step in self.path[:-1]:
            node = node[step]
        return bool(node.get("Envvars"))

    def _of_task(self, name: str) -> bool:
        return len(self.path) > 5 and (self.path[0], self.path[2], self.path[4]) == ("TaskGroups", "Tasks", name)

    def __str__(self) -> str:
        return ", ".join(self._words())

    def _words(self) -> Iterator[str]:
        node: Any = self._job
        for number, step in enumerate(self.path):
            if step == KEY:
                yield "a name"
                return
            node = node[step]
            if isinstance(step, str) and not (number + 1 < len(self.path) and isinstance(self.path[number + 1], int)):
                yield {"EmbeddedTmpl": "data"}.get(step, step)
            elif isinstance(step, int):
                kind = {"TaskGroups": "group"}.get(str(self.path[number - 1]), str(self.path[number - 1]).lower())
                name = node.get("Name") if isinstance(node, Mapping) else None
                yield f"{kind.removesuffix('s')} {name or step + 1}"


def typed(text: str) -> str:
    """A text of a registered job, changed back to what was typed."""
    return text.replace(_DOLLAR_NAME, "$").replace('${"$"}', "$").replace('${"%"}', "%")


def acting(text: str) -> list[str]:
    """The parts of a text, which is no template, that Nomad or HCL would act on."""
    return _HCL.findall(text)


def written(field: Field, text: Text, author: Author, beside: Beside) -> Written:
    """The text to register. Raises `ValueError` saying why a value isn't allowed there."""
    if field.delimiter and (any(text.foreign) or text.origin is not Origin.WHOLE):
        raise ValueError("can't come from a value")
    if field.template:
        return _in_template(field, text, author, beside)
    pattern = _NAMED if field.environment else _HCL if field.hcl else _ANY
    active = list(pattern.finditer(text.text))
    if field.hcl and "logging" in field.path and any(text.foreign) and "{{" in text.text:
        raise ValueError("has a value beside {{, which Docker would act on")
    if active and text.origin is Origin.LOST:
        raise ValueError(f"holds {active[0][0]}, which a function made of a value and Nomad would act on")
    for found in active:
        values = text.foreign[found.start() : found.end()]
        if not any(values) and author.strange(found[0], text, closed=found[0].endswith("}")):
            raise ValueError(f"holds {found[0]}, which doesn't stand in the job file and Nomad would act on")
        if any(values) and not values[0]:
            raise ValueError(f"has a value inside of {found[0]}, which Nomad would act on")
        if any(values) and not (field.environment or field.config):
            raise ValueError(f"holds {found[0]}, which Nomad would act on")
    if field.config and active and any(text.foreign):
        return Written(_in_config(text))
    dollars = {found.start() for found in active if text.foreign[found.start()]}
    if not dollars:
        return Written(text.text)
    return Written("".join(_DOLLAR_NAME if n in dollars else sign for n, sign in enumerate(text.text)), {DOLLAR: "$"})


def _in_config(text: Text) -> str:
    signs = []
    for number, sign in enumerate(text.text):
        own = not text.foreign[number]
        if own and sign in "$%" and text.text.startswith("{", number + 1):
            name = _PLAIN_NAME.match(text.text, number)
            if name is None or any(text.foreign[name.start() : name.end()]):
                raise ValueError("has a value beside an expression that is more than the name of a variable")
        if own or sign not in "$%":
            signs.append(sign)
        elif number and text.text[number - 1] in "$%" and not text.foreign[number - 1]:
            raise ValueError(f"has a value that begins with {sign} after a {text.text[number - 1]} of its own")
        else:
            signs.append(f'${{"{sign}"}}')
    return "".join(signs)


def _in_template(field: Field, text: Text, author: Author, beside: Beside) -> Written:
    (left, own_left), (right, own_right) = beside("LeftDelim"), beside("RightDelim")
    open_end = unclosed(text.text, left, right)
    lost = text.origin is Origin.LOST and author.strange(text.text, text, closed=not open_end)
    if text.text and (lost or not own_left or not own_right):
        raise ValueError("is made of a value by functions, so that the value could change the template")
    where = places(text.text, left, right)
    for number, sign in enumerate(text.text):
        if not text.foreign[number]:
            continue
        strange = _UNSAFE.match(sign) or sign in left + right
        if strange or (field.in_env_file and sign in env_file.UNSAFE):
            raise ValueError(f"has a value with {sign!r}, which could change the template")
        if where[number] is Place.CODE:
            raise ValueError("has a value in the code of the template")
    if field.in_env_file:
        env_file.check(text.text, text.foreign, where)
    for start, end in actions(where):
        code = "".join(text.text[n] for n in range(start, end) if where[n] is Place.CODE)
        whole = text.text[start:end]
        closed = not (open_end and end == len(text.text))
        if author.strange(code, text, closed=closed) and author.strange(whole, text, closed=closed):
            raise ValueError(f"has the code {whole}, which doesn't stand in the job file")
    return Written(text.text)


def actions(where: list[Place]) -> Iterator[tuple[int, int]]:
    """For `places`: start and end of each part of a template that isn't text."""
    begin = None
    for number, place in enumerate([*where, Place.TEXT]):
        if place is not Place.TEXT and begin is None:
            begin = number
        elif place is Place.TEXT and begin is not None:
            yield begin, number
            begin = None
