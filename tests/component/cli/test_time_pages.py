"""The commands of the pages about deadlines, working hours and warnings do what the pages say."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from environments.channel_settings import signing_key
from environments.domain.calendar_rule import parse_rule
from environments.domain.lifecycle import State
from environments.domain.template_parts import Lifetime
from environments.service.channels import Channel, Target
from environments.service.cron import rule_fault
from tests.fakes.channels import MemoryChannels
from tests.fakes.service import served
from tests.support.command_line import CommandLine, Result
from tests.support.docs_reference import CHECKOUT

HOLIDAYS = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//test//test\r
BEGIN:VEVENT\r
UID:1\r
SUMMARY:King's Day\r
DTSTART;VALUE=DATE:20270427\r
END:VEVENT\r
END:VCALENDAR\r
"""


class Example(NamedTuple):
    """Lines of one block of a page, or one command in its text."""

    page: str
    lines: tuple[str, ...]


def text(page: str) -> str:
    return (CHECKOUT / "docs" / "how-to" / f"{page}.md").read_text(encoding="utf-8")


def examples() -> Iterator[Example]:
    for page in ("deadlines", "working-hours", "warnings"):
        blocks = re.findall(r"^```sh\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)
        yield from (Example(page, tuple(block.splitlines())) for block in blocks)
        for command in re.findall(r"`(calvinverse [^`]*)`", text(page)):
            if "NAME" not in command and command != "calvinverse doctor":  # tests of doctor have its own page
                yield Example(page, (command,))


EXAMPLES = list(dict.fromkeys(examples()))
COMMANDS = [example for example in EXAMPLES if all(line.startswith("calvinverse ") for line in example.lines)]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[CommandLine]:
    """A service of its own: pages use the same name again and again."""
    channels = MemoryChannels(Target(Channel.EMAIL, "grace@example.net"))
    with served(tmp_path / "service", channels=channels) as api:
        (tmp_path / "token").write_text(api.token)
        monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path / "state"))
        monkeypatch.setenv("CALVINVERSE_ADDRESS", api.address)
        monkeypatch.setenv("CALVINVERSE_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.chdir(tmp_path)
        yield CommandLine(api, capsys)


def act(cli: CommandLine, line: str) -> Result:
    """A line as a person types it, who doesn't wait and says yes. The work is done at once."""
    _, *words = shlex.split(line)
    verb = words[:2]
    if verb in (["env", "create"], ["env", "stop"], ["env", "start"]):
        words.append("--no-wait")
    if verb[0] == "policy" and verb[1] != "list" and "--dry-run" not in words:
        words.append("--yes")
    done = cli(*words)
    if done.status == 0 and verb[0] == "env":
        states = {"create": State.READY, "stop": State.STOPPED, "start": State.READY}
        if verb[1] in states:
            cli.service.finish(words[2], states[verb[1]])
    return done


@pytest.mark.parametrize("example", COMMANDS, ids=lambda example: f"{example.page}: {example.lines[0][12:60]}")
def test_commands_do_what_the_page_says(cli: CommandLine, example: Example, tmp_path: Path) -> None:
    (tmp_path / "holidays.ics").write_text(HOLIDAYS, newline="")
    if any("except nl" in line for line in example.lines):
        assert cli("calendar", "set", "nl", "holidays.ics").status == 0
    if not example.lines[0].startswith("calvinverse env create"):
        assert act(cli, "calvinverse env create demo --template web --ttl 8h").status == 0
    for line in example.lines:
        done = act(cli, line)
        assert done.status == 0, (line, done.err)
        assert done.out or done.err


def test_there_are_examples_of_each_page() -> None:
    assert len(COMMANDS) >= 12
    assert {example.page for example in COMMANDS} == {"deadlines", "working-hours", "warnings"}


@pytest.mark.parametrize("page", ["deadlines", "working-hours"])
def test_rules_of_the_page_can_be_used(page: str) -> None:
    found = re.findall(r"[`\"]((?:[\d*/,-]+ ){4}[\d*/,-]+[^`\"]*)[`\"]", text(page))
    assert found
    assert [(rule, fault) for rule in found if (fault := rule_fault(parse_rule(rule)))] == []


def test_the_lifetime_of_working_hours_is_one() -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```$", text("working-hours"), re.MULTILINE | re.DOTALL)
    lifetime = Lifetime.model_validate(tomllib.loads(example)["lifetime"])
    assert [(action.value, str(rule)) for action, _, rule in lifetime.rules()] == [
        ("stop", "0 19 * * 1-5 Europe/Amsterdam"),
        ("start", "0 8 * * 1-5 Europe/Amsterdam"),
    ]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page uses openssl")
def test_the_secret_that_the_page_makes_signs() -> None:
    (line,) = [line for example in EXAMPLES for line in example.lines if "openssl" in line]
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=True)
    assert len(signing_key(done.stdout.strip())) == 32
