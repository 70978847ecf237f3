"""Reads a template's folder as a bundle."""

from pathlib import Path

from environments.domain.errors import InvalidTemplate
from environments.domain.template import LARGEST_BUNDLE, Bundle, make_bundle


def read_bundle(folder: Path) -> Bundle:
    """Every file of a folder except hidden ones and Python's caches. Raises `InvalidTemplate`.

    Links are not followed out of the folder: a template must not carry away other files of its author's machine.
    """
    if not folder.is_dir():
        raise InvalidTemplate(f"There is no folder {folder}.", hint="Start one with `calvinverse template new`.")
    files: dict[str, bytes] = {}
    size = 0
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") or part == "__pycache__" for part in relative.parts):
            continue
        if not path.resolve().is_relative_to(root):
            raise InvalidTemplate(f"{path} is a link that leaves the folder.", hint="Put a copy of the file there.")
        size += path.stat().st_size
        if size > LARGEST_BUNDLE:
            raise InvalidTemplate(
                f"The folder {folder} holds more than {LARGEST_BUNDLE} bytes.", hint="Keep only the template in it."
            )
        try:
            files[relative.as_posix()] = path.read_bytes()
        except OSError as error:
            raise InvalidTemplate(f"{path} can't be read: {error.strerror}.") from error
    return make_bundle(files)
