"""What `calvinverse serve` refuses before it listens."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{\n  "consul": {},,\n}', "doesn't hold connections: line 2, column "),
        (
            '{"consul": {"address": "http://127.0.0.1:9"}}',
            "consul.authentication: it is missing",
        ),
        (None, "There is no file "),
    ],
)
def test_a_file_of_connections_that_is_named_must_hold_some(tmp_path: Path, content: str | None, told: str) -> None:
    path = tmp_path / "connections.json"
    if content is not None:
        path.write_text(content)
    ended = subprocess.run(
        [sys.executable, "-m", "environments", "serve", "--port", "0", "--connections", str(path)],
        env={"CALVINVERSE_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (9, "")
    assert told in ended.stderr
    assert str(path) in ended.stderr
    assert "hint: " in ended.stderr
    assert "Traceback" not in ended.stderr
