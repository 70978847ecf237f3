"""`template new --from`: each template that one can begin with is whole, named as asked for, and without faults."""

from pathlib import Path

import pytest

from environments.bootstrap.providers import STEP_KINDS
from environments.cli.starters import STARTERS
from environments.client.bundles import read_bundle
from environments.domain.timing import TimedAction
from environments.service.inspecting import template_faults
from tests.support.command_line import CommandLine


@pytest.mark.parametrize("starter", STARTERS)
def test_a_template_begins_with_another_one(cli: CommandLine, tmp_path: Path, starter: str) -> None:
    folder = tmp_path / "mine"
    made = cli("template", "new", str(folder), "--from", starter, "-o", "json").json
    assert made["name"] == "mine"
    assert set(made["files"]) == {str(path) for path in folder.rglob("*") if path.is_file()}
    bundle = read_bundle(folder)
    assert bundle.template().name == "mine"
    assert [*map(str, template_faults(bundle, STEP_KINDS))] == []
    assert starter in cli("template", "new", "--help").out


def test_what_a_template_cannot_begin_with_is_named(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    refused = cli("template", "new", str(folder), "--from", "stak")
    assert refused.status == 2
    assert "stack" in refused.err
    assert "There are: page, stack, module." in refused.err
    assert not folder.exists()


@pytest.mark.parametrize("starter", ["stack", "module"])
def test_the_teaching_ones_are_stopped_and_started_by_the_calendar(
    cli: CommandLine, tmp_path: Path, starter: str
) -> None:
    folder = tmp_path / "mine"
    assert cli("template", "new", str(folder), "--from", starter).status == 0
    lifetime = read_bundle(folder).template().lifetime
    assert {action for action, _, _ in lifetime.rules()} == {TimedAction.STOP, TimedAction.START}
    assert lifetime.warn
