"""Records of processes: only the very process that wrote one is ended by it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from images.process_records import end_recorded, keep_record

PROGRAM = """
import signal, sys, time
from pathlib import Path
from images.process_records import keep_record
if len(sys.argv) > 2:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
keep_record(Path(sys.argv[1]))
time.sleep(300)
"""


@contextmanager
def recorded(file: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has a record of itself."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(file), *options])
    try:
        while not file.exists():
            assert process.poll() is None
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("options", "patience", "status"), [((), 60.0, -15), (("stubborn",), 0.2, -9)])
def test_a_process_is_ended_by_its_record(
    tmp_path: Path, options: tuple[str, ...], patience: float, status: int
) -> None:
    file = tmp_path / "record"
    with recorded(file, *options) as process:
        assert file.stat().st_mode & 0o777 == 0o600
        assert end_recorded(file, patience)
        assert process.wait(60) == status
    assert not file.exists()
    assert not end_recorded(file, patience)


def test_another_process_with_the_same_id_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "record"
    with recorded(file) as process:
        pid, started, boot = file.read_text().split()
        for other in (f"{pid} {int(started) + 1} {boot}", f"{pid} {started} another-boot"):
            file.write_text(other)
            assert not end_recorded(file, 60.0)
            assert not file.exists()
        assert process.poll() is None


@pytest.mark.parametrize("text", ["", "no record", "-1 2 3", "99999999999999999999 1 x", "\0"])
def test_a_damaged_record_is_removed(tmp_path: Path, text: str) -> None:
    file = tmp_path / "record"
    file.write_text(text)
    assert not end_recorded(file, 60.0)
    assert not file.exists()


def test_a_record_of_a_process_that_has_ended_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "record"
    with recorded(file):
        left = file.read_text()
    file.write_text(left)
    assert not end_recorded(file, 60.0)
    keep_record(file)
    assert file.read_text() != left
