"""A template's JSON Schema as fields of a form: their kinds and help, and how typed values are read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from environments.domain.deadline import parse_lifetime
from environments.domain.json_values import same
from environments.schemas.keywords import ValidationError, validator_for
from environments.schemas.patterns import UnusablePattern
from environments.schemas.typed import Unreadable, read_typed, typed_text, types_of
from tui.clock import Clock

Kind = Literal["string", "integer", "number", "boolean", "choice", "json"]


_CHECKED_HERE = frozenset(
    {
        "const",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maximum",
        "maxLength",
        "minimum",
        "minLength",
        "multipleOf",
        "pattern",
        "type",
    }
)
"""Keywords that are checked while somebody types: their cost grows with the value only. The service checks the others,
within limits, and refuses a pattern that it can't run."""


class Unset:
    """No value is sent, so the template's default applies."""


UNSET = Unset()


class FieldProblem(Exception):
    """What was typed can't be sent; the message is shown beside the field."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a template. `choices` is empty unless the schema has an `enum`."""

    name: str
    kind: Kind
    schema: Mapping[str, Any]
    required: bool
    secret: bool
    choices: tuple[Any, ...] = ()

    @property
    def description(self) -> str:
        """Its description by the author of the template."""
        return str(self.schema.get("description", ""))

    def is_default(self, value: Any) -> bool:
        """Whether it need not be sent: it is the default, which a later version of the template may change."""
        default = self.schema.get("default", UNSET)
        return isinstance(value, Unset) or (not isinstance(default, Unset) and same(value, default))

    @property
    def limits(self) -> str:
        """Its limits in a few words: `1 to 20`, `at most 200 characters`."""
        schema = self.schema
        said: list[str] = []
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and high is not None:
            said.append(f"{low} to {high}")
        elif low is not None:
            said.append(f"{low} or more")
        elif high is not None:
            said.append(f"{high} or less")
        short, long = schema.get("minLength"), schema.get("maxLength")
        if short:
            said.append(f"at least {short} characters")
        if long is not None:
            said.append(f"at most {long} characters")
        if "pattern" in schema:
            said.append(f"matching {schema['pattern']}")
        if self.kind == "json":
            said.append("text, or as JSON writes it" if "string" in types_of(schema) else "written as JSON")
        return ", ".join(said)

    def initial(self, given: Any = UNSET) -> Any:
        """The field's initial value: `given`, else the default; text, a choice, or True and False."""
        value = self.schema.get("default", UNSET) if isinstance(given, Unset) else given
        if self.kind == "boolean":
            return value is True
        if self.kind == "choice":
            return value
        if isinstance(value, Unset) or self.secret:
            return ""
        return typed_text(value, self.schema)

    def read(self, typed: Any) -> Any:
        """The value, or `UNSET` for the default. Raises `FieldProblem`."""
        value = self._value(typed)
        if isinstance(value, Unset):
            if self.required:
                raise FieldProblem("A value is needed.")
            return value
        try:
            fault = next(iter(validator_for(_checked_here(self.schema)).iter_errors(value)), None)
        except UnusablePattern as error:
            raise FieldProblem(f"The template's pattern {error.pattern} can't be run ({error}).") from None
        if fault is not None:
            raise FieldProblem(self._sentence(fault))
        return value

    def _value(self, typed: Any) -> Any:
        if self.kind in ("boolean", "choice") or isinstance(typed, Unset):
            return typed
        text = str(typed)
        if self.kind == "string":
            return UNSET if not text and (self.required or self.secret) else text
        if not text.strip():
            return UNSET
        try:
            return read_typed(text, self.schema)
        except Unreadable as unreadable:
            raise FieldProblem(f"This {unreadable}.") from None

    def _sentence(self, fault: ValidationError) -> str:
        """One sentence; the library's message would repeat the value, which may be a secret."""
        limit = fault.validator_value
        sentences = {
            "minimum": f"{limit} is the least.",
            "maximum": f"{limit} is the most.",
            "exclusiveMinimum": f"It must be more than {limit}.",
            "exclusiveMaximum": f"It must be less than {limit}.",
            "multipleOf": f"It must be a multiple of {limit}.",
            "minLength": f"At least {limit} characters are needed.",
            "maxLength": f"{limit} characters are the most.",
            "pattern": f"It must match {limit}.",
            "enum": "Choose one of the values.",
            "type": f"This isn't of the type {limit}.",
        }
        said = sentences.get(str(fault.validator))
        return said or ("This isn't accepted." if self.secret else f"{fault.message}.")


def parameters(schema: Mapping[str, Any]) -> Iterator[Parameter]:
    """The fields of a template, those without a default first."""
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    required = set(schema.get("required", ()))
    for name in sorted(properties, key=lambda name: name not in required):
        one = properties[name]
        yield Parameter(
            name=name,
            kind=_kind(one),
            schema=one,
            required=name in required,
            secret=one.get("writeOnly") is True,
            choices=_choices(one),
        )


def _checked_here(schema: Mapping[str, Any]) -> dict[str, Any]:
    kept = {keyword: limit for keyword, limit in schema.items() if keyword in _CHECKED_HERE}
    refused = schema.get("not")
    return {**kept, "not": refused} if isinstance(refused, Mapping) and refused.keys() <= _CHECKED_HERE else kept


def _choices(schema: Mapping[str, Any]) -> tuple[Any, ...]:
    """A secret boolean is a choice: an unchecked box would mean false."""
    if schema.get("writeOnly") is True and schema.get("type") == "boolean":
        return True, False
    return tuple(schema.get("enum", ()))


def _kind(schema: Mapping[str, Any]) -> Kind:
    if _choices(schema):
        return "choice"
    kind = schema.get("type", "string")
    if kind in ("string", "integer", "number", "boolean"):
        found: Kind = kind
        return found
    return "json"


def read_lifetime(text: str, clock: Clock) -> tuple[str | None, datetime | None]:
    """A duration as it was typed, or a moment in UTC; both None for nothing. Raises `InvalidLifetime`."""
    return parse_lifetime(text, clock.zone)
