"""doit, the command line and the terminal UI without HOME, in old locales, and with a state that is read-only."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from images.places import CHECKOUT

DOIT, CALVINVERSE = (str(Path(sys.executable).parent / name) for name in ("doit", "calvinverse"))

LIMIT = 300.0
"""Seconds for one program, on a busy machine too."""

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LATIN_1 = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}

QUIT = b"\x11"
_SEQUENCE = re.compile(rb"\x1b\[[0-9;?<=>]*[A-Za-z]")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment without HOME, with a state folder of its own, and where no Docker engine answers."""
    kept = {name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith("CALVINVERSE_")}
    return kept | {
        "CALVINVERSE_STATE": str(tmp_path / "state"),
        "CALVINVERSE_CACHE": str(tmp_path / "cache"),
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "TERM": "xterm-256color",
    }


def _run(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, env=environ, cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT
    )


def test_doit_prints_what_the_locale_has(environ: dict[str, str]) -> None:
    done = _run([DOIT, "status"], environ | ASCII)
    assert (done.returncode, b"Traceback" in done.stdout + done.stderr) == (0, False), done.stderr
    assert re.search(rb"nomad +\? not deployed", done.stdout)


def test_the_command_line_needs_no_home(environ: dict[str, str]) -> None:
    listed = _run([CALVINVERSE, "context", "list"], environ | ASCII)
    assert (listed.returncode, listed.stderr.startswith(b"There is no context.")) == (0, True)


@pytest.mark.parametrize("locale", [ASCII, LATIN_1])
def test_the_terminal_ui_starts_and_ends(environ: dict[str, str], locale: dict[str, str]) -> None:
    """It needs no service to say that nobody is signed in."""
    terminal, inside = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [CALVINVERSE, "tui"], env=environ | locale, cwd=CHECKOUT, stdin=inside, stdout=inside, stderr=inside
    )
    os.close(inside)
    shown, end = b"", time.monotonic() + LIMIT
    try:
        while process.poll() is None and time.monotonic() < end:
            if select.select([terminal], [], [], 1)[0]:
                with suppress(OSError):  # it has ended
                    shown += os.read(terminal, 65536)
            if b"calvinverse login" in _SEQUENCE.sub(b"", shown):
                with suppress(OSError):
                    os.write(terminal, QUIT)
        status = process.poll()
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert status == 0
    assert b"Traceback" not in shown
    shown.decode("ascii" if locale is ASCII else "latin-1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_state_that_can_not_be_written_to_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    """Mounted for reading, in a mount namespace of its own: rights bind everybody but root."""
    state = tmp_path / "state"
    (state / "local").mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    inside = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", mount, str(state)]
    refused = _run([*inside, DOIT, "undeploy", "--force"], environ)
    told = (refused.stdout + refused.stderr).decode()
    assert refused.returncode == 1, told
    assert f"{state / 'deploy.lock'} can't be written: Read-only file system.\nCheck what is there" in told
    assert "Traceback" not in told
    assert [path.name for path in state.iterdir()] == ["local"]
