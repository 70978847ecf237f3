"""A context as one file, from which another machine adds it: address, pinned authority and, if given, a token."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environments.domain.errors import InvalidInput

LARGEST = 512 * 1024
"""Bytes of an exported context that are read."""


class ExportedContext(BaseModel):
    """The content of the file. `authority` in PEM; empty: the CAs of the machine. `token` empty: it is asked for."""

    model_config = ConfigDict(frozen=True)

    calvinverse_context: Literal[1] = 1
    """The version of this format."""
    address: str
    authority: str = ""
    token: str = Field("", repr=False)


def write_export(context: ExportedContext) -> str:
    """The text of the file: JSON, without a line feed at the end."""
    return context.model_dump_json(indent=2)


def read_export(text: str, where: str) -> ExportedContext:
    """The context in a file's text; `where` names the file. Raises `InvalidInput`, which repeats none of the text."""
    try:
        found = ExportedContext.model_validate_json(text)
    except ValidationError:
        found = None
    if found is None or "calvinverse_context" not in found.model_fields_set:
        raise InvalidInput(
            f"{where} holds no exported context.", hint="`calvinverse context export NAME` writes one; copy it whole."
        )
    return found
