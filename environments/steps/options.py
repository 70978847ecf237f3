"""Checks of a step's raw options, whose strings may have expressions."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from environments.domain.faults import Fault, Path, meant, shown
from environments.domain.reasons import choice, one_each, reason
from environments.domain.suggesting import near
from environments.domain.template_rules import unmisspelt
from environments.steps.base import Options

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def has_expression(value: Any) -> bool:
    """Whether the value has an expression at any depth."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(has_expression(item) for item in value.values())
    return isinstance(value, list) and any(has_expression(item) for item in value)


def faults(model: type[Options], options: Mapping[str, Any]) -> list[Fault]:
    """Faults of raw options: unknown and missing ones, and wrong values without expressions."""
    try:
        model.model_validate(dict(options))
    except ValidationError as error:
        return [
            Fault(
                path=("with", *fault["loc"]),
                message=f"{shown(('with', *fault['loc']))}: {reason(fault).rstrip('.')}",
                suggestion=_suggestion(model, fault),
            )
            for fault in unmisspelt([*one_each(error.errors(include_url=False))], lambda loc: _meant(model, loc))
            if fault["type"] in ("extra_forbidden", "missing") or not has_expression(_at(options, fault["loc"]))
        ]
    return []


def _suggestion(model: type[BaseModel], fault: "ErrorDetails") -> str:
    """The option, or the choice, that was probably meant."""
    if fault["type"] != "extra_forbidden":
        return choice(fault)
    return meant(str(fault["loc"][-1]), _known(model, fault["loc"]))


def _meant(model: type[BaseModel], place: Path) -> str | None:
    return next(iter(near(str(place[-1]), _known(model, place), most=1)), None)


def _known(model: type[BaseModel], place: Path) -> Collection[str]:
    """The names that are allowed in the table at a path."""
    if len(place) == 1:
        return model.model_fields
    field = model.model_fields.get(str(place[0]))
    inner = get_args(field.annotation) if field is not None else ()
    models = [part for part in inner if isinstance(part, type) and issubclass(part, BaseModel)]
    return models[0].model_fields if models else ()


def _at(options: Any, place: tuple[int | str, ...]) -> Any:
    value = options
    for part in place:
        mapped = isinstance(value, Mapping) and part in value
        listed = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not (mapped or listed):
            break
        value = value[part]
    return value
