"""Finds the parts of a job that don't depend on values. Code that Nomad acts on must be one, or be in the job file.

Marks follow the characters of texts. Text that a job file computes from numbers, from lengths or with a lookup has no
marks: a file can compute a dollar sign from 36. So the file is also parsed with other values of the same shape. Text
that is the same each time is the author's, however it was computed. All other code must be in the file literally.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from environments.domain.errors import InvalidJob
from environments.providers.nomad.fields import Field, Path, Text, actions
from environments.providers.nomad.go_template import LEFT, RIGHT, Place, places, unclosed
from environments.providers.nomad.other_values import aspects, others
from environments.providers.nomad.ports import Job
from environments.providers.nomad.texts import leaves
from environments.steps.hcl import literals as hcl

_ANY = re.compile(r"[$%]\{[^}]*\}?")
_DOCKER = re.compile(r"\{\{.*?(?:\}\}|$)", re.DOTALL)
_NAME = re.compile(r"\$\{([\w.\-]+)\}")
_INTERPOLATED = re.compile(r"\$\{[^{}]*\}")
_NUMBER = re.compile(r"\d+")
_SPECIAL = re.compile(r"[#'\"`\\]")


class Twins:
    """The jobs that result from other values, and the text of the job file."""

    def __init__(self, parse: Callable[[str, str], Job], file: str, variables: Mapping[str, Any]) -> None:
        """`parse`: `NomadApi.parse`."""
        self._parse = parse
        self._file = file
        self._variables = dict(variables)
        plain = file.replace('\\"', '"').replace("$${", "${").replace("%%{", "%{").replace("\\n", "\n")
        self._written = [" ".join(found.split()) for found in (file, plain, plain.replace("\\\\", "\\"))]
        self._lines = [*file.splitlines(), *plain.splitlines()]
        self._job = cache(self._try)
        self._found: Sequence[Mapping[Path, str]] | None = None
        self._steady = False

    def check(self, field: Field, text: Text, left: str, right: str) -> None:
        """Raises `ValueError` if a text of the job contains code that Nomad would act on and that depends on values.

        `left` and `right`: the delimiters of the template beside it.
        """
        if field.delimiter:
            if not self._delimits(field, text.text) and not self._same(field.path, lambda found: [found], text):
                raise ValueError("can't come from a value")
        elif field.template:
            self._in_template(field, text, left, right)
        else:
            self._elsewhere(field, text)

    def moving(self, paths: Sequence[Path], own: Mapping[Path, str]) -> list[str]:
        """The variables that these texts of the job depend on."""
        names = []
        for name, value in self._variables.items():
            jobs = [self._job(hcl.assignments({**self._variables, name: other})) for other, _ in others(value)]
            if any(job is not None and any(job.get(path) != own[path] for path in paths) for job in jobs):
                names.append(name)
        return names

    def _delimits(self, field: Field, text: str) -> bool:
        """Whether a delimiter is Nomad's default, or is a delimiter in the job file."""
        left = field.path[-1] == "LeftDelim"
        name = "left_delimiter" if left else "right_delimiter"
        if not any(name in found for found in self._written):
            return text in ("", LEFT if left else RIGHT)
        literal = re.compile(rf'{name} ?= ?"{re.escape(text)}"')
        return any(literal.search(found) for found in self._written)

    def _elsewhere(self, field: Field, text: Text) -> None:
        patterns = [(_ANY, "}"), (_DOCKER, RIGHT)] if "logging" in field.path else [(_ANY, "}")]
        for pattern, end in patterns:

            def own(found: str, pattern: re.Pattern[str] = pattern) -> list[str]:
                return pattern.findall(found)

            for item in pattern.finditer(text.text):
                closed = item[0].endswith(end)
                if any(text.foreign[item.start() : item.end()]) or (closed and self._stands(item[0])):
                    continue
                if not self._contain(field.path, own, item[0]):
                    raise ValueError(f"holds {item[0]}, which doesn't stand in the job file and Nomad would act on")

    def _in_template(self, field: Field, text: Text, left: str, right: str) -> None:
        def codes(found: str) -> list[str]:
            where = places(found, left, right)
            return [_code(found, where, start, end) for start, end in actions(where)]

        where = places(text.text, left, right)
        made = [text.text[start:end] for start, end in actions(where)]
        made = [
            code
            for code in made
            if unclosed(code, left, right) or not (self._stands(code) or self._fills(code, left, right))
        ]
        if made and not self._same(field.path, codes, text):
            raise ValueError(f"has the code {made[0]}, which doesn't stand in the job file")
        if not field.in_env_file:
            return

        def lines(found: str) -> list[str]:
            return [_line(line) for line in _texts(found, places(found, left, right)).splitlines()]

        if self._same(field.path, lines, text):
            return
        names = set()
        for line in _texts(text.text, where).splitlines():
            name, equals, rest = line.partition("=")
            if not line.strip():
                continue
            special = "".join(_SPECIAL.findall(rest))
            if name in names or not equals or not self._line_stands(name, special, left, right):
                raise ValueError(f"has the line {line}, which doesn't stand in the job file")
            names.add(name)

    def _stands(self, code: str) -> bool:
        """Whether the job file contains that code.

        Incomplete code doesn't count, because other code begins the same.
        """
        code = " ".join(code.split())
        if name := _NAME.fullmatch(code):
            # HCL also allows a name without braces.
            bare = re.compile(rf"(?<![\w.$]){re.escape(name[1])}(?![\w.])")
            return any(bare.search(found) for found in self._written)
        return any(code in found for found in self._written)

    def _fills(self, code: str, left: str, right: str) -> bool:
        """Whether the job file has that code of a template, with `${…}` for words in quoted texts or for numbers."""
        code = " ".join(code.split())
        action = re.compile(f"{re.escape(left or LEFT)}.*?{re.escape(right or RIGHT)}")
        items = action.findall(code)
        return "".join(items) == code and all(
            self._stands(item)
            or any(
                "${" in own[0] and re.fullmatch(_pattern(own[0]), item)
                for found in self._written
                for own in action.finditer(found)
            )
            for item in items
        )

    def _line_stands(self, name: str, special: str, left: str, right: str) -> bool:
        """Whether the job file contains such a line of an environment file, with the same special characters.

        Numbers in its name may result from `${…}`.
        """
        parts = map(re.escape, _NUMBER.split(name.strip()))
        pattern = re.compile(r"(?<!\w)" + r"(?:\d+|\$\{[^}]*\})".join(parts) + r"\s*=")
        for line in self._lines:
            if begin := pattern.search(line):
                own = _INTERPOLATED.sub("", line[begin.end() :])
                written = "".join(_SPECIAL.findall(_texts(own, places(own, left, right))))
                if not special or written in (special, special + '"'):
                    return True
        return False

    def _same(self, path: Path, part: Callable[[str], list[str]], text: Text) -> bool:
        wanted = part(text.text)
        return self._all(path, lambda found: part(found) == wanted)

    def _contain(self, path: Path, part: Callable[[str], list[str]], wanted: str) -> bool:
        return self._all(path, lambda found: wanted in part(found))

    def _all(self, path: Path, fits: Callable[[str], bool]) -> bool:
        """Whether that text of each twin satisfies `fits`."""
        twins = self._twins()
        return self._steady and all(path in twin and fits(twin[path]) for twin in twins)

    def _twins(self) -> Sequence[Mapping[Path, str]]:
        if self._found is None:
            self._found, self._steady = self._find()
        return self._found

    def _find(self) -> tuple[list[Mapping[Path, str]], bool]:
        """The jobs from other values, and whether each variable could be varied in all its aspects."""
        found: list[Mapping[Path, str]] = []
        ways: dict[str, list[Any]] = {}
        for name, value in self._variables.items():
            missing = aspects(value)
            for other, changes in others(value):
                if (job := self._job(hcl.assignments({**self._variables, name: other}))) is not None:
                    found.append(job)
                    ways.setdefault(name, []).append(other)
                    missing -= changes
            if missing:
                return [], False
        together = False
        for number in range(max(map(len, ways.values()), default=0)):
            chosen = {name: own[number % len(own)] for name, own in ways.items()}
            if (job := self._job(hcl.assignments({**self._variables, **chosen}))) is not None:
                found.append(job)
                together = True
        return found, together or not ways

    def _try(self, assignments: str) -> Mapping[Path, str] | None:
        # an impossible value, which the service would refuse anyway
        try:
            return leaves(self._parse(self._file, assignments), lambda key: key).texts
        except InvalidJob:
            return None


def _pattern(written: str) -> str:
    """A pattern for the results of an action: a word for a `${…}` in a quoted text, a number for any other `${…}`."""
    parts = []
    quoted = False
    at = 0
    for found in _INTERPOLATED.finditer(written):
        before = written[at : found.start()]
        parts.append(re.escape(before))
        quoted ^= before.count('"') % 2 == 1
        parts.append(r"[^\"'`\\{}$%\n]*" if quoted else r"(?:-?\d+(?:\.\d+)?|true|false)")
        at = found.end()
    return "".join([*parts, re.escape(written[at:])])


def _code(text: str, where: list[Place], start: int, end: int) -> str:
    return "".join(text[number] for number in range(start, end) if where[number] is Place.CODE)


def _texts(text: str, where: list[Place]) -> str:
    """The text outside of actions, and characters of their quoted texts that could change the meaning of a line."""
    found = []
    for sign, place in zip(text, where, strict=True):
        if place is Place.TEXT or (place is Place.QUOTED and _SPECIAL.match(sign)):
            found.append(sign)
        elif place is Place.QUOTED and sign in "\r\n":
            found.append("#")
    return "".join(found)


def _line(line: str) -> str:
    """The parts of a line in an environment file that Nomad acts on."""
    name, equals, rest = line.partition("=")
    return _NUMBER.sub("0", name) + equals + "".join(_SPECIAL.findall(rest))
