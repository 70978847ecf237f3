"""Every text that somebody sends has an end, in whatever model of a request it comes."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from environments import wire
from environments.wire.environments import AbandonRequest, CreateRequest, DestroyRequest
from environments.wire.fields import Request
from environments.wire.images import PublishImageRequest
from environments.wire.templates import GitPushRequest, PushRequest
from environments.wire.tokens import TokenRequest

MODULES = [import_module(f"{wire.__name__}.{found.name}") for found in pkgutil.iter_modules(wire.__path__)]

REQUESTS = [
    model
    for module in MODULES
    for name, model in inspect.getmembers(module, inspect.isclass)
    if model.__module__ == module.__name__ and name.endswith("Request") and model is not Request
]


def endless(schema: Any, path: str) -> Iterator[str]:
    """Where a JSON Schema takes text of any length, keys of objects included."""
    if isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from endless(each, f"{path}[{number}]")
    if not isinstance(schema, dict):
        return
    free = {"maxLength", "enum", "const", "format", "pattern"}.isdisjoint(schema)
    if schema.get("type") == "string" and free:
        yield path
    if (
        schema.get("type") == "object"
        and "properties" not in schema
        and "maxLength" not in schema.get("propertyNames", {})
    ):
        yield f"{path} (keys)"
    for key, inner in schema.items():
        if key not in ("propertyNames", "default", "title", "description"):
            yield from endless(inner, f"{path}.{key}")


def test_there_are_requests_to_check() -> None:
    assert len(REQUESTS) > 10
    unlimited = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "object"}}}
    assert list(endless(unlimited, "x")) == ["x.properties.a", "x.properties.b (keys)"]


@pytest.mark.parametrize("model", REQUESTS, ids=lambda model: model.__name__)
def test_every_text_of_a_request_has_an_end(model: type[BaseModel]) -> None:
    assert not list(endless(model.model_json_schema(), model.__name__))


def test_a_text_that_no_database_keeps_is_refused() -> None:
    for model, fields in (
        (TokenRequest, {"owner": "a\0"}),
        (DestroyRequest, {"reason": "\0"}),
        (AbandonRequest, {"reason": "a\0b"}),
        (CreateRequest, {"name": "demo", "template": "w\0eb"}),
        (GitPushRequest, {"url": "https://host/a", "path": "\0"}),
        (PublishImageRequest, {"reference": "x", "channel": "qa", "build": "\0"}),
        (PushRequest, {"files": {"a\0b": ""}}),
    ):
        with pytest.raises(ValidationError, match="U\\+0000"):
            model.model_validate(fields)


def test_what_is_too_long_is_refused() -> None:
    long = "x" * 1001
    for model, fields in (
        (TokenRequest, {"owner": "ada", "note": long}),
        (TokenRequest, {"owner": long}),
        (DestroyRequest, {"reason": long}),
        (CreateRequest, {"name": "demo", "template": "web", "parameters": {long: 1}}),
    ):
        with pytest.raises(ValidationError):
            model.model_validate(fields)
