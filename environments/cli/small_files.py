"""Small text files that a person names: read as a whole, up to a size."""

from pathlib import Path
from typing import Any

from environments.domain.errors import InvalidInput
from environments.domain.json_values import decode, parse_json


def read_text(file: Path, most: int) -> str:
    """The text of a file of at most so many bytes. Raises `InvalidInput`."""
    try:
        with file.open("rb") as opened:
            content = opened.read(most + 1)
        if len(content) > most:
            raise InvalidInput(f"{file} is larger than {most // 1024} KiB.")
        return decode(content)
    except (OSError, ValueError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise InvalidInput(f"{file} can't be read: {why}.", hint="Give a file of UTF-8 text.") from error


def read_object(file: Path, most: int) -> dict[str, Any]:
    """The JSON object that a file of at most so many bytes holds. Raises `InvalidInput`."""
    found = parsed(read_text(file, most), file)
    if not isinstance(found, dict):
        raise InvalidInput(f"{file} holds no JSON object.")
    return found


def parsed(text: str, file: Path) -> Any:
    """The JSON value that a text out of a file is. Raises `InvalidInput`."""
    try:
        return parse_json(text)
    except ValueError as error:
        raise InvalidInput(f"{file} is not JSON: {error}.") from None
