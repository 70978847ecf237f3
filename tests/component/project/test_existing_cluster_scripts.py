"""The scripts for a cluster that deploy doesn't start."""

import subprocess
from pathlib import Path

from images.places import CHECKOUT

FOLDER = CHECKOUT / "jobs" / "existing_cluster"

BAO = """\
#!/bin/sh
case "$*" in
  write*) echo abcdefgh ;;
  "kv metadata get"*) echo "permission denied" >&2; exit 2 ;;
  "kv put -cas=0 "*) echo "check-and-set parameter did not match the current version" >&2; exit 2 ;;
esac
"""
"""OpenBao's program with a token that may write secrets and not see which there are, and a secret that is there."""


def test_a_secret_that_the_token_does_not_see_is_not_replaced(tmp_path: Path) -> None:
    program = tmp_path / "bao"
    program.write_text(BAO)
    program.chmod(0o755)
    done = subprocess.run(
        [FOLDER / "secrets.sh", "ada"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "check-and-set" in done.stderr
    assert "was made" not in done.stdout
