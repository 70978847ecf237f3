"""Builds several tools, two at once, and reports the progress every few seconds."""

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
from images.toolchain.catalogue import GoModule, Tool

AT_ONCE = 2
"""Builds that run in parallel: enough for two cores."""

LINE_EVERY = 10.0
"""Seconds between reports without a terminal."""


def ensure_compiler(missing: Iterable[Tool], report: Report) -> None:
    """Install the C compiler that some builds need, on Debian as root."""
    needs_compiler = any(isinstance(tool.source, GoModule) and tool.source.cgo for tool in missing)
    if needs_compiler and not shutil.which("gcc") and shutil.which("go") and can_install_packages():
        ensure_debian_packages(["gcc", "libc6-dev"], report, why="Nomad is built with a C compiler")


def build_all(missing: Sequence[Tool], report: Report) -> None:
    """Build tools into the cache, the longest first; ToolBuildFailed names all that failed."""
    cache = cache_folder()
    stop = Stop()
    jobs = [Job(tool, cache, stop) for tool in sorted(missing, key=_minutes, reverse=True)]
    names = ", ".join(f"{job.tool.name} {job.tool.pinned}" for job in jobs)
    report(f"Building {names} into {cache}: about {_estimate(jobs)} min on two cores, once for this machine.")
    failed: list[MachineError] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(job.run): job for job in jobs}
        try:
            _watch(running, report, failed)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    _tell_caches(jobs, cache, report)
    if failed:
        raise failed[0] if len(failed) == 1 else _together(failed)


def _watch(running: dict[Future[Path], Job], report: Report, failed: list[MachineError]) -> None:
    waiting = set(running)
    told = time.monotonic()
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
        line = "; ".join(
            f"{job.tool.name} {duration(job.elapsed())}: {job.phase}"
            for future, job in running.items()
            if future in waiting and job.began is not None
        )
        if isinstance(report, TerminalReport):
            report.status(line)
        elif line and time.monotonic() - told >= LINE_EVERY:
            told = time.monotonic()
            report(f"  {line}")


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


def _minutes(tool: Tool) -> int:
    return tool.source.minutes if isinstance(tool.source, GoModule) else 1


def _estimate(jobs: Iterable[Job]) -> int:
    # Two builds share the cores: together they take as long as one after the other.
    return sum(_minutes(job.tool) for job in jobs)
