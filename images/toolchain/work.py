"""Builds several tools, two at once, and reports the progress every few seconds."""

import os
import shutil
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from environments.domain.errors import MachineError
from images.commands import Stop
from images.errors import ToolBuildFailed
from images.places import cache_folder
from images.report import Report, TerminalReport, duration, size
from images.system import can_install_packages, ensure_debian_packages
from images.toolchain.build import Job
from images.toolchain.catalogue import GoModule, Tool, tools
from images.toolchain.go import NAME, Go, wanted_go
from images.toolchain.needs import Builders
from images.toolchain.shares import about, longest_first, seconds_left

AT_ONCE = 2
"""Builds that run in parallel: enough for two cores."""

LINE_EVERY = 10.0
"""Seconds between reports without a terminal."""


CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where Go looks for the authorities that it trusts, as far as systems differ in it."""


def ensure_packages(missing: Iterable[Tool], report: Report) -> None:
    """Install what builds need of the operating system, on Debian as root: a C compiler, and certificates for Go."""
    built = [tool.source for tool in missing if isinstance(tool.source, GoModule)]
    if not built or not can_install_packages():
        return
    if any(source.cgo for source in built) and not shutil.which("gcc"):
        ensure_debian_packages(["gcc", "libc6-dev"], report, why="Nomad is built with a C compiler")
    if not os.environ.get("SSL_CERT_FILE") and not any(Path(file).is_file() for file in CERTIFICATES):
        ensure_debian_packages(["ca-certificates"], report, why="Go fetches modules over HTTPS")


def choose_go(missing: Iterable[Tool], builders: Builders, report: Report) -> Go:
    """The Go for all of these builds: the machine's if it fits them all, else that of the wheel, fetched if need be.

    Raises ToolBuildFailed when it can't be fetched.
    """
    wanted = wanted_go(missing)
    if builders.machine_builds(wanted):
        return Go()
    cache = cache_folder()
    tool = tools()[NAME]
    program = tool.cached(cache)
    if not program.is_file():
        there = f"Go {builders.go.version} is too old" if builders.go else "there is no Go here"
        report(f"Fetching Go {tool.pinned} into {cache}: the tools want {wanted} or later, and {there}.")
        program = run_all([Job(tool, cache)], report)[0]
    return Go(str(program), own=cache)


def build_all(missing: Sequence[Tool], report: Report, go: Go) -> None:
    """Build tools into the cache, the longest first; ToolBuildFailed names all that failed."""
    cache = cache_folder()
    stop = Stop()
    jobs = [Job(tool, cache, stop, go) for tool in longest_first(missing)]
    names = ", ".join(f"{job.tool.name} {job.tool.pinned}" for job in jobs)
    count = f"{len(jobs)} tools" if len(jobs) > 1 else "one tool"
    report(f"Building {count} into {cache}{about(seconds_left(jobs, 0))}, once for this machine: {names}.")
    try:
        run_all(jobs, report)
    finally:
        _tell_caches(jobs, cache, report)


def run_all(jobs: Sequence[Job], report: Report) -> list[Path]:
    """Run builds, two at a time, and report them; their programs. ToolBuildFailed names all that failed."""
    failed: list[MachineError] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(job.run): job for job in jobs}
        try:
            _watch(running, report, failed)
        except BaseException:
            for job in jobs:
                job.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        raise failed[0] if len(failed) == 1 else _together(failed)
    return [future.result() for future in running]


def _watch(running: dict[Future[Path], Job], report: Report, failed: list[MachineError]) -> None:
    waiting = set(running)
    began = told = time.monotonic()
    while waiting:
        done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
        for future in done:
            job = running[future]
            error = future.exception()
            if error is None:
                _tell_done(job, report)
            elif isinstance(error, MachineError):
                report(f"  {job.tool.name}: failed after {duration(job.elapsed())}")
                failed.append(error)
            else:
                raise error
        left = [job for future, job in running.items() if future in waiting]
        line = progress_line(left, seconds_left(list(running.values()), time.monotonic() - began))
        if isinstance(report, TerminalReport):
            report.status(line)
        elif line and time.monotonic() - told >= LINE_EVERY:
            told = time.monotonic()
            report(f"  {line}")


def progress_line(left: Sequence[Job], seconds: float | None) -> str:
    """What is being built, how many are left and how long that takes if it is known; empty when nothing has begun."""
    begun = [job for job in left if job.began is not None]
    if not begun:
        return ""
    line = "; ".join(f"{job.tool.name} {duration(job.elapsed())}: {job.phase}" for job in begun)
    return f"{line}; {len(left)} left{about(seconds)}"


def _tell_done(job: Job, report: Report) -> None:
    how = "built" if isinstance(job.tool.source, GoModule) else "fetched"
    by = "" if job.built_here else " by another process"
    report(f"  {job.tool.name} {job.tool.pinned}: {how}{by} in {duration(job.seconds or 0)}")


def _tell_caches(jobs: Iterable[Job], cache: Path, report: Report) -> None:
    if any(job.built_here and isinstance(job.tool.source, GoModule) for job in jobs):
        free = shutil.disk_usage(cache).free
        report(
            "Go keeps downloads and compiled packages, several GiB, in its caches, which are no longer needed: "
            f"`python -m images.toolchain clean` shows their size and removes them ({size(free)} are free)."
        )


def _together(failed: Sequence[MachineError]) -> ToolBuildFailed:
    return ToolBuildFailed(" ".join(error.message for error in failed), hint="\n".join(error.hint for error in failed))
