"""Files that a program or a person wrote earlier, read again: whatever is in them now, or in their place.

A full disk, a crash or a hand may have left an empty file, half of one, other content, or a folder.
"""

import json
import re
from pathlib import Path
from typing import Any

LARGEST = 1024 * 1024
"""Bytes of a file that are read."""

_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
"""What can be a token of any program, and be sent in a header."""


class NotKept(Exception):
    """A file can't be read, or holds something else; the text says why in some words."""


class NotThere(NotKept):
    """There is no such file."""


def read_kept(path: Path) -> str:
    """The text in a file. Raises `NotKept`; `NotThere` if there is none."""
    try:
        if path.is_dir():
            raise NotKept("it is a folder")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise NotThere("there is no such file") from error
    except OSError as error:
        raise NotKept(error.strerror or type(error).__name__) from error
    if len(content) > LARGEST:
        raise NotKept(f"it is larger than {LARGEST // 1024} KiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise NotKept("it isn't UTF-8") from None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises `NotKept`; `NotThere` if there is no such file."""
    text = read_kept(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise NotKept("it isn't JSON") from None
    if not isinstance(found, dict):
        raise NotKept("it isn't a JSON object")
    return found


def read_token(path: Path) -> str:
    """The token in a file: one word. Raises `NotKept`, which repeats nothing of it."""
    token = read_kept(path).strip()
    if not token:
        raise NotKept("it is empty")
    if not _TOKEN.fullmatch(token):
        raise NotKept("it holds more than a token")
    return token
