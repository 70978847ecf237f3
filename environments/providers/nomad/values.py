"""Parses a job file with values so that values stay data. If that isn't possible, the job is refused.

A value could become code where Nomad parses the file (literals prevent that, see `hcl`), where it runs the job (Nomad
interpolates `${…}`, a driver's `config` is a template of HCL) and where it renders the job's templates. So the file is
parsed twice: with the values, and with marks in their place (see `marked_values`). A mark in the job shows where a
value ends up, however many functions process it. There the value is written so that Nomad uses it unchanged, or refused
where that isn't possible. Text that has no marks, because a job file computes it from numbers or lengths, is found by
parsing the file with other values (see `value_independence`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any
from unicodedata import normalize

from environments.domain.errors import InvalidJob
from environments.providers.nomad.fields import (
    MANY_WORDS,
    TEMPLATE,
    Author,
    Beside,
    Field,
    Origin,
    Path,
    Text,
    acting,
    written,
)
from environments.providers.nomad.marked_values import (
    ACTIVE,
    CONTROLS,
    DOLLARS,
    UNENCODED,
    Marked,
    Marking,
    depths,
    harmless,
    reserved,
    texts,
)
from environments.providers.nomad.ports import Job
from environments.providers.nomad.texts import Leaves, leaves, replaced
from environments.providers.nomad.value_independence import Twins
from environments.steps.hcl import literals as hcl

LARGEST = 256 * 1024
"""Characters of all values for a job file in all. The file is parsed many times with them."""

Parse = Callable[[str, str], Job]
"""`NomadApi.parse`."""

_ELSEWHERE = "Give it to the job through consul.kv, which accepts any text, or change the value."
_IN_ENV = 'Give it to the job through consul.kv and read it with `A={{ key "…" | toJSON }}`, or change the value.'


def read(parse: Parse, file: str, variables: Mapping[str, Any]) -> Job:
    """The job of a job file with these values, which Nomad uses as they were typed.

    Raises `InvalidJob` with Nomad's reason, or with the field and the variable of a value that could become code.
    """
    try:
        return _read(parse, file, variables)
    except RecursionError:
        raise InvalidJob("The value of a variable of the job file is nested too deeply.") from None


def _read(parse: Parse, file: str, variables: Mapping[str, Any]) -> Job:
    size = sum(map(len, texts(variables)))
    if size > LARGEST:
        raise InvalidJob(f"The values for a job file have {size} characters; the limit is {LARGEST}.", hint=_ELSEWHERE)
    job = parse(file, hcl.assignments(variables))
    if not variables:
        return job
    if reserved(file):
        raise InvalidJob(
            "The job file contains characters for private use, or of the Deseret script.",
            hint="With them values can't be distinguished from the file's own text; write something else.",
        )
    return _Reading(parse, file, variables, job).checked()


class _Reading:
    def __init__(self, parse: Parse, file: str, variables: Mapping[str, Any], job: Job) -> None:
        self._parse = parse
        self._file = file
        self._variables = dict(variables)
        self._job = job
        self._marking = Marking(variables)
        self._true = leaves(job, lambda key: key)
        self._tried = cache(self._try_one)
        self._ways = cache(self._find_ways)
        self._harmless = cache(self._without)
        self._twins = Twins(parse, file, variables)

    def checked(self) -> Job:
        """The job, with its values written as data."""
        chosen, marked = self._marks()
        author = Author(self._file, [word for found in chosen.values() for word in found.kept])
        if author.decodes and (hidden := [name for name, found in chosen.items() if _conceals(found)]):
            raise _undecided(hidden)
        changed: dict[Path, str] = {}
        problems: dict[Path, str] = {}
        meta: dict[str, str] = {}
        for path, text in self._true.texts.items():
            try:
                field = Field(path, self._job)
                read, beside = self._text(path, text, chosen, marked), self._beside(path, marked)
                result = written(field, read, author, beside)
                self._twins.check(field, read, beside("LeftDelim")[0], beside("RightDelim")[0])
            except ValueError as error:
                problems[path] = str(error)
                continue
            changed[path] = result.text
            meta |= result.meta
        if problems:
            raise self._refusal(problems, chosen)
        job: Job = replaced(self._job, (), changed)
        return {**job, "Meta": {**(job.get("Meta") or {}), **meta}} if meta else job

    def _marks(self) -> tuple[dict[str, Marked], Leaves]:
        """The marked value of each variable, and the resulting job, which has the same shape as the true one."""
        names = [name for name, value in self._variables.items() if any(texts(value))]
        chosen = {name: next(self._marking.tracked(self._variables[name])) for name in names}
        marked = self._try(chosen)
        if marked is not None and self._faithful(marked):
            return chosen, marked
        # A value decides the structure of the job, or a function changes it.
        chosen = {name: self._best(name) for name in names}
        marked = self._try(chosen)
        if marked is None:
            chosen = {name: self._marking.partly(self._variables[name]) for name in names}
            marked = self._try(chosen)
        if marked is None:
            raise _undecided(names)
        return chosen, marked

    def _best(self, name: str) -> Marked:
        value = self._variables[name]
        partly = self._marking.partly(value)
        same_shape = []
        for candidate in [*self._marking.tracked(value), partly]:
            marked = self._try({name: candidate})
            if marked is not None and (self._faithful(marked) or candidate.value == value):
                return candidate
            if marked is not None:
                same_shape.append(candidate)
        if not same_shape:
            raise _undecided([name])
        return same_shape[0]

    def _try(self, chosen: Mapping[str, Marked]) -> Leaves | None:
        """The job with these marked values; None if its shape differs from that of the true one."""
        return self._tried(hcl.assignments({**self._variables, **{name: item.value for name, item in chosen.items()}}))

    def _try_one(self, assignments: str) -> Leaves | None:
        try:
            found = leaves(self._parse(self._file, assignments), self._marking.unmark)
        except InvalidJob:
            return None
        same = found.others == self._true.others and found.texts.keys() == self._true.texts.keys()
        return found if same else None

    def _faithful(self, marked: Leaves) -> bool:
        return all(self._same(text, marked.texts[path]) for path, text in self._true.texts.items())

    def _same(self, text: str, marked: str) -> bool:
        # HCL normalizes accents; the typed form is used.
        return text == marked or normalize("NFC", self._marking.unmark(marked)) == normalize("NFC", text)

    def _text(self, path: Path, text: str, chosen: Mapping[str, Marked], marked: Leaves) -> Text:
        """The text, with the characters that come from values."""
        mark = marked.texts[path]
        unsure = [name for name, found in chosen.items() if not found.whole]
        if self._same(text, mark) and (path[-1] != TEMPLATE or not unsure):
            foreign = [False] * len(text) if text == mark else self._marking.foreign(mark)
            typed = text if text == mark else self._marking.unmark(mark)
            return Text(typed, foreign, *self._doubts(path, text, unsure if acting(text) else []))
        # Each variable alone, with the true values of the others, so that one that decides hides nothing of another.
        found = [self._of(path, text, name) for name in chosen]
        if any(part is None for part in found):
            return Text(text, [False] * len(text), Origin.LOST)
        parts = [part for part in found if part is not None]
        return Text(
            text,
            [any(signs) for signs in zip(*(part.foreign for part in parts), strict=True)],
            Origin.CHOSEN if any(part.origin is Origin.CHOSEN for part in parts) else Origin.WHOLE,
            tuple(word for part in parts for word in part.words[: MANY_WORDS + 1]),
        )

    def _doubts(self, path: Path, text: str, names: Iterable[str]) -> tuple[Origin, tuple[str, ...]]:
        """The origin of a text with regard to values that aren't completely marked, and their words for `Text`."""
        origin = Origin.WHOLE
        words: tuple[str, ...] = ()
        for name in names:
            whole = [alone.texts[path] for found, alone in self._ways(name, False) if found.whole]
            if not any(self._same(text, mark) for mark in whole):
                words += tuple(texts(self._variables[name]))[: MANY_WORDS + 1]
                origin = Origin.CHOSEN if whole else origin
        return origin, words

    def _of(self, path: Path, text: str, name: str) -> Text | None:
        """The text, with the characters that come from one variable; None if that is unknown."""
        shaped = self._ways(name, path[-1] == TEMPLATE)
        depends = any(found.whole for found, _ in shaped)
        for found, alone in shaped:
            mark = alone.texts[path]
            if self._same(text, mark) and len(text) == len(mark):
                foreign = [False] * len(text) if text == mark else self._marking.foreign(mark)
                origin = Origin.CHOSEN if depends and not found.whole else Origin.WHOLE
                return Text(text, foreign, origin, found.kept)
        for found, alone in shaped:
            pattern = self._marking.gaps(alone.texts[path])
            if found.whole and "\0" in pattern:
                aligned = _aligned(text, pattern)
                return None if aligned is None else Text(text, aligned, Origin.WHOLE, found.kept)
        without = self._harmless(name)
        if without is None or (path[-1] == TEMPLATE and without.texts[path] != text):
            return None
        same = acting(without.texts[path]) == acting(text)
        return Text(text, [False] * len(text), Origin.CHOSEN) if same else None

    def _find_ways(self, name: str, template: bool) -> Sequence[tuple[Marked, Leaves]]:
        """All ways to mark one variable that preserve the job's shape, those that mark more first."""
        value = self._variables[name]
        # `jsonencode` changes quotes too.
        some = [ACTIVE | CONTROLS] if template else [UNENCODED, ACTIVE, DOLLARS]
        ways = [*self._marking.tracked(value), *(self._marking.partly(value, which) for which in some)]
        return [(found, alone) for found in ways if (alone := self._try({name: found})) is not None]

    def _without(self, name: str) -> Leaves | None:
        return self._try({name: Marked(harmless(self._variables[name]))})

    def _beside(self, path: Path, marked: Leaves) -> Beside:
        """A function that returns a text of the same block, and whether the author wrote it."""

        def beside(name: str) -> tuple[str, bool]:
            place = (*path[:-1], name)
            text = self._true.texts.get(place, "")
            return text, text == marked.texts.get(place, "")

        return beside

    def _refusal(self, problems: Mapping[Path, str], chosen: Mapping[str, Marked]) -> InvalidJob:
        reached = [name for name in chosen if self._reaches(name, chosen, problems)]
        moving = self._twins.moving([*problems], self._true.texts)
        names = sorted(reached or moving or chosen or self._variables)
        fields = [Field(path, self._job) for path in problems]
        said = [f"{Field(path, self._job)} {why}" for path, why in problems.items()]
        return InvalidJob(
            f"The value of the variable {_either(names)} would become code of the job: {'; '.join(said)}.",
            hint=_IN_ENV if any(field.template and field.in_env_file for field in fields) else _ELSEWHERE,
            details={"problems": said, "variables": names},
        )

    def _reaches(self, name: str, chosen: Mapping[str, Marked], places: Mapping[Path, str]) -> bool:
        marked = self._try({name: chosen[name]})
        return marked is None or any(marked.texts[path] != self._true.texts[path] for path in places)


def _conceals(found: Marked) -> bool:
    """Whether decoding a value would produce characters that could change what Nomad does."""
    decoded = (inside for text in found.kept for inside in [*depths(text)][1:])
    return not found.whole and any(DOLLARS.intersection(inside) for inside in decoded)


def _undecided(names: list[str]) -> InvalidJob:
    return InvalidJob(
        f"The value of the variable {_either(names)} decides the structure of the job, with characters that could "
        "become code.",
        hint="Give a list or an object instead of a text that the job file decodes, or decode it in the task.",
        details={"variables": sorted(names)},
    )


def _either(names: Iterable[str]) -> str:
    return " or ".join(repr(name) for name in sorted(names))


def _aligned(text: str, pattern: str) -> list[bool] | None:
    """For each character, whether the pattern has a zero there; None if it doesn't match, or a character could act.

    A function may have changed the value (`upper`, `trimspace`), but not the author's text around it.
    """
    runs = re.split("\0+", pattern)
    if not text.startswith(runs[0]) or not text.endswith(runs[-1]):
        return None
    foreign = [False] * len(text)
    position, last = len(runs[0]), len(text) - len(runs[-1])
    for number, run in enumerate(runs[1:], start=1):
        begin = last if number == len(runs) - 1 else text.find(run, position, last)
        if begin < position or ACTIVE.intersection(text[position:begin]):
            return None
        foreign[position:begin] = [True] * (begin - position)
        position = begin + len(run)
    return foreign
