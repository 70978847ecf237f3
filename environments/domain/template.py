"""Templates: what an author writes, checked as far as rules alone can, and bundles addressed by their digest."""

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from environments.domain.errors import InvalidTemplate
from environments.domain.faults import TEMPLATE_FILE as TEMPLATE_FILE
from environments.domain.faults import Fault
from environments.domain.json_values import DEEPEST, TOO_LARGE, deeper_than, is_text
from environments.domain.suggesting import near
from environments.domain.template_parts import Template
from environments.domain.template_rules import RESERVED_STEPS as RESERVED_STEPS
from environments.domain.template_rules import model_faults, rule_faults, unknown_keys, without_faults
from environments.domain.toml_places import BYTE_ORDER_MARK, TomlPlaces

LARGEST_BUNDLE = 4 * 1024 * 1024
"""Bytes of all files of a template together."""


def parse_template(text: str) -> Template:
    """The template that `template.toml` holds. Raises `InvalidTemplate` naming all faults that can be found."""
    template, faults = read_template(text)
    wrong = [fault for fault in faults if not fault.warning]
    if template is None or wrong:
        raise invalid_template(wrong)
    return template


def read_template(text: str) -> tuple[Template | None, list[Fault]]:
    """What `template.toml` holds, and what is wrong with it by rules alone.

    With faults the template is what can be read of it, for further checks: parts that can't be read are left out. None:
    nothing can be told of it.
    """
    try:
        document = tomllib.loads(text.removeprefix(BYTE_ORDER_MARK))
    except ValueError as error:  # also numbers of more digits than Python reads
        return None, [not_toml(error)]
    except RecursionError:
        return None, [_TOO_DEEP]
    # `tomllib` reads headers of any depth, such as [a.a.a.a].
    if deeper_than(document, _DEEPEST):
        return None, [_TOO_DEEP]
    places = TomlPlaces(text)
    found: list[Fault] = []
    written = "template" if "template" in document else next(iter(near("template", document, most=1)), "template")
    head = document.pop(written, None)
    if not isinstance(head, dict):
        message = "there is no table [template]" if head is None else f"[{written}] must be a table"
        return None, [Fault(path=(written,), message=message).at(places)]
    if written != "template":
        found.append(Fault(path=(written,), message=f"there is no table [{written}]", suggestion="write [template]"))
    found += unknown_keys(head, document)
    told = {fault.path for fault in found}
    whole = {**head, **document}
    for _ in range(_READINGS):
        try:
            template = Template.model_validate(_outputs_as_tables(whole))
        except ValidationError as error:
            found += [fault for fault in model_faults(error, document, head) if fault.path not in told]
            whole = without_faults(whole, error)
            continue
        found += list(rule_faults(template, quiet=any(not fault.warning for fault in found)))
        return template, [fault.at(places) for fault in found]
    return None, [fault.at(places) for fault in found]


_DEEPEST = 4 * DEEPEST
"""Levels that can be worked with, more than those of any value: values have a limit of their own, told by name."""

_TOO_DEEP = Fault(message=f"{TEMPLATE_FILE} is nested too deeply")

_READINGS = 4
"""Times that a template is read, each time without what was wrong before."""


def invalid_template(faults: Sequence[Fault]) -> InvalidTemplate:
    """The error of a template with faults."""
    problems = [str(fault) for fault in faults]
    return InvalidTemplate(
        f"The template is not valid: {'; '.join(problems)}.",
        details={"problems": problems, "faults": [fault.model_dump(mode="json") for fault in faults]},
    )


def not_toml(error: ValueError) -> Fault:
    """What `tomllib` says, with the place that it names."""
    # Python refuses to read a number of thousands of digits, with advice for programmers.
    said = TOO_LARGE if "int_max_str_digits" in str(error) else str(error)
    place = re.search(r" \(at line (\d+), column (\d+)\)$", said)
    message = f"it is not TOML: {said[: place.start()] if place else said}"
    if place is None:
        return Fault(message=message)
    return Fault(message=message, line=int(place[1]), column=int(place[2]))


def _outputs_as_tables(document: Mapping[str, Any]) -> dict[str, Any]:
    """An output may be written as its value alone."""
    outputs = document.get("outputs")
    if not isinstance(outputs, dict):
        return dict(document)
    told = {name: {"value": value} if isinstance(value, str) else value for name, value in outputs.items()}
    return {**document, "outputs": told}


class Bundle(BaseModel):
    """A template's folder as content: relative path with `/` → bytes."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, bytes]

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over paths and contents; the same files give the same digest everywhere."""
        digest = hashlib.sha256()
        for path in sorted(self.files):
            for part in (path.encode(), self.files[path]):
                digest.update(len(part).to_bytes(8, "big"))
                digest.update(part)
        return f"sha256:{digest.hexdigest()}"

    def text(self, path: str) -> str:
        """A file's text (UTF-8). Raises `InvalidTemplate` when it is missing or isn't text."""
        try:
            return self.files[path].decode()
        except KeyError:
            raise InvalidTemplate(f"The template has no file {path!r}.") from None
        except UnicodeDecodeError as error:
            raise InvalidTemplate(f"The file {path!r} of the template is not UTF-8 text.") from error

    def template(self) -> Template:
        """The checked `template.toml`. Raises `InvalidTemplate`."""
        return parse_template(self.text(TEMPLATE_FILE))


def make_bundle(files: Mapping[str, bytes]) -> Bundle:
    """A bundle of these files. Raises `InvalidTemplate` for paths that leave the folder and for too much content."""
    if TEMPLATE_FILE not in files:
        raise InvalidTemplate(
            f"The folder has no {TEMPLATE_FILE}.",
            hint="Start one with `calvinverse template new`.",
        )
    for path in files:
        parts = path.split("/")
        if path.startswith("/") or "\\" in path or any(part in ("", ".", "..") for part in parts):
            raise InvalidTemplate(f"The path {path!r} is not a plain relative path.")
        if not is_text(path):
            raise InvalidTemplate(f"The name of the file {path!r} is not UTF-8 text.", hint="Rename the file.")
    size = sum(len(content) for content in files.values())
    if size > LARGEST_BUNDLE:
        raise InvalidTemplate(f"The template has {size} bytes; {LARGEST_BUNDLE} is the most.")
    return Bundle(files=dict(files))
