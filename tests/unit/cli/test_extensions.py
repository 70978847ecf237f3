"""The command line without the packages whose commands it finds at run time."""

from pathlib import Path

import pytest

from environments.cli.extensions import find_module


def test_an_error_inside_of_a_package_is_not_taken_for_its_absence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brought").mkdir()
    (tmp_path / "brought" / "cli.py").write_text("import no_such_module_anywhere")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_module("brought.nothing") is None
    assert find_module("no_such_package.cli") is None
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        find_module("brought.cli")
