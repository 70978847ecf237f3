"""A job file read with values that stay data: Nomad runs what was typed, or the job is refused.

A value could become code where Nomad parses the file (literals prevent that, see `hcl`), where it runs the job (it
interpolates `${…}`, a driver's `config` is a template of HCL) and where it renders the job's templates. So the file is
read twice: with the values, and with marks in their place (see `marking`). Where marks come out, a value stands,
however many functions it went through. There it is written so that Nomad takes it as it is, or refused where that can't
be done.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from unicodedata import normalize

from environments.domain.errors import InvalidJob
from environments.executors import hcl
from environments.executors.marking import (
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
from environments.executors.nomad_fields import (
    KEY,
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
from environments.executors.nomad_ports import Job

Parse = Callable[[str, str], Job]
"""`Scheduler.parse`."""

_ELSEWHERE = "Give it to the job through consul.kv, where any text may stand, or change the value."


def read(parse: Parse, file: str, variables: Mapping[str, Any]) -> Job:
    """The job of a job file with these values, which Nomad runs as they were typed.

    Raises `InvalidJob` with Nomad's reason, or naming the field and the variable where a value can't be kept as data.
    """
    job = parse(file, hcl.assignments(variables))
    if not any(texts(variables)):
        return job
    if reserved(file):
        raise InvalidJob(
            "The job file holds characters for private use, or of the Deseret script.",
            hint="With them values can't be told from the file's own text; write something else.",
        )
    return _Reading(parse, file, variables, job).checked()


@dataclass(frozen=True)
class _Leaves:
    """A job as a flat map: for each place its text, or other value. A key has a place too: it ends in `KEY`."""

    texts: Mapping[Path, str]
    others: Mapping[Path, Any]


class _Reading:
    def __init__(self, parse: Parse, file: str, variables: Mapping[str, Any], job: Job) -> None:
        self._parse = parse
        self._file = file
        self._variables = dict(variables)
        self._job = job
        self._marking = Marking(variables)
        self._true = _leaves(job, lambda key: key)
        self._tried = cache(self._try_one)

    def checked(self) -> Job:
        """The job, its values written as data."""
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
                result = written(field, self._text(path, text, chosen, marked), author, self._beside(path, marked))
            except ValueError as error:
                problems[path] = str(error)
                continue
            changed[path] = result.text
            meta |= result.meta
        if problems:
            raise self._refusal(problems, chosen)
        job: Job = _replaced(self._job, (), changed)
        return {**job, "Meta": {**(job.get("Meta") or {}), **meta}} if meta else job

    def _marks(self) -> tuple[dict[str, Marked], _Leaves]:
        """How each variable is marked, and the job that comes of it: of the same shape as the true one."""
        names = [name for name, value in self._variables.items() if any(texts(value))]
        chosen = {name: next(self._marking.tracked(self._variables[name])) for name in names}
        marked = self._try(chosen)
        if marked is not None and self._faithful(marked):
            return chosen, marked
        # A value decides what the job looks like, or a function changes it.
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

    def _try(self, chosen: Mapping[str, Marked]) -> _Leaves | None:
        """The job with these marks; None if it has another shape than the true one."""
        return self._tried(hcl.assignments({**self._variables, **{name: item.value for name, item in chosen.items()}}))

    def _try_one(self, assignments: str) -> _Leaves | None:
        try:
            found = _leaves(self._parse(self._file, assignments), self._marking.unmark)
        except InvalidJob:
            return None
        same = found.others == self._true.others and found.texts.keys() == self._true.texts.keys()
        return found if same else None

    def _faithful(self, marked: _Leaves) -> bool:
        return all(self._same(text, marked.texts[path]) for path, text in self._true.texts.items())

    def _same(self, text: str, marked: str) -> bool:
        # HCL composes accents; what was typed is what counts.
        return text == marked or normalize("NFC", self._marking.unmark(marked)) == normalize("NFC", text)

    def _text(self, path: Path, text: str, chosen: Mapping[str, Marked], marked: _Leaves) -> Text:
        """The text with what of it came from values."""
        mark = marked.texts[path]
        certain = path[-1] != TEMPLATE or all(found.whole for found in chosen.values())
        if certain and text == mark:
            return Text(text, [False] * len(text))
        if certain and self._same(text, mark):
            return Text(self._marking.unmark(mark), [self._marking.marked(sign) for sign in mark])
        # Each variable for itself, the others as they are: so one that decides hides nothing of another.
        foreign = [False] * len(text)
        origin = Origin.WHOLE
        words: tuple[str, ...] = ()
        for name, given in chosen.items():
            found, kept = self._of(path, text, name, given)
            if found is None:
                return Text(text, foreign, Origin.LOST)
            if len(found) == len(text):
                foreign = [one or other for one, other in zip(foreign, found, strict=True)]
            else:
                origin = Origin.CHOSEN
            words += kept
        return Text(text, foreign, origin, words)

    def _of(self, path: Path, text: str, name: str, chosen: Marked) -> tuple[list[bool] | None, tuple[str, ...]]:
        """Which characters of a text came from one variable, and words of it that may stand there unnoticed.

        None if that can't be told; an empty list if the value only chose the text.
        """
        value = self._variables[name]
        if path[-1] == TEMPLATE:
            candidates = [*self._marking.tracked(value), self._marking.partly(value, ACTIVE | CONTROLS)]
        else:
            candidates = [chosen, self._marking.partly(value, UNENCODED), self._marking.partly(value, DOLLARS)]
        shaped = [(found, alone.texts[path]) for found in candidates if (alone := self._try({name: found})) is not None]
        for found, mark in shaped:
            if self._same(text, mark) and len(text) == len(mark):
                return [text != mark and self._marking.marked(sign) for sign in mark], found.kept
        for found, mark in shaped:
            pattern = "".join("\0" if self._marking.marked(sign) else sign for sign in mark)
            if found.whole and "\0" in pattern:
                return _aligned(text, pattern), found.kept
        alone = self._try({name: Marked(harmless(value))})
        if alone is None or (path[-1] == TEMPLATE and alone.texts[path] != text):
            return None, ()
        return ([] if acting(alone.texts[path]) == acting(text) else None), ()

    def _beside(self, path: Path, marked: _Leaves) -> Beside:
        """Looks at texts of the same block: what is there, and whether it is the author's."""

        def beside(name: str) -> tuple[str, bool]:
            place = (*path[:-1], name)
            text = self._true.texts.get(place, "")
            return text, text == marked.texts.get(place, "")

        return beside

    def _refusal(self, problems: Mapping[Path, str], chosen: Mapping[str, Marked]) -> InvalidJob:
        names = sorted([name for name in chosen if self._reaches(name, chosen, problems)] or chosen)
        said = [f"{Field(path, self._job)} {why}" for path, why in problems.items()]
        return InvalidJob(
            f"The value of the variable {_either(names)} would become code of the job: {'; '.join(said)}.",
            hint=_ELSEWHERE,
            details={"problems": said, "variables": names},
        )

    def _reaches(self, name: str, chosen: Mapping[str, Marked], places: Mapping[Path, str]) -> bool:
        marked = self._try({name: chosen[name]})
        return marked is None or any(marked.texts[path] != self._true.texts[path] for path in places)


def _conceals(found: Marked) -> bool:
    """Whether decoding a value that decides would make characters that could change something."""
    decoded = (inside for text in found.kept for inside in [*depths(text)][1:])
    return not found.whole and any(DOLLARS.intersection(inside) for inside in decoded)


def _undecided(names: list[str]) -> InvalidJob:
    return InvalidJob(
        f"The value of the variable {_either(names)} decides what the job looks like, with characters that could "
        "become code.",
        hint="Give a list or an object instead of a text that the job file decodes, or decode it in the task.",
        details={"variables": sorted(names)},
    )


def _either(names: Iterable[str]) -> str:
    return " or ".join(repr(name) for name in sorted(names))


def _leaves(job: Job, unmark: Callable[[str], str]) -> _Leaves:
    found: dict[Path, str] = {}
    others: dict[Path, Any] = {}
    for path, item in _walk(job, (), unmark):
        (found if isinstance(item, str) else others)[path] = item
    return _Leaves(found, others)


def _walk(node: Any, path: Path, unmark: Callable[[str], str]) -> Iterator[tuple[Path, Any]]:
    if isinstance(node, dict):
        yield path, len(node)
        for key, item in node.items():
            name = unmark(key)
            yield (*path, name, KEY), key
            yield from _walk(item, (*path, name), unmark)
    elif isinstance(node, list):
        yield path, len(node)
        for number, item in enumerate(node):
            yield from _walk(item, (*path, number), unmark)
    else:
        yield path, node


def _replaced(node: Any, path: Path, changed: Mapping[Path, str]) -> Any:
    if isinstance(node, dict):
        return {key: _replaced(item, (*path, key), changed) for key, item in node.items()}
    if isinstance(node, list):
        return [_replaced(item, (*path, number), changed) for number, item in enumerate(node)]
    return changed.get(path, node)


def _aligned(text: str, pattern: str) -> list[bool] | None:
    """Which characters stand where the pattern has zeros; None if it doesn't fit, or what stands there could act.

    A function may have changed a value (`upper`, `trimspace`), but not the author's text around it.
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
