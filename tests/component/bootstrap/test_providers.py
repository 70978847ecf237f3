"""What is loaded with the step kinds of the providers."""

import subprocess
import sys

VENDORS_LIBRARIES = ("consul", "hvac", "nomad", "requests", "httpx2", "cryptography", "sqlalchemy")


def test_step_kinds_can_be_loaded_without_any_library_of_a_vendor() -> None:
    loaded = "import sys, environments.bootstrap.providers; print(*sys.modules, sep='\\n')"
    ended = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=120)
    assert not {name.partition(".")[0] for name in ended.stdout.split()} & {*VENDORS_LIBRARIES}
