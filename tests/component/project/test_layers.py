"""That the core really stands alone: importing it loads no web, no terminal, no database and no vendor's client."""

import subprocess
import sys

import pytest

from images.places import CHECKOUT

VENDORS = ("alembic", "consul", "fastapi", "hvac", "nomad", "sqlalchemy", "starlette", "textual", "typer", "uvicorn")

LIST = """
import importlib, pkgutil, sys
names = sys.argv[1:]
for name in names:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), name + "."):
        importlib.import_module(module.name)
print(*sorted({module.partition(".")[0] for module in sys.modules}))
"""


def loaded(*packages: str) -> set[str]:
    command = [sys.executable, "-c", LIST, *packages]
    return set(
        subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=True).stdout.split()
    )


@pytest.mark.parametrize("package", ["environments.domain", "environments.service", "environments.actions"])
def test_the_core_loads_neither_web_nor_terminal_nor_vendors(package: str) -> None:
    assert loaded(package) & {*VENDORS, "tui", "images", "jobs"} == set()


def test_the_client_loads_nothing_of_the_service() -> None:
    assert loaded("environments.client") & {*VENDORS, "tui", "images", "jobs"} == set()


def test_looking_for_tools_loads_no_web_and_no_vendors() -> None:
    assert loaded("images.toolchain") & {*VENDORS, "tui", "jobs"} == set()
