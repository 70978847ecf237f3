"""Parameters are flags of the command line too, so none may have the name of an option there."""

from typing import Any

import pytest
import typer

from environments.cli.program import build
from environments.domain.flags import TAKEN, flag_fault
from environments.domain.template import make_bundle
from environments.service.checking import DirectChecks
from tests.fakes.kinds import AnyKind


def options(*path: str) -> set[str]:
    """The long options of a command, written as parameters are."""
    command: Any = typer.main.get_command(build())
    for name in path:
        command = command.commands[name]
    context = command.make_context(path[-1], [], resilient_parsing=True)
    names = {name for part in command.get_params(context) for name in (*part.opts, *part.secondary_opts)}
    return {name.removeprefix("--").replace("-", "_") for name in names if name.startswith("--")}


def test_the_names_are_those_of_the_commands_that_take_parameters() -> None:
    assert options("env", "create") | options("env", "update") == TAKEN


@pytest.mark.parametrize("name", ["debug", "ttl", "token_file", "no_wait", "Output", "help"])
def test_such_a_parameter_is_refused(name: str) -> None:
    text = f'[template]\nname = "shop"\n[parameters.{name}]\ntype = "string"\n[[steps]]\nname = "a"\nuses = "fake"\n'
    (fault,) = DirectChecks({"fake": AnyKind()}).template("ada", make_bundle({"template.toml": text.encode()}))
    assert f"the parameter {name!r} has the name of an option" in fault.message
    assert f"`--{name.lower().replace('_', '-')}`" in fault.message


@pytest.mark.parametrize("name", ["version", "name", "reason", "owner", "verbose", "plans", "p"])
def test_other_names_are_free(name: str) -> None:
    assert flag_fault(name) is None
