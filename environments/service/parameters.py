"""Parameters of an environment: defaults filled in, checked against the template's JSON Schema (draft 2020-12)."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from environments.domain.errors import InvalidParameters
from environments.domain.template import Template


def check_parameters(
    template: Template, given: Mapping[str, Any], *, known: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The given parameters and the defaults of the others; those in `known`, given before, may be left out.

    Raises `InvalidParameters` naming every fault at once.
    """
    values = {name: schema["default"] for name, schema in template.parameters.items() if "default" in schema}
    values |= dict(given)
    secret = template.secret_parameters()
    schema = template.parameters_schema()
    schema["required"] = [name for name in schema["required"] if name not in known]
    faults = sorted(Draft202012Validator(schema).iter_errors(values), key=lambda fault: list(fault.path))
    if faults:
        problems = [problem for fault in faults for problem in _sentences(fault, secret)]
        by_name = {str(fault.path[0]): _reason(fault, secret) for fault in faults if fault.path}
        raise InvalidParameters(
            f"The parameters don't fit template {template.name!r}: {'; '.join(problems)}.",
            hint=f"See which parameters it takes with `calvinverse template show {template.name}`.",
            details={"problems": problems, "by_name": by_name},
        )
    return {name: values[name] for name in template.parameters if name in values}


def split_secrets(template: Template, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The open parameters, and the secret ones, which are kept apart from the start."""
    secret = template.secret_parameters()
    opened = {name: value for name, value in values.items() if name not in secret}
    return opened, {name: str(value) for name, value in values.items() if name in secret}


def schema_faults(template: Template) -> list[str]:
    """What is wrong with the schemas of a template's parameters, and defaults that their own schema refuses."""
    faults = []
    for name, schema in template.parameters.items():
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            faults.append(f"parameters.{name}: {error.message}")
            continue
        if schema.get("type") is None and "enum" not in schema and "const" not in schema:
            faults.append(f"parameters.{name}: a type is missing")
        if "default" in schema:
            if schema.get("writeOnly") is True:
                faults.append(f"parameters.{name}: a secret can't have a default")
            for wrong in Draft202012Validator(schema).iter_errors(schema["default"]):
                faults.append(f"parameters.{name}: the default doesn't fit: {wrong.message}")
    return faults


def _sentences(fault: ValidationError, secret: frozenset[str]) -> Iterator[str]:
    schema: Any = fault.schema
    given: Any = fault.instance
    if fault.validator == "required":
        yield from (f"{name}: is missing" for name in schema["required"] if fault.message.startswith(repr(name)))
    elif fault.validator == "additionalProperties" and not fault.path:
        yield from (f"{name}: there is no such parameter" for name in given if name not in schema["properties"])
    else:
        yield f"{'.'.join(str(part) for part in fault.path)}: {_reason(fault, secret)}"


def _reason(fault: ValidationError, secret: frozenset[str]) -> str:
    """The validator's own words; not for secrets, because they quote the value."""
    if fault.path and fault.path[0] in secret:
        return f"does not fit ({fault.validator})"
    return fault.message
