"""References to secrets: what stands in journals and outputs in place of a secret.

A reference is a value of its own type, which only the step that keeps the secret makes. No text is one, whatever it
says: people type texts. In JSON it is an object with the one key `$secret`; objects of people and modules that have
such a key are written with one `$` more, so that none of them is ever read as a reference.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

MASK = "••••••••"
"""What is shown in place of a secret."""

SECRET_STEPS = "vault.secret"
"""The kind of step that keeps secrets, and the only one that makes references."""

_KEY = "$secret"
_LIKE_KEY = re.compile(r"\$+secret")
_WRITTEN_BEFORE = re.compile(r"secret:(?P<path>[^#]+)#(?P<key>[^#]+)")


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A key of a secret in OpenBao's KV v2 mount `secret`; `path` has no mount and no leading slash.

    `environment` is the id of the environment whose step of that name made it. Its text says which secret it is, and
    nobody reads a reference out of a text.
    """

    environment: str
    step: str
    path: str
    key: str

    def __str__(self) -> str:
        return f"<secret {self.key} of step {self.step}>"

    __repr__ = __str__

    @property
    def before(self) -> str:
        """The text that version 1 of the database has in its place."""
        return f"secret:{self.path}#{self.key}"


def references_in(value: Any) -> Iterator[SecretReference]:
    """Every reference in a value, those in its tables and lists too."""
    if isinstance(value, SecretReference):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from references_in(key)
            yield from references_in(part)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from references_in(part)


def to_json(value: Any) -> Any:
    """A value with references as JSON holds them."""
    if isinstance(value, SecretReference):
        return {_KEY: asdict(value)}
    if isinstance(value, Mapping):
        return {_longer(key): to_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(part) for part in value]
    return value


def from_json(value: Any) -> Any:
    """What `to_json` was given."""
    if isinstance(value, Mapping):
        if (found := _read(value)) is not None:
            return found
        return {_shorter(key): from_json(part) for key, part in value.items()}
    return [from_json(part) for part in value] if isinstance(value, list) else value


def read_before(environment: str, step: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a step of the kind `SECRET_STEPS`, where references may be the texts of version 1."""
    told = outputs.get("references")
    if not isinstance(told, Mapping):
        return dict(outputs)
    return {**outputs, "references": {key: _of_before(environment, step, text) for key, text in told.items()}}


def _of_before(environment: str, step: str, text: Any) -> Any:
    found = _WRITTEN_BEFORE.fullmatch(text) if isinstance(text, str) else None
    return SecretReference(environment, step, found["path"], found["key"]) if found else text


def _read(value: Mapping[str, Any]) -> SecretReference | None:
    parts = value.get(_KEY)
    if len(value) != 1 or not isinstance(parts, Mapping) or parts.keys() != set(SecretReference.__dataclass_fields__):
        return None
    return SecretReference(**parts) if all(isinstance(part, str) for part in parts.values()) else None


def _longer(key: Any) -> Any:
    return f"${key}" if isinstance(key, str) and _LIKE_KEY.fullmatch(key) else key


def _shorter(key: Any) -> Any:
    return key[1:] if isinstance(key, str) and _LIKE_KEY.fullmatch(key) and key != _KEY else key
