"""The starters that `calvinverse template new` copies: folders of this package, each a commented, complete template."""

import re
from collections.abc import Mapping
from pathlib import Path

from environments.domain.errors import InvalidInput
from environments.domain.suggesting import suggestion

_FOLDER = Path(__file__).parents[1] / "starters"
_NAME = re.compile(r'^name = "[a-z-]+"$', re.MULTILINE)

STARTERS: Mapping[str, str] = {
    "page": "a web page with a message, as a Nomad job",
    "stack": "PostgreSQL with its data kept over a stop, a cache, a migration and a seed that run once, a web service",
    "module": "an OpenTofu module whose outputs reach a job",
}
"""Name → what it is. The first one is the default."""


def starter_files(starter: str, name: str) -> dict[str, str]:
    """The files of a starter, path in its folder → text, as a template with that name. Raises `InvalidInput`."""
    if starter not in STARTERS:
        meant = suggestion(starter, STARTERS)
        raise InvalidInput(
            f"There is no starter {starter[:60]!r}.{' ' + meant if meant else ''}",
            hint=f"There are: {', '.join(STARTERS)}.",
        )
    root = _FOLDER / starter
    paths = [root / "template.toml", *sorted(path for path in root.rglob("*") if path.is_file())]
    files = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    own = files["template.toml"].replace(f"--template {starter}", f"--template {name}")
    return {**files, "template.toml": _NAME.sub(f'name = "{name}"', own, count=1)}
