"""Finding and building tools, with small scripts in the place of the tools and of Go."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from environments.exit_statuses import exit_status
from images.errors import ToolBuildFailed, ToolsMissing
from images.tasks import forge
from images.toolchain import NAMES, TESTS_ONLY, build, ensure, locate, require
from images.toolchain.__main__ import offer
from images.toolchain.catalogue import FOLDER, GoModule, read, tools
from images.toolchain.clean import Cleaning, removable
from images.toolchain.find import ask_version

GO = """#!/bin/sh
case "$1" in
version) echo "go version go{version} linux/amd64" ;;
list) echo "{home}/module" ;;
env) if [ "$2" = GOTOOLCHAIN ]; then echo local; else echo '{{"GOCACHE": "{home}/c", "GOMODCACHE": "{home}/m"}}'; fi ;;
build)
    echo "$@" >>"{home}/builds"
    echo "go: downloading example.com/a v1.0.0"
    echo example.com/a
    /bin/sleep {seconds}
    {then}
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\necho "It is v{builds}"\\n' >"$2"
    /bin/chmod +x "$2" ;;
esac
"""


class Machine:
    """A machine with nothing on its PATH but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "bin"
        self.path.mkdir()
        self.cache = folder / "cache"

    def program(self, name: str, text: str) -> Path:
        """Put a program on the PATH."""
        file = self.path / name
        file.write_text(text)
        file.chmod(0o755)
        return file

    def tool(self, name: str, version: str) -> Path:
        """Put a tool of some version on the PATH, which notes each time it is run."""
        return self.program(name, f'#!/bin/sh\necho run >>"{self.folder}/{name}.runs"\necho "{name} v{version}"\n')

    def runs(self, name: str) -> int:
        """How often a tool was run."""
        file = self.folder / f"{name}.runs"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def go(self, version: str = "1.30.0", *, builds: str = "1.12.0", seconds: float = 0, then: str = ":") -> None:
        """Put a Go on the PATH whose builds make a tool that calls itself `builds`."""
        text = GO.format(version=version, home=self.folder, builds=builds, seconds=seconds, then=then)
        self.program("go", text)

    @property
    def builds(self) -> list[str]:
        """The arguments of each build so far."""
        file = self.folder / "builds"
        return file.read_text().splitlines() if file.exists() else []

    def left(self) -> list[str]:
        """What lies in the cache's folder of tools."""
        return sorted(file.name for file in (self.cache / "tools").glob("*/*"))

    def ensure_in_process(self, *names: str) -> "subprocess.Popen[str]":
        """Start `python -m images.toolchain ensure` as a process of its own."""
        command = [sys.executable, "-m", "images.toolchain", "ensure", *names]
        env = {**os.environ, "PATH": str(self.path), "CALVINVERSE_CACHE": str(self.cache)}
        return subprocess.Popen(
            command, env=env, cwd=FOLDER.parent.parent, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.path))
    monkeypatch.setenv("CALVINVERSE_CACHE", str(made.cache))
    monkeypatch.delenv("CC", raising=False)
    # Nothing is installed on the machine that runs the tests.
    monkeypatch.setattr("images.toolchain.work.can_install_packages", lambda: False)
    return made


@pytest.fixture
def said() -> list[str]:
    return []


def test_a_tool_on_the_path_in_the_wanted_range_is_used(machine: Machine) -> None:
    consul = machine.tool("consul", "1.22.3")
    assert require("consul") == {"consul": consul}


def test_a_tool_of_another_version_is_passed_over_for_the_next_on_the_path(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.tool("consul", "1.9.0")
    folder = machine.folder / "second"
    folder.mkdir()
    second = Machine(folder)
    fitting = second.tool("consul", "1.21.5")
    monkeypatch.setenv("PATH", f"{machine.path}:{second.path}")
    assert locate("consul") == fitting


def test_a_program_that_fails_is_no_tool(machine: Machine) -> None:
    machine.program("consul", "#!/bin/sh\necho Consul v1.21.0\nexit 1\n")
    assert locate("consul") is None


def test_a_program_that_hangs_is_no_tool(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images.toolchain.find.PROBE_LIMIT", 0.2)
    machine.program("packer", "#!/bin/sh\nexec /bin/sleep 60\n")
    assert locate("packer") is None


def test_a_version_is_asked_for_once_until_the_program_changes(machine: Machine) -> None:
    machine.tool("consul", "1.21.0")
    assert locate("consul")
    assert locate("consul")
    assert machine.runs("consul") == 1
    machine.tool("consul", "1.3.0")
    assert locate("consul") is None
    assert machine.runs("consul") == 2


@pytest.mark.parametrize("kept", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_memory_of_versions_is_forgotten(machine: Machine, kept: str) -> None:
    consul = machine.tool("consul", "1.21.0")
    machine.cache.mkdir()
    (machine.cache / "versions.json").write_text(kept)
    assert locate("consul") == consul
    assert str(consul) in json.loads((machine.cache / "versions.json").read_text())


def test_all_missing_tools_are_named_at_once_with_both_ways_to_get_them(machine: Machine) -> None:
    old = machine.tool("nomad", "1.3.1")
    with pytest.raises(ToolsMissing) as caught:
        require(*NAMES)
    error = caught.value
    assert error.code == "tools_missing"
    assert exit_status(type(error))
    assert "\n" not in error.message
    for name, tool in ((name, tools()[name]) for name in NAMES):
        assert name in error.message
        ways = f"{name}: build" if tool.provider else f"{name}: put {tool.wanted}, on the PATH; or"
        assert ways in error.hint
    assert "build 1.12.0 with `doit tools` (needs Go 1.24.0 or later, which comes with it)" in error.hint
    assert "build 3.1.2 with `python -m images.toolchain ensure registry` (needs Go 1.26.0" in error.hint
    assert f"{old} is 1.3.1." in error.hint


@pytest.mark.parametrize(("version", "said"), [("", "there is none"), ("1.19.8", "this is 1.19.8")])
def test_a_go_that_is_too_old_is_said_where_no_wheel_can_be_had(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    if version:
        machine.go(version)
    machine.program("gcc", "#!/bin/sh\n")
    # An installed Calvinverse has no locks; a Python without pip gets no wheel either.
    monkeypatch.setattr("images.toolchain.needs.wheel_builds", lambda wanted: False)
    with pytest.raises(ToolsMissing, match="nomad") as caught:
        ensure(["nomad", "packer"], print)
    assert f"needs Go 1.24.7 or later, and {said}" in caught.value.hint
    assert machine.builds == []


def test_a_go_that_fetches_a_newer_one_will_do(machine: Machine, said: list[str]) -> None:
    machine.go("1.22.0")
    go = machine.path / "go"
    go.write_text(go.read_text().replace("echo local", "echo auto"))
    ensure(["packer"], said.append)
    assert len(machine.builds) == 1


def test_a_missing_c_compiler_is_said(machine: Machine) -> None:
    machine.go(builds="1.10.5")
    with pytest.raises(ToolsMissing) as caught:
        ensure(["nomad", "packer"], print)
    assert "gcc is missing" in caught.value.hint
    assert "packer" not in caught.value.message
    machine.program("gcc", "#!/bin/sh\n")
    assert ensure(["nomad"], print)["nomad"].is_file()


def test_what_is_missing_is_built_once_and_then_found(machine: Machine, said: list[str]) -> None:
    machine.go()
    first = ensure(["packer"], said.append)
    assert first["packer"].is_relative_to(machine.cache)
    assert any(re.fullmatch(r"  packer 1.12.0: built in [\d.]+ s", line) for line in said)
    said.clear()
    before = sorted((file, file.stat().st_mtime_ns) for file in machine.cache.rglob("*"))
    assert ensure(["packer"], said.append) == first == require("packer")
    assert said == []
    assert len(machine.builds) == 1
    assert before == sorted((file, file.stat().st_mtime_ns) for file in machine.cache.rglob("*"))


def test_a_build_uses_the_committed_sources_and_our_flags_alone(
    machine: Machine, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=mod -tags=surprise")
    machine.go(builds="1.10.5", then='echo "$GOFLAGS $CGO_ENABLED $PWD" >>"' + str(machine.folder) + '/builds"')
    machine.program("gcc", "#!/bin/sh\n")
    ensure(["nomad"], said.append)
    arguments, environment = machine.builds
    assert "-buildvcs=false -mod=readonly -tags release github.com/hashicorp/nomad" in arguments
    assert environment == f"-mod=readonly -gcflags=all=-dwarf=false 1 {FOLDER / 'nomad'}"


def test_a_portable_program_is_built_without_c_and_without_paths_of_this_machine(
    machine: Machine, said: list[str]
) -> None:
    machine.go(builds="3.1.2", then='echo "CGO_ENABLED=$CGO_ENABLED" >>"' + str(machine.folder) + '/builds"')
    ensure(["registry"], said.append)
    arguments, environment = machine.builds
    assert " -trimpath " in arguments
    assert environment == "CGO_ENABLED=0"


def test_a_version_in_its_own_path_is_not_what_a_program_says(machine: Machine) -> None:
    folder = machine.folder / "9.9.9-rc1"
    folder.mkdir()
    program = folder / "registry"
    program.write_text('#!/bin/sh\necho "$0 example.com/registry/v3 v3.1.2"\n')
    program.chmod(0o755)
    assert str(ask_version(program, ("--version",), limit=10)) == "3.1.2"


def test_a_failed_build_leaves_no_program_and_shows_how_it_ended(machine: Machine, said: list[str]) -> None:
    machine.go(then="echo 'boom: undefined'; exit 3")
    with pytest.raises(ToolBuildFailed, match="Building packer failed: `go` ended with status 3") as caught:
        ensure(["packer"], said.append)
    assert machine.left() == []
    assert locate("packer") is None
    assert "boom: undefined" in caught.value.hint
    log = next((machine.cache / "logs").iterdir())
    assert str(log) in caught.value.hint
    assert "go: downloading example.com/a" in log.read_text()


def test_a_build_of_another_version_is_refused(machine: Machine, said: list[str]) -> None:
    machine.go(builds="1.12.0-dev")
    with pytest.raises(ToolBuildFailed, match=r"should be 1\.12\.0 and calls itself 1\.12\.0-dev"):
        ensure(["packer"], said.append)
    assert machine.left() == []


def test_a_build_that_takes_too_long_is_stopped(
    machine: Machine, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "BUILD_LIMIT", 0.3)
    machine.go(seconds=120)
    began = time.monotonic()
    with pytest.raises(ToolBuildFailed, match="took too long"):
        ensure(["packer"], said.append)
    assert time.monotonic() - began < 60
    assert machine.left() == []


def test_all_failed_builds_are_named_and_the_good_one_stays(machine: Machine, said: list[str]) -> None:
    machine.go(builds="1.21.0")
    with pytest.raises(ToolBuildFailed) as caught:
        ensure(["consul", "packer", "packer-plugin-docker"], said.append)
    assert "packer failed" in caught.value.message
    assert "packer-plugin-docker failed" in caught.value.message
    assert locate("consul") is not None


def test_a_cache_that_cannot_be_written_is_said(
    machine: Machine, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.go()
    (machine.folder / "file").write_text("in the way")
    monkeypatch.setenv("CALVINVERSE_CACHE", str(machine.folder / "file" / "cache"))
    with pytest.raises(ToolBuildFailed) as caught:
        ensure(["packer"], said.append)
    assert "CALVINVERSE_CACHE" in caught.value.hint


def test_two_checkouts_at_the_same_time_build_once(machine: Machine) -> None:
    machine.go(seconds=1)
    both = [machine.ensure_in_process("packer") for _ in range(2)]
    ended = [(*process.communicate(timeout=120), process.returncode) for process in both]
    assert [status for *_, status in ended] == [0, 0], ended
    assert ended[0][0] == ended[1][0]
    assert len(machine.builds) == 1


def test_after_a_kill_the_next_one_waits_for_the_orphaned_compiler_and_builds_anew(machine: Machine) -> None:
    machine.go(seconds=2)
    killed = machine.ensure_in_process("packer")
    wait_until(lambda: len(machine.builds) == 1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=120)
    machine.go()
    began = time.monotonic()
    follower = machine.ensure_in_process("packer")
    output, errors = follower.communicate(timeout=120)
    assert follower.returncode == 0, errors
    assert time.monotonic() - began > 1
    assert len(machine.builds) == 2
    assert Path(output.split("\t")[1].strip()).is_file()
    assert [name for name in machine.left() if name.startswith(".")] == []


def test_an_interrupt_stops_the_compiler_and_keeps_nothing(machine: Machine) -> None:
    machine.go(seconds=60, then='echo "not stopped" >>"' + str(machine.folder) + '/builds"')
    process = machine.ensure_in_process("packer")
    wait_until(lambda: len(machine.builds) == 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Stopped" in errors
    assert "Traceback" not in errors
    assert machine.left() == []


def test_cleaning_removes_the_caches_that_builds_used_and_builds_of_other_versions(
    machine: Machine, said: list[str]
) -> None:
    machine.go()
    ensure(["packer"], said.append)
    assert any("python -m images.toolchain clean" in line for line in said)
    for folder in ("c", "m"):
        (machine.folder / folder).mkdir()
        (machine.folder / folder / "file").write_text("x" * 100)
    old = machine.cache / "tools" / "packer" / "1.0.0-0123456789abcdef"
    old.mkdir()
    (old / "packer").write_text("old")
    machine.program("go", f'#!/bin/sh\necho "$GOCACHE $GOMODCACHE $@" >>"{machine.folder}/cleaned"\n')
    things = removable()
    assert [(thing.bytes, thing.folders) for thing in things] == [
        (100, (machine.folder / "c",)),
        (100, (machine.folder / "m",)),
        (3, (old,)),
    ]
    for thing in things:
        thing.remove()
    compiled, modules = (machine.folder / "cleaned").read_text().splitlines()
    assert compiled.startswith(f"{machine.folder}/c ")
    assert compiled.endswith(" clean -cache")
    assert modules.endswith(f"{machine.folder}/m clean -modcache")
    assert not old.exists()
    assert locate("packer") is not None


def test_nothing_is_removed_without_being_asked(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    kept = machine.folder / "kept"
    kept.mkdir()
    offer([Cleaning("something", 3 << 30, (kept,))], agreed=False)
    assert kept.exists()
    assert "3.0 GiB  something" in capsys.readouterr().out
    offer([Cleaning("something", 3 << 30, (kept,))], agreed=True)
    assert not kept.exists()


def test_the_command_line_shows_the_error_without_a_traceback(machine: Machine) -> None:
    process = machine.ensure_in_process()
    output, errors = process.communicate(timeout=120)
    assert process.returncode == exit_status(ToolsMissing)
    assert output == ""
    assert errors.startswith("The tool nomad is missing")
    assert "Traceback" not in errors


def test_the_key_changes_with_sources_flags_and_version(tmp_path: Path) -> None:
    text = (FOLDER / "tools.toml").read_text()
    for name in ("packer", "packer-plugin-docker"):
        (tmp_path / name).mkdir()
        for file in ("go.mod", "go.sum"):
            (tmp_path / name / file).write_bytes((FOLDER / name / file).read_bytes())
    original = tools()["packer"].key()
    assert read(text, tmp_path)["packer"].key() == original
    for flags in ('tags = ["x"]', "cgo = true", "portable = false"):
        changed = text.replace('packer", portable = true', f'packer", {flags}')
        assert read(changed, tmp_path)["packer"].key() != original
    assert read(text.replace("1.12.0", "1.12.1"), tmp_path)["packer"].key() != original
    with (tmp_path / "packer" / "go.sum").open("a") as sums:
        sums.write("\n")
    assert read(text, tmp_path)["packer"].key() != original


@pytest.mark.parametrize("name", [*NAMES, *TESTS_ONLY])
def test_the_pinned_version_is_the_one_whose_sources_are_committed(name: str) -> None:
    tool = tools()[name]
    assert tool.pinned in tool.wanted
    assert tool.buildable
    if isinstance(tool.source, GoModule):
        mod = (tool.folder / "go.mod").read_text()
        assert f"tool {tool.source.package}\n" in mod
        # The program may be in a folder of its module.
        modules = re.findall(rf"^require (\S+) v{re.escape(str(tool.pinned))}$", mod, re.MULTILINE)
        (module,) = [module for module in modules if f"{tool.source.package}/".startswith(f"{module}/")]
        assert f"{module} v{tool.pinned} h1:" in (tool.folder / "go.sum").read_text()
    else:
        lock = (tool.folder / "requirements.lock").read_text()
        assert f"{tool.source.distribution}=={tool.pinned} \\\n    --hash=sha256:" in lock
        assert "index-url" not in lock


def test_a_tool_for_tests_is_the_pinned_one_and_built_by_a_task_of_its_own(machine: Machine) -> None:
    assert TESTS_ONLY == ("gitea",)
    assert not set(TESTS_ONLY) & set(NAMES)
    machine.tool("gitea", "1.26.0")
    machine.program("gcc", "#!/bin/sh\n")
    with pytest.raises(ToolsMissing) as caught:
        require("gitea")
    assert "gitea: build 1.26.0 with `doit forge` (needs Go 1.26.2 or later, which comes with it)." in caught.value.hint


def test_what_a_tool_reads_of_its_module_is_put_beside_it(machine: Machine) -> None:
    machine.program("gcc", "#!/bin/sh\n")
    machine.go(builds="1.26.0")
    for name in ("options", "public", "templates", "tests"):
        folder = machine.folder / "module" / name / "deeper"
        folder.mkdir(parents=True)
        (folder / "file").write_text(name)
        (folder / "file").chmod(0o444)
        folder.chmod(0o555)
    beside = ensure(["gitea"], print)["gitea"].parent
    assert sorted(path.name for path in beside.iterdir()) == ["build.json", "gitea", "options", "public", "templates"]
    assert (beside / "options" / "deeper" / "file").read_text() == "options"
    # What is in the cache can be removed.
    shutil.rmtree(beside)


def test_without_a_forge_the_task_says_so_and_goes_on(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    forge()
    said = "".join(capsys.readouterr())
    assert "gitea: build 1.26.0 with `doit forge`" in said
    assert "There is no Gitea: every test that needs a forge will fail." in said


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < limit, "this took too long"
        time.sleep(0.02)
