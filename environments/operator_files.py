"""Files in TOML by which an operator configures the service. They hold secrets, so no message quotes them."""

import re
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from environments.domain.errors import InvalidInput
from environments.domain.reasons import reason

LARGEST = 256 * 1024
"""Bytes of a file."""

M = TypeVar("M", bound=BaseModel)


def read_operator_file(path: Path, kind: type[M], what: str, page: str) -> M:
    """The content of a file. `what` names it for people, `page` is the page of the docs about it.

    Raises `InvalidInput`, with no value of the file.
    """

    def wrong(why: str) -> InvalidInput:
        return InvalidInput(f"{what} in {path} can't be used: {why}.", hint=f"See {page}.")

    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise wrong(f"it can't be read: {error.strerror or type(error).__name__}") from None
    if len(text) > LARGEST:
        raise wrong(f"it is larger than {LARGEST // 1024} KiB")
    try:
        return kind.model_validate(tomllib.loads(text.decode()))
    except UnicodeDecodeError:
        raise wrong("it isn't UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line \d+, column \d+", str(error))
        raise wrong(f"it isn't TOML{f', {place.group()}' if place else ''}") from None
    except RecursionError:
        raise wrong("it is nested too deeply") from None
    except ValidationError as error:
        faults = "; ".join(
            # What holds between several keys has no place of its own.
            ": ".join(filter(None, (".".join(str(part) for part in fault["loc"]), reason(fault).rstrip("."))))
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise wrong(faults) from None
