"""Users without a home folder: a sentence that names what to set, and paths without `~` need none."""

import pwd
from pathlib import Path

import pytest

from environments import context
from environments.belongings import claim, is_marked
from environments.context import find_context, state_folder
from environments.domain.errors import CalvinverseError, InvalidInput
from images.places import cache_folder


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container runs whose user has no entry on the machine, without HOME."""

    def unknown(user: object) -> pwd.struct_passwd:
        raise KeyError(user)

    monkeypatch.delenv("HOME", raising=False)
    for variable in ("CALVINVERSE_CACHE", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    for name in ("getpwuid", "getpwnam"):
        monkeypatch.setattr(pwd, name, unknown)


def test_the_state_of_an_installed_program_is_below_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "__file__", str(tmp_path / "site-packages" / "environments" / "context.py"))
    with pytest.raises(InvalidInput, match="there is no such home folder") as told:
        state_folder({})
    assert told.value.hint == "Set HOME, or give another path with CALVINVERSE_STATE."
    assert state_folder({"XDG_STATE_HOME": "/x"}) == Path("/x/calvinverse")
    assert state_folder({"CALVINVERSE_STATE": "/x"}) == Path("/x")


@pytest.mark.parametrize("variable", ["CALVINVERSE_STATE", "CALVINVERSE_TOKEN_FILE", "CALVINVERSE_CA_FILE"])
@pytest.mark.parametrize("path", ["~/x", "~ada/x"])
def test_a_path_below_the_home_is_refused_with_the_name_of_its_variable(
    tmp_path: Path, variable: str, path: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{path} can't be found") as told:
        find_context(environ={"CALVINVERSE_STATE": str(tmp_path), variable: path})
    assert variable in told.value.hint


def test_tools_need_a_home_or_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for given in (None, "~/x"):
        if given is not None:
            monkeypatch.setenv("CALVINVERSE_CACHE", given)
        with pytest.raises(CalvinverseError) as told:
            cache_folder()
        assert "CALVINVERSE_CACHE" in told.value.hint
    monkeypatch.setenv("CALVINVERSE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


def test_a_state_folder_elsewhere_needs_no_home(tmp_path: Path) -> None:
    claim(tmp_path)
    assert is_marked(tmp_path)
    with pytest.raises(CalvinverseError, match=r"^/ can't be a state folder"):
        claim(Path("/"))
