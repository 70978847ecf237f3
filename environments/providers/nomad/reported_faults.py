"""Converts Nomad's messages about a job file and a job into faults of the file."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from environments.domain.faults import LONGEST, Fault
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tokens import Kind
from environments.steps.hcl.tree import Attribute, Block

_PLACE = re.compile(r"(?:[\w.-]+\.hcl:(\d+),(\d+)-(?:\d+,)?\d+|<nil>): ")
_MORE = re.compile(r",? and \d+ other diagnostic\(s\)")
_REJECTED = re.compile(r"^Nomad rejects the job: |^Failed to parse job: ")
_FOLLOWS = "value must be known"
"""The end of a message that only repeats an earlier one about the same value."""

_CUT_AT = 297
"""The length in characters from which a message may have been cut off."""

_OF_THE_FILE = frozenset(
    {
        "argument definition required",
        "argument or block definition required",
        "attribute redefined",
        "call to unknown function",
        "invalid argument name",
        "invalid block definition",
        "invalid character",
        "invalid default value for variable",
        "invalid expression",
        "invalid legacy index syntax",
        "invalid multi-line string",
        "invalid single-argument block definition",
        "invalid type specification",
        "missing newline after argument",
        "missing newline after block definition",
        "missing required argument",
        "not enough function arguments",
        "too many function arguments",
        "unclosed configuration block",
        "unsupported argument",
        "unsupported block type",
        "unterminated template string",
    }
)
"""Summaries of faults that a file has for any values of its variables."""

_CLUSTER = re.compile(
    r"not enabled but used|node pool|permission denied|quota|(?:no such|nonexistent|unknown) namespace"
    r"|namespace .* (?:does not|doesn't) exist",
    re.IGNORECASE,
)
"""Messages of Nomad about itself and its cluster, not about the job."""

_COUNTED = re.compile(r"(\d+) errors? occurred:?$")
_CONTEXT = re.compile(r"\s*(?:validation failed|is invalid)?:?\s*$")
_NUMBERED = re.compile(r"(Template|Constraint|Affinity|Artifact|Spread) (\d+)")
_SERVICE = re.compile(r"Service\[(\d+)\]")
_WORDS = frozenset({"true", "false", "null"})


@dataclass(frozen=True)
class Diagnostic:
    """A fault that Nomad finds when it parses a job file; `line` and `column` are 0 if it names no place."""

    line: int
    column: int
    said: str


def diagnostics(text: str) -> list[Diagnostic]:
    """The faults in Nomad's answer about a job file, in their order."""
    said = _REJECTED.sub("", " ".join(text.split())).rstrip(".")
    cut = len(said) > _CUT_AT
    rest = _REJECTED.sub("", said)
    places = list(_PLACE.finditer(rest))
    if not places:
        return [Diagnostic(0, 0, rest)]
    found = []
    for number, place in enumerate(places):
        end = places[number + 1].start() if number + 1 < len(places) else len(rest)
        words = _MORE.sub("", rest[place.end() : end]).strip().rstrip(".")
        found.append(Diagnostic(int(place[1] or 0), int(place[2] or 0), words))
    if cut and len(found) > 1:
        del found[-1]
    elif cut:
        found = [Diagnostic(found[0].line, found[0].column, f"{found[0].said}…")]
    return [item for item in found if not item.said.endswith(_FOLLOWS)] or found[:1]


def told_of_file(source: Source, found: Diagnostic) -> Fault:
    """The fault in the file."""
    line, column = (found.line, found.column) if found.line else (None, None)
    return Fault(
        message=_cut(f"Nomad can't read the job file: {found.said}"), file=source.file, line=line, column=column
    )


def of_the_file(source: Source, found: Diagnostic) -> bool:
    """Whether the file has the fault for any values of the variables."""
    summary = found.said.partition(";")[0].strip().lower()
    if summary in _OF_THE_FILE or summary.startswith("duplicate "):
        return True
    before = [
        attribute
        for attribute in source.tree.attributes()
        if source.tree.place(attribute.at) <= (found.line, found.column)
    ]
    last = max(before, key=lambda attribute: attribute.at, default=None)
    return last is not None and source.tree.place(last.at)[0] == found.line and _names_nothing(last)


def _names_nothing(attribute: Attribute) -> bool:
    """Whether the value there has no names except those of functions."""
    if any("${" in token.text or "%{" in token.text for token in attribute.tokens):
        return False
    following = [*(token.text for token in attribute.tokens[1:]), ""]
    return all(
        token.kind is not Kind.WORD or token.text in _WORDS or after == "("
        for token, after in zip(attribute.tokens, following, strict=True)
    )


def told_of_job(source: Source, errors: Sequence[str]) -> Iterator[Fault]:
    """The faults that Nomad's validation of a job finds, each at the block that it names."""
    for text in errors:
        lines = [line.strip().removeprefix("* ") for line in text.splitlines() if line.strip()]
        for context, said in _leaves(lines):
            if _CLUSTER.search(said):
                continue
            where = "".join(f"{part}: " for part in context)
            at = _place(source, context)
            message = _cut(f"Nomad refuses the job: {where}{said}")
            yield source.fault(at, message)


def _leaves(lines: list[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each error with its enclosing blocks, outermost first.

    A line with a count says how many errors inside it follow.
    """
    waiting: list[tuple[tuple[str, ...], int]] = []
    for line in lines:
        while waiting and waiting[-1][1] == 0:
            waiting.pop()
        context: tuple[str, ...] = ()
        if waiting:
            context, left = waiting[-1]
            waiting[-1] = (context, left - 1)
        counted = _COUNTED.search(line)
        if counted is None:
            yield context, line.rstrip(".")
            continue
        name = _CONTEXT.sub("", line[: counted.start()])
        waiting.append(((*context, name) if name else context, int(counted[1])))


def _place(source: Source, context: Sequence[str]) -> int:
    """The position of the innermost of these blocks that the file has."""
    block = next(source.tree.body.of("job"), None)
    if block is None:
        return 0
    for part in context:
        inner = _inner(block, part)
        block = inner if inner is not None else block
    return block.at


def _inner(block: Block, part: str) -> Block | None:
    for before, kind in (("Task group ", "group"), ("Task ", "task")):
        label = part.removeprefix(before)
        if label != part:
            named = [found for found in block.body.of(kind) if found.labels == (label,)]
            if named:
                return named[0]
    if next(block.body.of("dynamic"), None) is not None:
        return None
    if (numbered := _NUMBERED.match(part)) is not None:
        return _nth(block, numbered[1].lower(), int(numbered[2]) - 1)
    if (service := _SERVICE.match(part)) is not None:
        return _nth(block, "service", int(service[1]))
    return None


def _nth(block: Block, kind: str, number: int) -> Block | None:
    found = list(block.body.of(kind))
    return found[number] if 0 <= number < len(found) else None


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST else f"{message[: LONGEST - 1]}…"
