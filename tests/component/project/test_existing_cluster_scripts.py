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


def fill(folder: Path, bao: str) -> "subprocess.CompletedProcess[str]":
    """`fill.sh` for a file that needs the authority of the parts, with `bao` in place of OpenBao's program."""
    program = folder / "bao"
    program.write_text(f"#!/bin/sh\n{bao}\n")
    program.chmod(0o755)
    (folder / "edge.vars.hcl").write_text('parts_ca = "PARTS_CA"\n')
    addresses = dict.fromkeys(("NOMAD_ADDR", "CONSUL_HTTP_ADDR", "BAO_ADDR"), "https://127.0.0.1:1")
    return subprocess.run(
        [FOLDER / "fill.sh", "edge.vars.hcl"],
        env={"PATH": f"{folder}:/usr/bin:/bin", **addresses},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_authority_of_the_parts_is_filled_in(tmp_path: Path) -> None:
    done = fill(tmp_path, r"printf 'one\ntwo\n'")
    assert (done.returncode, done.stdout) == (0, 'parts_ca = "one\\ntwo\\n"\n')


def test_an_authority_that_openbao_does_not_tell_ends_the_script(tmp_path: Path) -> None:
    """Empty, it would mean that the service behind the edge has no TLS."""
    done = fill(tmp_path, 'echo "permission denied" >&2; exit 2')
    assert (done.returncode, done.stdout) == (2, "")
    assert "permission denied" in done.stderr
