"""`make` on machines that lack something, and on one where nothing is left to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from images.places import CHECKOUT

FILES = ("Makefile", "pyproject.toml", "requirements.lock")
PROGRAMS = ("sh", "cat", "cksum", "awk", "grep", "id", "rm")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that `make` reads, and a `bin` with the programs that every Debian has."""
    for name in FILES:
        shutil.copy(CHECKOUT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    for name in PROGRAMS:
        program = shutil.which(name)
        assert program is not None
        (tmp_path / "bin" / name).symlink_to(program)
    return tmp_path


def script(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def make(checkout: Path, *goals: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("make")
    assert program is not None
    # Neither variables of an outer make nor of this machine.
    env = {"PATH": str(checkout / "bin"), "HOME": str(checkout)}
    return subprocess.run(
        [program, *goals], cwd=checkout, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_without_a_goal_it_says_what_there_is(checkout: Path) -> None:
    said = make(checkout).stdout
    assert "make deploy" in said
    assert "make test" in said


@pytest.mark.parametrize("python", [None, "exit 1"])
def test_a_missing_or_old_python_is_said_in_a_sentence(checkout: Path, python: str | None) -> None:
    if python:
        script(checkout / "bin" / "python3", python)
    ended = make(checkout, "deploy")
    assert ended.returncode
    assert ended.stderr.startswith("There is no Python 3.11 or later on the PATH.\nInstall one; on Debian 12: apt-get")
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_said(checkout: Path) -> None:
    script(checkout / "bin" / "python3", 'case "$2" in *ensurepip*) exit 1 ;; esac')
    ended = make(checkout, "test")
    assert ended.returncode
    assert "python3 lacks its modules venv and ensurepip.\nInstall them; on Debian, as root:" in ended.stderr


def test_on_debian_root_gets_venv_installed(checkout: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may install packages")
    script(checkout / "bin" / "python3", f'case "$2" in *ensurepip*) [ -e "{checkout}/venv" ] ;; *) exit 0 ;; esac')
    script(
        checkout / "bin" / "apt-get",
        f'case "$*" in *"install --no-install-recommends python3-venv") : >"{checkout}/venv" ;; esac',
    )
    ended = make(checkout, "ready")
    assert "Installing python3-venv." in ended.stdout
    assert "lacks its modules" not in ended.stderr


def test_an_unfinished_installation_is_not_taken_for_a_finished_one(checkout: Path) -> None:
    (checkout / "bin" / "python3").symlink_to(sys.executable)
    script(checkout / ".venv" / "bin" / "python", 'case "$*" in *-r*) echo no network >&2; exit 1 ;; esac')
    (checkout / ".venv" / "pyvenv.cfg").write_text(f"command = python3 -m venv {checkout}/.venv\n")
    ended = make(checkout, "deploy")
    assert ended.returncode
    assert "no network\nInstalling the dependencies failed." in ended.stderr
    assert not (checkout / ".venv" / "installed").exists()


def test_what_is_installed_is_left_alone_until_a_lock_changes(checkout: Path) -> None:
    (checkout / "bin" / "python3").symlink_to(sys.executable)
    script(checkout / ".venv" / "bin" / "python", f'[ "$1" = -c ] || echo "$@" >>"{checkout}/pip"')
    (checkout / ".venv" / "pyvenv.cfg").write_text(f"command = python3 -m venv {checkout}/.venv\n")
    script(checkout / ".venv" / "bin" / "doit", 'echo "doit $*"')
    first = make(checkout, "deploy")
    assert first.stdout.endswith("\ndoit deploy\n"), first.stderr
    builders, locked, project = (checkout / "pip").read_text().splitlines()
    assert "--require-hashes -r .venv/builders.lock" in builders
    assert "--require-hashes --no-build-isolation -r requirements.lock" in locked
    assert "--no-index --no-build-isolation -e ." in project
    assert "setuptools==" in (checkout / ".venv" / "builders.lock").read_text()
    assert "doit==" not in (checkout / ".venv" / "builders.lock").read_text()
    assert make(checkout, "test").stdout == "doit test\n"
    assert len((checkout / "pip").read_text().splitlines()) == 3
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    make(checkout, "test")
    assert len((checkout / "pip").read_text().splitlines()) == 6


def test_a_virtual_environment_that_was_moved_is_made_anew(checkout: Path) -> None:
    script(checkout / "bin" / "python3", f'case "$*" in "-m venv .venv") : >"{checkout}/made"; exit 1 ;; esac')
    script(checkout / ".venv" / "bin" / "python", "exit 0")
    (checkout / ".venv" / "pyvenv.cfg").write_text("command = python3 -m venv /elsewhere/.venv\n")
    assert "The virtual environment .venv can't be made." in make(checkout, "ready").stderr
    assert (checkout / "made").exists()
    assert not (checkout / ".venv").exists()


def test_programs_run_where_the_path_means_something_to_a_shell(tmp_path: Path) -> None:
    """As pip writes them where the path of Python has a space in it."""
    checkout = tmp_path / 'it\'s $HOME `x` "q"'
    (checkout / "bin").mkdir(parents=True)
    for name in FILES:
        shutil.copy(CHECKOUT / name, checkout)
    for name in (*PROGRAMS, "sed"):
        (checkout / "bin" / name).symlink_to(str(shutil.which(name)))
    (checkout / "bin" / "python3").symlink_to(sys.executable)
    script(checkout / ".venv" / "bin" / "python", 'case "$1" in -*) ;; *) echo "runs $*" ;; esac')
    (checkout / ".venv" / "pyvenv.cfg").write_text(f"command = python3 -m venv {checkout}/.venv\n")
    python = checkout / ".venv" / "bin" / "python"
    script(checkout / ".venv" / "bin" / "doit", f"""'''exec' "{python}" "$0" "$@"\n' '''""")
    assert make(checkout, "ready").returncode == 0
    program = checkout / ".venv" / "bin" / "doit"
    (tmp_path / "link").symlink_to(program)
    for way in (program, tmp_path / "link"):
        ended = subprocess.run([way, "a b"], capture_output=True, text=True, timeout=60, check=False)
        assert ended.stdout == f"runs {way} a b\n", ended.stderr
