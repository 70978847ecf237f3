"""Images that environments run, named by what is in them and never by a tag."""

import re

from environments.domain.errors import InvalidImage
from environments.domain.names import check_label

LONGEST_REFERENCE = 400
"""Characters."""

_HEX = "[0-9a-f]{64}"
_PART = "[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_HOST = "[A-Za-z0-9.-]+(?::[0-9]+)?"
_REFERENCE = re.compile(f"(?:(?:{_HOST}/)?{_PART}(?:/{_PART})*@)?sha256:{_HEX}")
"""After the grammar of github.com/distribution/reference, without tags and with this one kind of digest."""


def check_image_name(name: str) -> str:
    """The name itself, if an image may be published under it. Raises `InvalidName`."""
    return check_label(name, "an image")


def check_reference(reference: str) -> str:
    """The reference itself, if it can't mean another image tomorrow. Raises `InvalidImage`.

    `sha256:<64 hex digits>` is the id of an image in the engine, `<repository>@sha256:<64 hex digits>` a digest in a
    registry.
    """
    if len(reference) > LONGEST_REFERENCE:
        raise InvalidImage(f"A reference of {len(reference)} characters is too long; {LONGEST_REFERENCE} is the most.")
    if _REFERENCE.fullmatch(reference):
        return reference
    if "@" in reference or reference.startswith("sha256:"):
        raise InvalidImage(f"{reference!r} holds no whole digest, or a tag or more beside it.")
    raise InvalidImage(f"{reference!r} names an image by a tag, which may mean another image tomorrow.")
