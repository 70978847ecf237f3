"""Definitions of triggers as people write them: TOML or JSON, checked as far as rules alone can, all faults at once."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from environments.domain.errors import InvalidInput, InvalidTrigger
from environments.domain.faults import Fault, Path, meant, shown
from environments.domain.json_values import DEEPEST, check_numbers, deeper_than
from environments.domain.preview import PreviewRule
from environments.domain.reasons import choice, one_each, reason
from environments.domain.suggesting import near
from environments.domain.template import not_toml
from environments.domain.template_rules import unmisspelt
from environments.domain.toml_places import BYTE_ORDER_MARK, TomlPlaces
from environments.domain.trigger import Trigger
from environments.domain.trigger_rules import Place, trigger_faults

LARGEST_DEFINITION = 64 * 1024
"""Bytes of a definition, as JSON."""

_KEYS = tuple(info.alias or name for name, info in Trigger.model_fields.items())
_SIGNS = {"!": "not", "^": "starts_with", "~": "matches"}
_CONDITION = ("not", "starts_with", "matches", "exists")
_TABLES: Mapping[str, tuple[str, ...]] = {"preview": tuple(PreviewRule.model_fields), "when": _CONDITION}
_A_CONDITION = "it must be a value, a list of values, or a table with one of not, starts_with, matches and exists"


def read_trigger(definition: Mapping[str, Any], place: Place) -> tuple[Trigger | None, list[Fault]]:
    """The trigger that a definition is, and what is wrong with it. None: it can't be read."""
    if (fault := _too_large(definition)) is not None:
        return None, [fault]
    try:
        trigger = Trigger.model_validate(definition)
    except ValidationError as error:
        return None, list(_model_faults(error))
    return trigger, list(trigger_faults(trigger, place))


def check_definition(definition: Mapping[str, Any], place: Place) -> Trigger:
    """The trigger that a definition is. Raises `InvalidTrigger` that names all faults."""
    trigger, faults = read_trigger(definition, place)
    if trigger is None or faults:
        raise invalid_trigger(faults)
    return trigger


def condition_of(text: str) -> tuple[str, Any]:
    """The field and the condition that `field=value`, or one of its kin, says. Raises `InvalidInput`."""
    field, equals, value = text.partition("=")
    sign = field[-1:] if field[-1:] in _SIGNS else ""
    field = field.removesuffix(sign).strip()
    if not equals or not field:
        raise InvalidInput(
            f"{text[:60]!r} is no condition.", hint="Write FIELD=VALUE, FIELD!=VALUE, FIELD^=START or FIELD~=GLOB."
        )
    return field, {_SIGNS[sign]: value} if sign else value


def read_trigger_file(text: str, file: str) -> tuple[dict[str, Any], list[Fault]]:
    """The definition that a TOML file holds; what keeps it from being read at all. `file`: how faults call it."""
    try:
        document = tomllib.loads(text.removeprefix(BYTE_ORDER_MARK))
    except ValueError as error:  # also numbers of more digits than Python reads
        return {}, [not_toml(error).model_copy(update={"file": file})]
    except RecursionError:
        return {}, [Fault(file=file, message="it is nested too deeply")]
    inner = document.get("trigger")
    if isinstance(inner, dict) and len(document) == 1:
        message = "the keys of a trigger stand at the beginning of the file, not in [trigger]"
        return {}, [
            placed(Fault(path=("trigger",), message=message, suggestion="remove the line [trigger]"), text, file)
        ]
    if "triggers" in document:
        message = "a file holds one trigger, and its keys stand at the beginning; [[triggers]] is for templates"
        return {}, [placed(Fault(path=("triggers",), message=message), text, file)]
    return document, []


def placed(fault: Fault, text: str, file: str) -> Fault:
    """The fault with its line in the file of that text."""
    return fault.at(TomlPlaces(text)).model_copy(update={"file": file})


def invalid_trigger(faults: Sequence[Fault]) -> InvalidTrigger:
    """The error of a definition with faults; `details` has their places."""
    told = [fault.sentence for fault in faults]
    return InvalidTrigger(
        f"The trigger is not valid: {'; '.join(told)}.",
        details={
            "problems": told,
            "faults": [{**fault.model_dump(mode="json"), "path": list(fault.path)} for fault in faults],
        },
    )


def faults_of(error: InvalidTrigger) -> list[Fault]:
    """The faults that an error of `invalid_trigger` tells, also one that came over the API; without files and lines."""
    found = []
    for told in error.details.get("faults") or ():
        path = tuple(part for part in told.get("path") or () if isinstance(part, str | int))
        found.append(Fault(path=path, message=str(told.get("message")), suggestion=str(told.get("suggestion") or "")))
    return found


def _too_large(definition: Mapping[str, Any]) -> Fault | None:
    if deeper_than(definition, DEEPEST):
        return Fault(message="the definition is nested too deeply")
    try:
        check_numbers(definition)
        size = len(json.dumps(definition, ensure_ascii=False).encode())
    except (ValueError, TypeError) as error:
        what = "it holds a moment or a date, which must be a text" if isinstance(error, TypeError) else str(error)
        return Fault(message=f"the definition can't be written as JSON: {what}")
    if _holds_nul(definition):
        return Fault(message="the definition holds the character U+0000, which can't be stored")
    if size > LARGEST_DEFINITION:
        return Fault(message=f"the definition has {size:,} bytes as JSON; {LARGEST_DEFINITION:,} is the most")
    return None


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_holds_nul(key) or _holds_nul(part) for key, part in value.items())
    return isinstance(value, list | tuple) and any(map(_holds_nul, value))


def _model_faults(error: ValidationError) -> Iterator[Fault]:
    """What can't be read, in words."""
    told: set[Path] = set()
    for fault in one_each(unmisspelt(error.errors(include_url=False), _near_key)):
        path = tuple(fault["loc"])
        if (path[:1] == ("when",) and len(path) > 2) or (path[:1] == ("when",) and fault["type"] == "model_type"):
            path = path[:2]
        if path in told:
            continue
        told.add(path)
        said, suggestion = reason(fault).rstrip("."), choice(fault)
        if path[:1] == ("when",) and len(path) == 2 and fault["type"] not in ("value_error", "too_long"):
            said, suggestion = _A_CONDITION, _condition_key(fault["loc"])
        elif fault["type"] == "extra_forbidden":
            suggestion = meant(str(path[-1]), _TABLES.get(str(path[0]), ()) if len(path) > 1 else _KEYS)
        yield Fault(path=path, message=f"{shown(path)}: {said}" if path else said, suggestion=suggestion)


def _condition_key(loc: tuple[str | int, ...]) -> str:
    return meant(str(loc[2]), _CONDITION) if len(loc) > 2 else ""


def _near_key(loc: Path) -> str | None:
    known = _TABLES.get(str(loc[0]), ()) if len(loc) > 1 else _KEYS
    return next(iter(near(str(loc[-1]), known, most=1)), None)
