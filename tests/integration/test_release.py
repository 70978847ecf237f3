"""The proof of a release, on programs that only pretend to be what was installed; `doit release` has the real one."""

from pathlib import Path

import pytest

from images.errors import CommandFailed
from project.proof import Installed

SERVES = """
import http.server, json, os, pathlib, signal, sys
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Ready", (http.server.BaseHTTPRequestHandler,), {
    "do_GET": lambda self: (self.send_response(200), self.end_headers()),
}))
state = pathlib.Path(os.environ["CALVINVERSE_STATE"])
state.mkdir()
signal.signal(signal.SIGTERM, lambda *_: os._exit(int(os.environ.get("ENDS_WITH", "0"))))
(state / "unfinished").write_text(json.dumps({"address": f"http://127.0.0.1:{server.server_port}"}))
(state / "unfinished").rename(state / "context.json")
server.serve_forever()
"""


def pretend(folder: Path, doctor: str = "exit 0", serve: str = 'exec python3 "$0.py"') -> Installed:
    """A virtual environment whose `calvinverse` does this."""
    environment = folder / "environment"
    template = environment / "lib" / "python3" / "site-packages" / "environments" / "templates" / "web"
    template.mkdir(parents=True)
    (template / "template.toml").touch()
    program = environment / "bin" / "calvinverse"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase "$1" in\n  --version) echo 7.1.0 ;;\n  serve) {serve} ;;\n  doctor) {doctor} ;;\n'
        '  template) [ -f "$3/template.toml" ] ;;\nesac\n'
    )
    program.chmod(0o755)
    program.with_name("calvinverse.py").write_text(SERVES)
    return Installed(environment, folder / "home")


def test_what_serves_and_ends_is_proven(tmp_path: Path) -> None:
    said: list[str] = []
    pretend(tmp_path).prove("7.1.0", said.append)
    assert len(said) == 1
    assert said[0].startswith("7.1.0 served at http://127.0.0.1:")
    assert said[0].endswith(", passed `doctor`, found web valid, and ended.")


def test_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"says 7\.1\.0 and not 7\.2\.0"):
        pretend(tmp_path).prove("7.2.0", print)


def test_a_command_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="`calvinverse doctor` failed in an empty virtual environment") as failed:
        pretend(tmp_path, doctor="echo the disk is full; exit 9").prove("7.1.0", print)
    assert "the disk is full" in failed.value.hint


def test_a_service_that_does_not_start_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="`calvinverse serve` isn't ready") as failed:
        pretend(tmp_path, serve="echo no module named fastapi; exit 1").prove("7.1.0", print)
    assert "no module named fastapi" in failed.value.hint


def test_a_service_that_ends_badly_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="`calvinverse serve` ended with status 3"):
        pretend(tmp_path, serve='ENDS_WITH=3 exec python3 "$0.py"').prove("7.1.0", print)
