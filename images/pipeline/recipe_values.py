"""Values of an image.toml: how the file is read, what its keys may be, and sentences for what is wrong."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError

from images.errors import InvalidRecipe

LARGEST = 1_000_000
"""Bytes of an image.toml."""

LONGEST = 24 * 3600.0
"""Seconds of a time limit."""

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}

GIVEN = ("work", "python", "parent", "container", "labels", "source_date_epoch")
"""Variables that the builder gives to every Packer recipe."""

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text in quotes",
    "tuple_type": 'must be a list, such as ["a", "b"]',
    "dict_type": 'must be a table, such as { name = "value" }',
    "mapping_type": 'must be a table, such as { name = "value" }',
    "model_type": "must be a table",
}
"""Sentences for pydantic's kinds of errors."""


def read_toml(file: Path, shown: str) -> dict[str, Any]:
    """The tables of an image.toml, which messages call `shown`. Raises InvalidRecipe."""
    try:
        if not file.is_file():
            raise InvalidRecipe(f"{shown} isn't a file.")
        if file.stat().st_size > LARGEST:
            raise InvalidRecipe(f"{shown} has more than {LARGEST:,} bytes.")
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRecipe(f"{shown} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = file.read_bytes().count(b"\n", 0, error.start) + 1
        raise InvalidRecipe(f"{shown} isn't UTF-8 in line {line}.", hint="Save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidRecipe(f"{shown} isn't valid TOML: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidRecipe(f"{shown} isn't valid TOML: a value is too long or too deep.") from error
    for key, value in _strings(content, ""):
        if "\0" in value:
            raise InvalidRecipe(
                f"{shown}: `{_shown([key])}` contains the character NUL, which no program can be given."
            )
    return content


def faults(error: ValidationError, tables: Mapping[str, type[BaseModel]]) -> Iterator[str]:
    """A sentence with the key for each fault of a file with these tables."""
    for each in error.errors():
        place = [str(part) for part in each["loc"] if part != "[key]"]
        if each["type"] == "extra_forbidden":
            yield unknown(place, _keys(tables[place[0]]))
        elif (said := _WORDS.get(each["type"])) is not None:
            yield f"`{_shown(place)}` {said}."
        else:
            yield f"`{_shown(place)}`: {each['msg'].removeprefix('Value error, ')}."


def unknown(place: Sequence[str], known: Iterable[str]) -> str:
    """The sentence for a key, or a table, that means nothing."""
    return f"`{_shown(place)}` means nothing here; there are {', '.join(known)}."


def _shown(place: Sequence[str]) -> str:
    key = ".".join(place)
    return key if key.isprintable() else ascii(key)[1:-1]


def _keys(table: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in table.model_fields.items()]


def _strings(value: object, key: str) -> Iterator[tuple[str, str]]:
    """Every string in a value of TOML, keys too, with the key of its place."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield key, name
            yield from _strings(part, f"{key}.{name}".removeprefix("."))
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, key)


def _seconds(value: object) -> float:
    """Seconds of a duration such as 90s, 5m or 1h."""
    match = re.fullmatch(r"([0-9]{1,9})([smh])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a duration is a number and s, m or h in quotes, such as "5m"')
    found = int(match[1]) * UNITS[match[2]]
    if not 1 <= found <= LONGEST:
        raise ValueError(f'{value!r} isn\'t between "1s" and "24h"')
    return found


def _glob(value: str) -> str:
    """A glob that stays below the folder that it starts from."""
    parts = value.split("/")
    if value.startswith("/"):
        raise ValueError(f"{value!r} begins with /, and must be a path from the top of the checkout")
    if ".." in parts:
        raise ValueError(f"{value!r} contains .., and must stay in the checkout; copy what is outside into it")
    if not value.strip("./"):
        raise ValueError(f"{value!r} names no file; all files of a folder are app/**/*")
    if any("**" in part and part != "**" for part in parts):
        raise ValueError(f"{value!r} has ** beside other characters; all files below a folder are app/**/*")
    return value


def _subfolder(value: str) -> str:
    if not value or value.startswith("/") or ".." in value.split("/"):
        raise ValueError(f"{value!r} must be a folder in that of the image")
    return value


def _named(pattern: str, what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} can't be the name of {what}")
        return value

    return AfterValidator(check)


def _free(value: str) -> str:
    if value in GIVEN:
        raise ValueError(f"the builder gives {value} a value; use another name")
    return value


Seconds = Annotated[float, BeforeValidator(_seconds)]
Glob = Annotated[str, AfterValidator(_glob)]
Subfolder = Annotated[str, AfterValidator(_subfolder)]
Program = Annotated[str, _named(r"[A-Za-z0-9][A-Za-z0-9+._-]*", "a program")]
DebianPackage = Annotated[str, _named(r"[a-z0-9][a-z0-9+.-]+", "a Debian package")]
VariableName = Annotated[
    str, _named(r"[A-Za-z_][A-Za-z0-9_-]*", "a variable of a Packer recipe"), AfterValidator(_free)
]
EnvironmentName = Annotated[str, _named(r"[A-Za-z_][A-Za-z0-9_.-]*", "an environment variable")]
