"""The figures that are kept: one JSON file with a section for each bench, and the pages made from it.

`python -m tests.bench.kept` writes all tables of the pages again from the file.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from images.places import CHECKOUT
from tests.bench.figures import Measured, markdown

PAGE = CHECKOUT / "docs" / "reference" / "performance.md"
FILE = PAGE.with_suffix(".json")
_OTHER_PAGES = {"bench:scale": CHECKOUT / "docs" / "explanation" / "scale.md"}

LIMIT = 10.0
"""Seconds that git may take."""

_SECTIONS = TypeAdapter(dict[str, Measured])


class Unreadable(Exception):
    """The file of figures is damaged; its message says how."""


def read(file: Path = FILE) -> dict[str, Measured]:
    """What each bench measured, by its task; none without a file. Raises Unreadable."""
    try:
        return _SECTIONS.validate_json(file.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole file"
        others = error.error_count() - 1
        more = f", and {others} more" if others else ""
        raise Unreadable(f"{file.name} can't be read: {place}: {first['msg']}{more}") from None


def keep(task: str, measured: Measured, *, file: Path = FILE, page: Path = PAGE) -> None:
    """Puts a bench's figures into the file, and its tables into the page. Raises Unreadable."""
    sections = {**read(file), task: measured}
    file.write_bytes(as_json(sections))
    write(page, markdown(measured), task)


def page_of(task: str) -> Path:
    """The page with the tables of a bench."""
    return _OTHER_PAGES.get(task, PAGE)


def as_json(sections: Mapping[str, Measured]) -> bytes:
    """The file's text, in an order that doesn't depend on which bench ran last; what isn't known is left out."""
    return _SECTIONS.dump_json(dict(sorted(sections.items())), indent=1, exclude_defaults=True) + b"\n"


def write(page: Path, text: str, task: str) -> None:
    """Puts the text between the page's two markers of a task."""
    begin, end = (f"<!-- made by `doit {task}`: {edge} -->" for edge in ("begin", "end"))
    before, _, rest = page.read_text().partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{page} lost its markers"
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def commit() -> str | None:
    """What is measured: the commit, with a plus when files differ from it; None when git doesn't say."""
    try:
        head, changed = (
            subprocess.run(
                ["git", "-C", str(CHECKOUT), *arguments], capture_output=True, text=True, timeout=LIMIT, check=True
            ).stdout.strip()
            for arguments in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head}+" if changed else head


if __name__ == "__main__":
    for name, section in read().items():
        write(page_of(name), markdown(section), name)
