"""The watchdog and the work folders: a program ends when it has to, with all that it started, and only one runs."""

import fcntl
import os
from pathlib import Path

import pytest

from environments.domain.errors import BackendUnavailable
from environments.providers.opentofu import folders
from environments.providers.opentofu.folders import WorkFolders
from environments.providers.opentofu.process import TimeLimit
from tests.support.work_folders import ALPHA, never_waits, nothing_rescued


class TestRunning:
    def test_a_run_that_only_reads_has_a_limit(self) -> None:
        limit = TimeLimit(0.0)
        with pytest.raises(BackendUnavailable, match="didn't come to an end"):
            limit.check()
        assert limit.sure_for > 0


class TestFolders:
    @pytest.fixture
    def work(self, tmp_path: Path) -> WorkFolders:
        return WorkFolders(tmp_path / "work")

    def test_a_run_has_a_private_folder_that_goes_with_it(self, work: WorkFolders, tmp_path: Path) -> None:
        with work.for_run(ALPHA, "net", never_waits, nothing_rescued) as place:
            assert place.folder.stat().st_mode & 0o777 == 0o700
            place.write("a/b", b"secret")
            assert (place.folder / "a" / "b").stat().st_mode & 0o777 == 0o600
        assert list((tmp_path / "work").iterdir()) == []

    def test_who_comes_later_waits_until_nobody_has_the_lock_any_more(self, work: WorkFolders) -> None:
        waits: list[float] = []
        with work.for_run(ALPHA, "net", never_waits, nothing_rescued) as first:
            handle = first.take(never_waits)

            def wait(seconds: float) -> None:
                waits.append(seconds)
                if len(waits) == 3:
                    os.close(handle)

            with work.for_run(ALPHA, "net", wait, nothing_rescued) as second:
                assert second.folder != first.folder
        assert len(waits) == 3

    def test_what_a_dead_run_left_is_rescued_and_removed(self, work: WorkFolders, tmp_path: Path) -> None:
        dead = tmp_path / "work" / "env-1" / "net" / "run-dead"
        dead.mkdir(parents=True)
        (dead / "errored.tfstate").write_bytes(b"state")
        look = dead.with_name("look-dead")
        look.mkdir()
        rescued: list[bytes] = []
        with work.for_run(ALPHA, "net", never_waits, rescued.append):
            assert not dead.exists()
        assert rescued == [b"state"]
        assert list((tmp_path / "work").iterdir()) == []

    def test_runs_that_only_read_disturb_nobody(self, work: WorkFolders) -> None:
        with (
            work.for_run(ALPHA, "net", never_waits, nothing_rescued) as running,
            work.for_reading(ALPHA, "net") as first,
            work.for_reading(ALPHA, "net") as second,
        ):
            handles = [place.take(never_waits) for place in (running, first, second)]
            assert len({place.folder for place in (running, first, second)}) == 3
            for handle in handles:
                os.close(handle)

    def test_a_lock_that_is_held_by_nothing_that_works_is_given_up(
        self, work: WorkFolders, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(folders, "ORPHANS_AFTER", 0.0)
        monkeypatch.setattr(folders, "STUCK_AFTER", 0.0)
        waits: list[float] = []
        with work.for_run(ALPHA, "net", never_waits, nothing_rescued) as first:
            # As a worker has it that was stopped just before it started tofu.
            handle = first.take(never_waits)
            with work.for_run(ALPHA, "net", waits.append, nothing_rescued) as second:
                other = second.take(never_waits)
                with pytest.raises(BlockingIOError):
                    fcntl.flock(os.open(second.lock, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.close(other)
            os.close(handle)
        assert len(waits) == 1
