"""A table of cases that a version refuses, as `tests/upgrade/refused.py` reads it."""

from pathlib import Path


def table(folder: Path, since: str, case: str = "pattern") -> Path:
    """A table of one line."""
    path = folder / "refused.toml"
    path.write_text(f'[{case}]\nsince = "{since}"\ncode = "invalid_template"\n')
    return path
