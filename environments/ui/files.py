"""The few files that pages load: a style sheet and a script of ours, and those of htmx and Pico.

Each has an address that changes with its content, so browsers keep them. Those of others aren't in this repository:
`doit assets` gets them, and the image has them.
"""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from starlette.responses import Response

from environments.domain.errors import MachineError
from environments.pages.answers import kept
from environments.ui.packing import packed_file, takes_gzip

OWN = ("ui.css", "ui.js")
OF_OTHERS = ("pico.min.css", "htmx.min.js", "hx-sse.min.js")

_KINDS = {"css": "text/css", "js": "text/javascript"}


class Files:
    """The files by their addresses; they are in memory. `folder` has those of others. Raises `MachineError`."""

    def __init__(self, folder: Path | None) -> None:
        own = {name: files("environments.ui").joinpath("assets", name).read_bytes() for name in OWN}
        others = _others(folder)
        # In one file: htmx looks at the page by a timer, maybe before an extension in another file is there.
        others["htmx.min.js"] += b"\n" + others.pop("hx-sse.min.js")
        self._files = {_address(name, content): (name, content) for name, content in (own | others).items()}
        self._packed = {path: packed_file(content) for path, (_, content) in self._files.items()}
        self.addresses: Mapping[str, str] = {name: address for address, (name, _) in self._files.items()}
        """Name → address."""

    def owns(self, path: str) -> bool:
        """Whether there is a file at this path."""
        return path in self._files

    def answer(self, path: str, headers: Mapping[str, str]) -> Response:
        """The file."""
        name, content = self._files[path]
        small = takes_gzip(headers)
        answer = kept(self._packed[path] if small else content, _KINDS[name.rpartition(".")[2]])
        answer.headers["Vary"] = "Accept-Encoding"
        if small:
            answer.headers["Content-Encoding"] = "gzip"
        return answer


def _others(folder: Path | None) -> dict[str, bytes]:
    if folder is None:
        raise MachineError("Nothing says where the files of htmx and Pico are.", hint="Set CALVINVERSE_UI_ASSETS.")
    try:
        return {name: (folder / name).read_bytes() for name in OF_OTHERS}
    except OSError as error:
        raise MachineError(
            f"{error.filename} can't be read: {error.strerror}.", hint="Run `doit assets`, which gets these files."
        ) from error


def _address(name: str, content: bytes) -> str:
    stem, _, ending = name.rpartition(".")
    return f"/ui/{stem}-{hashlib.sha256(content).hexdigest()[:16]}.{ending}"
