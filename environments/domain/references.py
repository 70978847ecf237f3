"""References to secrets: what stands in journals, outputs and events in place of a secret."""

import re
from typing import NamedTuple

from environments.domain.errors import InvalidInput

MASK = "••••••••"
"""What is shown in place of a secret."""

_REFERENCE = re.compile(r"secret:(?P<path>[^#]+)#(?P<key>[^#]+)")


class SecretReference(NamedTuple):
    """A key of a secret in OpenBao's KV v2 mount `secret`; `path` has no mount and no leading slash."""

    path: str
    key: str

    def __str__(self) -> str:
        return f"secret:{self.path}#{self.key}"


def parse_reference(text: str) -> SecretReference:
    """The reference that a text is. Raises `InvalidInput`."""
    found = _REFERENCE.fullmatch(text)
    if not found:
        raise InvalidInput(f"{text!r} is not a reference to a secret.")
    return SecretReference(found["path"], found["key"])
