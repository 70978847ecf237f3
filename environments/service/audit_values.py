"""What changed, as audit entries tell it: only what differs, without secrets, and of limited size."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from environments.domain.environment import Environment
from environments.domain.references import MASK, to_json

OF_ENVIRONMENTS = (
    "state",
    "owner",
    "template",
    "template_version",
    "bundle",
    "parameters",
    "deadline",
    "set_deadline",
    "rules",
    "pin",
    "hold_id",
    "hold_released",
    "managed_by",
)
"""The fields of an environment of which entries tell the changes."""

MOST_FIELDS = 40
LONGEST_VALUE = 600
"""Characters of a value as JSON; longer ones are cut, and told by their digest."""

_SHOWN = 200
_LONGEST_NAME = 100
_SECRET = re.compile(
    r"pass(word|wd|phrase|code)|secret|token|credential|private_?key|api_?key|cookie|authorization", re.IGNORECASE
)
"""Names whose texts are masked, wherever they come from: secret parameters should never get here."""

_HALF = re.compile("[\ud800-\udfff]")


def environment_values(environment: Environment | None) -> dict[str, Any]:
    """The fields of which entries tell; none for an environment that isn't there."""
    if environment is None:
        return {}
    return environment.model_dump(mode="json", include=set(OF_ENVIRONMENTS), fallback=str)


def differing(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Both, with only what differs; objects in them likewise. None for what is left empty."""
    old, new = dict(before or {}), dict(after or {})
    for name in old.keys() & new.keys():
        if isinstance(old[name], dict) and isinstance(new[name], dict):
            inner_old, inner_new = differing(old[name], new[name])
            old[name], new[name] = inner_old or {}, inner_new or {}
        if old[name] == new[name] and type(old[name]) is type(new[name]):
            del old[name], new[name]
    return old or None, new or None


def shown(values: Mapping[str, Any] | None) -> str | None:
    """The text of a JSON object: masked, and cut to size."""
    if values is None:
        return None
    fields = {_text(str(name), _LONGEST_NAME): _cut(_masked(str(name), value)) for name, value in values.items()}
    if len(fields) > MOST_FIELDS:
        names = sorted(fields)
        fields = {name: fields[name] for name in names[:MOST_FIELDS]}
        fields["…"] = f"{len(names) - MOST_FIELDS} more"
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, allow_nan=False)


def text(value: str, longest: int) -> str:
    """A text as the database can hold it, cut if it is longer; what was cut is told by a digest."""
    return _text(value, longest)


def _masked(name: str, value: Any) -> Any:
    if name == "tokens" and isinstance(value, int):  # how many
        return value
    if isinstance(value, str | int | float) and not isinstance(value, bool) and _is_secret(name):
        return MASK
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(name, inner) for inner in value]
    return value


def _is_secret(name: str) -> bool:
    return not name.endswith("_id") and _SECRET.search(name) is not None


def _cut(value: Any) -> Any:
    try:
        written = json.dumps(to_json(value), sort_keys=True, ensure_ascii=False, allow_nan=False, default=str)
    except (ValueError, TypeError, RecursionError):
        return "a value that can't be written as JSON"
    written = _whole(written)
    if len(written) <= LONGEST_VALUE:
        return json.loads(written)
    digest = hashlib.sha256(written.encode()).hexdigest()
    return {"begins": written[:_SHOWN], "characters": len(written), "sha256": digest}


def _text(value: str, longest: int) -> str:
    whole = _whole(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
    if len(whole) <= longest:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
    return f"{whole[: longest - 18]}… {digest}"


def _whole(value: str) -> str:
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", value)
