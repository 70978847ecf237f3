"""The actions of the task graph that have to do with the meta environment."""

import os

from images import builder
from images.report import console
from images.toolchain import require
from jobs.deploy import Wish
from jobs.deploy import deploy as make
from jobs.places import places
from jobs.status import look, table
from jobs.undeploy import undeploy as remove


def deploy(consul: str = "", openbao: str = "", nomad: str = "") -> None:
    """Make or repair the meta environment and say how to go on."""
    report = console()
    where = places()
    existing = {
        name: address for name, address in (("consul", consul), ("openbao", openbao), ("nomad", nomad)) if address
    }
    wish = Wish(builder.good_reference("provisioning"), require("consul", "bao", "nomad"), existing)
    done = make(where, wish, report)
    report(f"Calvinverse {done.info.version} runs at {done.context.address}, and its state is kept in {where.state}.")
    for part, address in sorted(done.info.parts.items()):
        report(f"  {part}: {address}")
    report(
        f"Open the TUI with `{_command()} tui`; make a first environment with `{_command()} env create demo --template web`."
    )


def status() -> None:
    """Show what runs, where, in which version, and how healthy."""
    print(table(look(places())))


def undeploy(destroy_environments: bool = False, force: bool = False) -> None:
    """Remove everything that deploy made."""
    report = console()
    if remove(places(), report, destroy_environments=destroy_environments, force=force):
        report(
            "Everything that deploy made is gone. Built images and tools stay; `doit tidy` and `docker rmi` remove them."
        )
    else:
        report("Nothing is deployed from here.")


def _command() -> str:
    """How the user calls the command line from where they are."""
    return ".venv/bin/calvinverse" if os.path.exists(".venv/bin/calvinverse") else "calvinverse"
