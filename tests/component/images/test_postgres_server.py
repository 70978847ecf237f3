"""Finding or installing PostgreSQL, with scripts in the place of its programs and of apt-get."""

from collections.abc import Callable
from pathlib import Path

import pytest

from images import postgres_server, system
from images.errors import PackagesMissing, PostgresMissing
from images.postgres_server import ensure_postgres

Put = Callable[[str, str], Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts a shell script into the folder; `bin` is the PATH, on a Debian where we are root."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(postgres_server, "FOLDERS", tmp_path / "lib")
    monkeypatch.setattr(postgres_server, "CLUSTERS", tmp_path / "etc" / "createcluster.conf")
    monkeypatch.setattr(system, "is_root", lambda: True)
    monkeypatch.setattr(system, "is_debian", lambda: True)

    def put_script(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file

    return put_script


def version(number: str) -> str:
    return f"echo 'postgres (PostgreSQL) {number} (Some 1.{number})'"


def test_the_newest_that_debian_keeps_is_used(put: Put, tmp_path: Path) -> None:
    for number in ("9.6", "13", "15", "14"):
        put(f"lib/{number}/bin/postgres", version(f"{number}.4"))
        put(f"lib/{number}/bin/initdb", "")
    found = ensure_postgres(print)
    assert (found.version, found.folder) == ("15.4", tmp_path / "lib" / "15" / "bin")


def test_the_one_on_the_path_comes_first(put: Put, tmp_path: Path) -> None:
    put("lib/16/bin/postgres", version("16.1"))
    put("lib/16/bin/initdb", "")
    put("bin/postgres", version("14.2"))
    put("bin/initdb", "")
    assert ensure_postgres(print).folder == tmp_path / "bin"


def test_one_that_is_too_old_or_not_whole_is_passed_over(put: Put, tmp_path: Path) -> None:
    put("bin/postgres", version("13.9"))
    put("bin/initdb", "")
    put("lib/17/bin/postgres", version("17.0"))
    put("lib/15/bin/postgres", version("15.1"))
    put("lib/15/bin/initdb", "")
    assert ensure_postgres(print).folder == tmp_path / "lib" / "15" / "bin"


def test_on_debian_root_gets_it_installed_and_no_database_started(put: Put, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    folder = tmp_path / "lib" / "15" / "bin"
    put("bin/dpkg-query", "exit 1")
    make = (
        f"/bin/mkdir -p {folder}\n"
        f"printf '#!/bin/sh\\necho postgres \"(PostgreSQL)\" 15.1\\n' >{folder}/postgres\n: >{folder}/initdb\n"
        f"/bin/chmod +x {folder}/postgres {folder}/initdb"
    )
    put("bin/apt-get", f'echo "$@" >>{packages}\ncase "$@" in *install*) {make} ;; esac')
    assert ensure_postgres(print).version == "15.1"
    assert packages.read_text().splitlines()[-1].endswith(" postgresql")
    assert "create_main_cluster = false" in (tmp_path / "etc" / "createcluster.conf").read_text()


def test_what_somebody_decided_about_databases_stays(put: Put, tmp_path: Path) -> None:
    decided = tmp_path / "etc" / "createcluster.conf"
    decided.parent.mkdir()
    decided.write_text("create_main_cluster = true\n")
    put("bin/dpkg-query", "exit 1")
    put("bin/apt-get", "echo 'E: Unable to locate package postgresql'; exit 100")
    with pytest.raises(PackagesMissing, match="installing postgresql failed"):
        ensure_postgres(print)
    assert decided.read_text() == "create_main_cluster = true\n"


@pytest.mark.parametrize("fact", ["is_root", "is_debian"])
def test_elsewhere_one_sentence_says_what_to_do(put: Put, monkeypatch: pytest.MonkeyPatch, fact: str) -> None:
    monkeypatch.setattr(system, fact, lambda: False)
    put("bin/apt-get", "echo should not run; exit 1")
    with pytest.raises(PostgresMissing, match="no PostgreSQL 14 or later") as caught:
        ensure_postgres(print)
    assert "apt-get install postgresql" in caught.value.hint
