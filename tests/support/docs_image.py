"""The image of docs/how-to/add-an-image.md, letter by letter, in a checkout of a test."""

import re
import shutil
from pathlib import Path

from images.places import CHECKOUT

PAGE = CHECKOUT / "docs" / "how-to" / "add-an-image.md"
COPIED = (
    "images/child.pkr.hcl",
    *(file.relative_to(CHECKOUT).as_posix() for file in (CHECKOUT / "images" / "base").rglob("*") if file.is_file()),
    "images/pipeline/archive.py",
    "pyproject.toml",
    "tests/images/conftest.py",
    "tests/images/test_hygiene.py",
)


def write_example(checkout: Path) -> Path:
    """Writes the page's files, and those of this checkout that they need; returns the folder of the image."""
    files = dict(re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S))
    assert len(files) == 4
    for name in COPIED:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / name, checkout / name)
    for name, content in files.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(content, encoding="utf-8")
    folder = checkout / "images" / "hello"
    (folder / "child.pkr.hcl").symlink_to("../child.pkr.hcl")
    return folder
