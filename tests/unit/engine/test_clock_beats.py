"""The count of marks that is kept in a file beside the database."""

from pathlib import Path

from environments.engine.clock_check import FileBeats


def test_the_count_is_kept_for_the_service_alone(tmp_path: Path) -> None:
    file = tmp_path / "data" / "clock-marks"
    beats = FileBeats(file)
    assert beats.read() == 0
    for count in (1, 12):
        beats.write(count)
        assert FileBeats(file).read() == count
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_count_that_is_damaged_or_cannot_be_kept_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "clock-marks").write_text("many")
    assert FileBeats(tmp_path / "clock-marks").read() == 0
    (tmp_path / "file").touch()
    FileBeats(tmp_path / "file" / "clock-marks").write(3)
    assert FileBeats(tmp_path / "file" / "clock-marks").read() == 0
