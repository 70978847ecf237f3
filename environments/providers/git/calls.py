"""Running `git` for the service: with a clean environment, a time limit, and errors in words."""

import contextlib
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from environments.domain.cleaning import Cleaner
from environments.domain.errors import InvalidTemplate, SourceDenied, SourceFailed, SourceUnavailable

_KEPT = (
    "PATH",
    "HOME",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
)
_LONGEST_QUOTE = 300

LARGEST_FETCH = 1 << 30
"""Bytes that one fetch may write."""

LARGEST_OUTPUT = 64 << 20
"""Bytes that one call of git may print: the names in a repository, or the files of a template."""

_MOST_MEMORY = 2 << 30
"""Bytes of memory that git and each of its helpers may ask for."""

_MOST_SAID = 64 << 10
_CONFIG_SECONDS = 10.0
_CHECK_INTERVAL = 0.25
"""Seconds between two checks of how much was fetched."""

_DENIED = re.compile(
    r"could not read (Username|Password)|Authentication failed|Permission denied|Host key verification failed"
    r"|terminal prompts disabled|error: (401|403)|Repository not found|repository .* (not found|does not exist)"
    r"|does not appear to be a git repository",
    re.IGNORECASE,
)
_AWAY = re.compile(
    r"Could not resolve host|Connection refused|Connection timed out|Failed to connect|Couldn't connect"
    r"|Could not connect|Network is unreachable|No route to host|Connection reset|early EOF|hung up unexpectedly"
    r"|error: 5\d\d|Operation too slow|Operation timed out",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"unadvertised object|not our ref|couldn't find remote ref|no such remote ref|filter '.*' not supported",
    re.IGNORECASE,
)
_FOREIGN = re.compile(r"dubious ownership in repository at '(?P<folder>[^']+)'")
SHA256_DIGITS = 64
"""Digits of an object's name in a repository that names them by SHA-256."""


class Remote(NamedTuple):
    """What a repository says of itself. `refs`: full name → commit; `branch`: the default one, empty if it has none."""

    refs: Mapping[str, str]
    branch: str

    @property
    def sha256(self) -> bool:
        """Whether it names its objects by SHA-256, as far as it showed one."""
        return any(len(commit) == SHA256_DIGITS for commit in self.refs.values())


class Git:
    """`git` in one folder, which is empty at first; all its calls together take at most `seconds`.

    `begin` comes first.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        protocols: Sequence[str],
        credentials: Path | None,
        seconds: float,
        environ: Mapping[str, str],
    ) -> None:
        self._program = program
        self._folder = folder
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._repository = folder / "repository"
        self._settings = [f"--git-dir={self._repository}", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0"]
        self._settings += ["-c", "credential.helper="]
        self._cleaner = Cleaner(_passwords(credentials))
        if credentials is not None:
            # Only to be read: git would take a credential out of it that was refused. Its name comes as a variable, for
            # this goes through a shell.
            reading = 'git credential-store --file="$CALVINVERSE_GIT_CREDENTIALS" get'
            self._settings += ["-c", f'credential.helper=!f() {{ test "$1" != get || {reading}; }}; f']
        self._environ = {
            **{name: environ[name] for name in _KEPT if name in environ},
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(folder / "config"),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": ":".join(protocols),
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15",
            **({"CALVINVERSE_GIT_CREDENTIALS": str(credentials)} if credentials else {}),
        }
        # A repository of this machine is served by a git that reads this file, too.
        (folder / "config").write_text("[uploadpack]\n\tallowFilter = true\n")
        self._trusted = _trusted_folders(program, folder, environ) if "file" in protocols else ()

    def begin(self, *, sha256: bool = False) -> None:
        """Makes the repository here, empty, in place of one that is here already."""
        if self._repository.exists():
            shutil.rmtree(self._repository)
        made = ("--object-format=sha256",) if sha256 else ()
        self.run("init", "--quiet", "--bare", "--initial-branch=none", "--template=", *made)
        for folder in self._trusted:
            self.run("config", "--file", self._environ["GIT_CONFIG_GLOBAL"], "--add", "safe.directory", folder)
        self._trusted = ()

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """What git prints. Raises `SourceFailed` and its kin; `details["refused"]`: the server has no such name."""
        status, printed, said = self._call(arguments, given)
        if status != 0:
            # A server may repeat anything in its messages, including the credential.
            raise _error(self._cleaner.clean(said))
        return printed

    def maybe(self, *arguments: str) -> bytes | None:
        """What git prints; None when it finds nothing of that name."""
        status, printed, _ = self._call(arguments, b"")
        return printed if status == 0 else None

    def remote(self, url: str, ref: str) -> Remote:
        """What a repository has of that name, and its default branch."""
        names = (ref, f"refs/tags/{ref}", f"refs/heads/{ref}")
        printed = self.run("ls-remote", "--symref", "--", url, "HEAD", *names)
        found: dict[str, str] = {}
        branch = ""
        for line in printed.decode(errors="replace").splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: "):
                branch = value.removeprefix("ref: ").removeprefix("refs/heads/") if name == "HEAD" else branch
            else:
                found[name] = value
        return Remote({name: found[name] for name in ("HEAD", *names) if name in found}, branch)

    def sizes(self, blobs: Sequence[str]) -> list[int]:
        """How many bytes blobs have that are here, in their order; 0 for what is none."""
        given = "".join(f"{blob}\n" for blob in blobs).encode()
        heads = self.run("cat-file", "--batch-check", given=given).decode().splitlines()
        return [int(head.split()[2]) if head.split()[1] == "blob" else 0 for head in heads]

    def blobs(self, wanted: Mapping[str, str]) -> dict[str, bytes]:
        """The contents of blobs: path → id of the blob becomes path → content."""
        given = "".join(f"{blob}\n" for blob in wanted.values()).encode()
        printed = self.run("cat-file", "--batch", given=given)
        found: dict[str, bytes] = {}
        place = 0
        for path, blob in wanted.items():
            head, _, _ = printed[place : place + 200].partition(b"\n")
            kind, size = head.decode().split()[1:3] if head.count(b" ") == 2 else ("missing", "0")
            if kind != "blob":
                raise InvalidTemplate(f"The file {path} of the repository can't be read ({blob[:12]} is {kind}).")
            begin = place + len(head) + 1
            found[path] = printed[begin : begin + int(size)]
            place = begin + int(size) + 1
        return found

    def _call(self, arguments: Sequence[str], given: bytes) -> tuple[int, bytes, str]:
        left = self._end - time.monotonic()
        if left <= 0:
            raise self._too_slow()
        with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                # git's own text is UTF-8, whatever the locale of the service is.
                [self._program, *(word.encode(errors="surrogateescape") for word in (*self._settings, *arguments))],
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=said,
                start_new_session=True,  # git starts helpers, which have to end with it
            )
            if sys.platform == "linux":  # also for its helpers, which it starts later
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(process.pid, resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
            try:
                self._follow(process, given, (printed.fileno(), said.fileno()))
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
            printed.seek(0)
            said.seek(0)
            return process.returncode, printed.read(), said.read(_MOST_SAID).decode(errors="replace")

    def _follow(self, process: "subprocess.Popen[bytes]", given: bytes | None, outputs: Sequence[int]) -> None:
        """Until git has ended. Raises `SourceUnavailable` when that takes too long, `SourceFailed`."""
        while True:
            left = self._end - time.monotonic()
            if left <= 0:
                raise self._too_slow()
            try:
                process.communicate(given, timeout=min(left, _CHECK_INTERVAL))
            except subprocess.TimeoutExpired:
                given = None  # the rest of it is still sent
            if any(os.fstat(output).st_size > LARGEST_OUTPUT for output in outputs) or self._size() > LARGEST_FETCH:
                raise SourceFailed(
                    "The git repository is larger than the service reads.",
                    hint="Keep templates in a repository of their own.",
                )
            if process.poll() is not None:
                return

    def _size(self) -> int:
        """Bytes in git's folder, whose files come and go."""
        size = 0
        for folder, _, files in os.walk(self._folder):
            for file in files:
                with contextlib.suppress(OSError):
                    size += (Path(folder) / file).lstat().st_size
        return size

    def _too_slow(self) -> SourceUnavailable:
        return SourceUnavailable(f"The git repository didn't answer within {self._seconds:g} s.")


def _trusted_folders(program: str, folder: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Repositories of other users that the service's user or the machine lets git read (`safe.directory`)."""
    kept = {name: environ[name] for name in ("PATH", "HOME", "XDG_CONFIG_HOME") if name in environ}
    try:
        done = subprocess.run(
            [program, "config", "--null", "--get-all", "safe.directory"],
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CONFIG_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(name.decode(errors="surrogateescape") for name in done.stdout.split(b"\0") if name)


def _passwords(credentials: Path | None) -> list[str]:
    """The secrets in the file of credentials; git itself reports a file that can't be read."""
    if credentials is None:
        return []
    try:
        lines = credentials.read_text(errors="replace").split()
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            found += [word for word in (urlsplit(line).password,) if word]
    return [*found, *map(unquote, found)]


def _error(said: str) -> SourceFailed:
    """The meaning of git's own messages; lines of the server, which begin with `remote:`, are ignored."""
    said = "\n".join(line for line in said.splitlines() if not line.startswith("remote:")) or said
    # For an unreachable host git also says that there may be no repository, so check for the host first.
    if found := _FOREIGN.search(said):
        folder = found["folder"]
        return SourceDenied(
            f"The git repository in {folder} belongs to another user than the service.",
            hint="If its owner is to be trusted, let the service's user read it: "
            f"`git config --global --add safe.directory {shlex.quote(folder)}`.",
        )
    if found := _AWAY.search(said):
        return SourceUnavailable(f"The git repository can't be reached: {_quote(said, found.start())}.")
    if found := _REFUSED.search(said):
        why = _quote(said, found.start())
        return SourceFailed(f"The git repository doesn't give that commit: {why}.", details={"refused": True})
    if found := _DENIED.search(said):
        return SourceDenied(f"The git repository isn't there, or refuses the service: {_quote(said, found.start())}.")
    return SourceFailed(f"git failed: {_quote(said, 0)}.")


def _quote(said: str, place: int) -> str:
    """The line of what git said at that place."""
    lines = said[said.rfind("\n", 0, place) + 1 :].splitlines()
    line = lines[0] if lines else "it said nothing"
    for beginning in ("fatal: ", "error: ", "remote: "):
        line = line.removeprefix(beginning)
    return line.strip()[:_LONGEST_QUOTE].rstrip(".")
