"""What is asked of a checking process and answered by it, as JSON; values that JSON doesn't have become text."""

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from typing import Any

from environments.domain.errors import CalvinverseError, CheckTooCostly, InvalidTemplate, all_errors
from environments.domain.references import from_json, to_json
from environments.domain.template import Bundle
from environments.domain.template_parts import Template
from environments.service.checking import DirectChecks, Note
from environments.service.inspecting import StepKind
from environments.service.rendering import known_images, refuse_references


def ask_template(bundle: Bundle, images: Collection[str] | None = None) -> dict[str, Any]:
    """The question what is wrong with a template. `images`: those that are published; None: nobody knows."""
    files = {path: base64.b64encode(content).decode() for path, content in bundle.files.items()}
    return {"task": "template", "files": files, "images": None if images is None else sorted(images)}


def ask_parameters(template: Template, given: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The question whether parameters fit a template."""
    return {
        "task": "parameters",
        "name": template.name,
        "schemas": template.parameters,
        "given": dict(given),
        "known": sorted(known),
    }


def ask_expression(text: str, names: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The question what a text with expressions is."""
    return {"task": "expression", "text": text, "names": to_json(names), "where": where}


def answer(question: bytes, kinds: Mapping[str, StepKind], note: Note) -> bytes:
    """The answer to a question, which may be an error of ours. What a bug raises is raised."""
    try:
        asked = json.loads(question)
        value = _answer(asked, DirectChecks(kinds, note))
    except CalvinverseError as error:
        told = {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
        return json.dumps({"error": told}, default=str).encode()
    except RecursionError:
        told = {"code": CheckTooCostly.code, "message": "What was sent is nested too deeply to be checked."}
        return json.dumps({"error": told}).encode()
    try:
        return json.dumps({"value": value}, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        problem = f"{asked.get('where', 'the value')}: it gives a value that JSON doesn't have."
        return json.dumps({"error": {"code": InvalidTemplate.code, "message": problem}}).encode()


def read(answered: bytes) -> Any:
    """The value of an answer. Raises the error that it holds."""
    found = json.loads(answered)
    if "error" not in found:
        return found["value"]
    told = found["error"]
    kinds = {cls.code: cls for cls in reversed(all_errors())}
    kind = kinds.get(told["code"], CalvinverseError)
    raise kind(told["message"], hint=told.get("hint", ""), details=told.get("details"))


def _answer(asked: Mapping[str, Any], checks: DirectChecks) -> Any:
    match asked["task"]:
        case "template":
            found = checks.template("", Bundle(files=_files(asked["files"])), asked["images"])
            return [fault.model_dump(mode="json") for fault in found]
        case "parameters":
            template = Template.model_construct(name=asked["name"], parameters=asked["schemas"], steps=())
            return checks.parameters("", template, asked["given"], frozenset(asked["known"]))
        case "expression":
            names = {**from_json(asked["names"]), "images": known_images(asked["names"].get("images", {}))}
            # What comes back is plain data: a reference is passed on by an expression that only names it.
            return refuse_references(checks.expression(asked["text"], names, asked["where"]), asked["where"])
    raise ValueError(f"there is no task {asked['task']!r}")


def _files(encoded: Mapping[str, str]) -> dict[str, bytes]:
    try:
        return {path: base64.b64decode(content) for path, content in encoded.items()}
    except binascii.Error as error:
        raise InvalidTemplate("The files of the template can't be read.") from error
