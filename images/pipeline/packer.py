"""Runs Packer: streams its progress, keeps the whole log, reads the manifest, sets a time limit.

The library packer.py (`packerpy`) isn't used: it waits for the end of a command before it shows anything, has no
time limit, and can't stop a command.
"""

import json
import os
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from images.commands import run
from images.errors import ImageBuildFailed

MANIFEST = "manifest.json"

LAST = 8
"""Lines of a failed build that are shown."""


@dataclass(frozen=True)
class Artifact:
    """The result of a recipe: the id of an image in the Docker engine, or an archive to load."""

    image_id: str | None
    archive: Path | None


@dataclass(frozen=True)
class PackerCommand:
    """The path of Packer, and the variables that it needs to find its plugins."""

    executable: Path
    environment: Mapping[str, str]


def build(
    packer: PackerCommand,
    recipe: Path,
    variables: Mapping[str, str | Mapping[str, str]],
    work: Path,
    log: Path,
    *,
    cwd: Path,
    limit: float,
    on_step: Callable[[str], None],
    pass_fds: Sequence[int] = (),
) -> Artifact:
    """Runs the recipe in the folder `recipe`, which must write a manifest to `work`.

    `on_step` gets each line that Packer shows; all of them go to `log` with the time of day in UTC. Variables that the
    recipe doesn't declare are ignored. Raises ImageBuildFailed with the decisive line.
    """
    with log.open("a", encoding="utf-8") as kept:
        transcript = _Transcript(kept, on_step)
        ended = run(
            [str(packer.executable), "build", "-machine-readable", str(recipe)],
            limit=limit,
            env=_environment(packer, variables, work),
            cwd=cwd,
            on_line=transcript.line,
            pass_fds=pass_fds,
        )
    if ended.timed_out:
        raise ImageBuildFailed(
            f"Packer took longer than {limit:.0f} s and was stopped.", hint=where(log, transcript.last_lines())
        )
    if ended.status != 0:
        raise ImageBuildFailed(f"Packer failed: {transcript.what_matters()}", hint=where(log, transcript.last_lines()))
    return _artifact(work / MANIFEST, log)


def where(log: Path, lines: Sequence[str] = ()) -> str:
    """A hint with the last lines that were written, and the whole log."""
    shown = ["The last lines are:", *(f"  {line}" for line in lines)] if lines else []
    return "\n".join([*shown, f"The whole log is in {log}."])


def _environment(packer: PackerCommand, variables: Mapping[str, str | Mapping[str, str]], work: Path) -> dict[str, str]:
    """The caller's environment, with our Packer variables in place of those of other recipes."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("PKR_VAR_")}
    found |= {"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1", "TMPDIR": str(work), **packer.environment}
    # The docker plugin mounts a folder in it into the container; after a kill that folder would stay in the user's.
    found.setdefault("PACKER_TMP_DIR", str(work))
    for name, value in variables.items():
        found[f"PKR_VAR_{name}"] = value if isinstance(value, str) else json.dumps(value)
    return found


class _Transcript:
    """Reads Packer's machine-readable lines (time, target, type, data…) for the log and the steps."""

    WRONG = re.compile(r"^(E|[Ee]rror|ERROR|[Ff]atal|[A-Za-z.]*Error)\b:?\s")
    SUMMARY = re.compile(
        r"Build '.*' errored|Some builds didn't complete|^\s*$|Provisioning step had errors|Cleaning up|^--> "
        r"|Script exited with|Error determining source Docker image digest|Error running container: Docker exited"
        r"|Run 'docker run --help'|Killing the container"
    )
    FRAME = re.compile(r"^(==>|-->|   )\s*[\w.-]+\.[\w-]+: ?")
    PREAMBLE = re.compile(
        r"Creating a temporary directory|Starting docker container|Run command: |Container ID: "
        r"|Using docker communicator"
    )
    STREAM = re.compile(r"^Stderr: (docker: )?")
    REASON = re.compile(r"Build '.*' errored after [^:]*: (.+)")

    def __init__(self, log: TextIO, on_step: Callable[[str], None]) -> None:
        self._log = log
        self._on_step = on_step
        self._errors: list[str] = []
        self._others: list[str] = []
        self._last: deque[str] = deque(maxlen=LAST)
        self._reason = ""

    def line(self, raw: str) -> None:
        """Reads one line of output."""
        fields = raw.split(",", 4)
        if len(fields) < 5 or fields[2] != "ui":
            if len(fields) < 4 or not fields[0].isdigit():
                self._write(raw)
                self._others.append(raw)
                self._last.append(raw)
            return
        kind, text = fields[3], fields[4].replace("%!(PACKER_COMMA)", ",").replace("\\n", "\n").replace("\\r", "\r")
        for line in text.splitlines():
            self._write(line)
            if reason := self.REASON.match(line):
                self._reason = reason[1].removesuffix(". Allowed exit codes are: [0]")
            shown = self.STREAM.sub("", self.FRAME.sub("", line).strip())
            if shown and not self.SUMMARY.search(shown) and not self._reason:
                if kind == "error":
                    self._errors.append(shown)
                if not self.PREAMBLE.match(shown):
                    self._last.append(shown)
                self._on_step(shown)

    def what_matters(self) -> str:
        """The first line that Packer reports as an error, else the last one before its summary, else its reason."""
        lines = self._errors or self._others or [self._reason or "it does not say why"]
        return next((line for line in lines if self.WRONG.search(line)), lines[-1])

    def last_lines(self) -> list[str]:
        """The last lines that were written before Packer's summary."""
        return list(self._last)

    def _write(self, line: str) -> None:
        self._log.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")
        self._log.flush()


def _artifact(manifest: Path, log: Path) -> Artifact:
    try:
        made = json.loads(manifest.read_text(encoding="utf-8"))["builds"][-1]
    except (OSError, ValueError, LookupError) as error:
        raise ImageBuildFailed(
            "The recipe ended well but wrote no manifest.",
            hint=f'It needs: post-processor "manifest" {{ output = "${{var.work}}/{MANIFEST}" }}\n{where(log)}',
        ) from error
    if str(made["artifact_id"]).startswith("sha256:"):
        return Artifact(made["artifact_id"], None)
    files = made.get("files") or []
    if len(files) != 1:
        raise ImageBuildFailed(
            "The recipe made neither an image nor one archive.",
            hint=f"The docker builder makes an image with `commit = true`.\n{where(log)}",
        )
    return Artifact(None, manifest.parent / Path(files[0]["name"]).name)
