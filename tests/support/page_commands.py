"""The commands of a page of the documents, run as a reader runs them: in one shell, in their order."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from images.places import CHECKOUT

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> dict[str, list[str]]:
    """Heading → the blocks of shell commands below it. `page`: a path below docs."""
    parts = _SECTION.split((CHECKOUT / "docs" / page).read_text(encoding="utf-8"))
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {heading: _BLOCK.findall(text) for heading, text in sections.items()}


class Reader:
    """A person who types commands into one shell after the other, and keeps what is exported and set."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """`folder`: where the person works."""
        folder.mkdir(mode=0o700)
        self.folder = folder
        self._environment = dict(environment)
        self._said: list[str] = []

    def run(self, commands: str, limit: float = 300.0) -> str:
        """What the commands say, errors included. The first one that fails ends the test."""
        kept = self.folder / ".variables"
        script = f"set -eu -o pipefail\n[ ! -e {kept} ] || . {kept}\n{commands}\ndeclare -px >{kept}\n"
        done = subprocess.run(
            ["bash", "-c", f"set -a\n{script}"],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        self._said.append(done.stdout)
        return done.stdout
