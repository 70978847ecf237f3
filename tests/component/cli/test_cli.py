"""The command line against the real API: data, talk, exit statuses, and nothing lost when it is interrupted."""

import _thread
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from environments.cli import environments_reading
from environments.cli.events import stored_events
from environments.cli.failures import BROKEN_PIPE, DEPLOYMENT_FAILED
from environments.client import Client
from environments.context import Context, write_context
from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Event, Failure
from environments.domain.errors import CalvinverseError, Interrupted, StepFailed, StepTimeout, all_errors
from environments.domain.lifecycle import State, StepState
from environments.domain.template import make_bundle
from environments.exit_statuses import exit_status
from environments.private_files import write_private
from tests.fakes.service import FakeService
from tests.support.command_line import CommandLine
from tests.support.service_process import free_port

URL = "https://127.0.0.1:20001"
PROGRAM = (sys.executable, "-c", "from environments.cli import main; main()")


def beside(act: Callable[[], None]) -> threading.Thread:
    """Does something while a command runs; if that fails, the command is interrupted instead of waiting for ever."""

    def run_it() -> None:
        try:
            act()
        except BaseException:
            _thread.interrupt_main()
            raise

    thread = threading.Thread(target=run_it)
    thread.start()
    return thread


def until(condition: Callable[[], object]) -> None:
    """Waits until something holds."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def exists(service: FakeService, name: str) -> bool:
    """Whether there is an environment of that name."""
    with service.database.read() as tx:
        return tx.environments.named(name) is not None


def deploy(service: FakeService, name: str) -> None:
    """What an engine would do."""
    until(lambda: exists(service, name))
    service.step(name, "settings", StepState.RUNNING)
    service.step(name, "settings", StepState.DONE)
    service.step(name, "app", StepState.RUNNING)
    service.log(name, "pulling the \x1b[31mimage")
    service.step(name, "app", StepState.DONE)
    reference = service.keep_secret(name, "p", "p", "hunter2")
    service.outputs(name, {"url": {"value": URL}, "password": {"value": reference, "secret": True}})
    service.finish(name, State.READY)


def test_help_waits_for_nothing_heavy() -> None:
    code = (
        "import sys; from environments.cli.program import run; run(['--help']);"
        "heavy = {'pydantic', 'httpx2', 'rich', 'textual', 'sqlalchemy', 'fastapi', 'environments.bootstrap'};"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", all_errors(), ids=lambda cls: cls.__name__)
def test_every_error_is_told_once_and_has_its_exit_status(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, cls: type[CalvinverseError]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise cls("It is \x1b[31mso.", hint="Do this.")

    monkeypatch.setattr(Client, "environments", fail)
    result = cli("env", "list")
    assert result.status == exit_status(cls) != 0
    assert result.out == ""
    assert result.err == f"error: It is �[31mso.  [{cls.code}]\nhint:  Do this.\n"
    as_json = cli("env", "list", "-o", "json")
    assert as_json.status == exit_status(cls)
    assert json.loads(as_json.err)["error"]["code"] == cls.code


def test_what_nobody_foresaw_shows_no_traceback_unless_asked(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(Client, "environments", fail)
    result = cli("env", "list")
    assert result.status == 1
    assert "ZeroDivisionError" in result.err
    assert "Traceback" not in result.err
    assert "--debug" in result.err
    assert "cause: ZeroDivisionError: inside  at " in cli("env", "list", "--debug").err


def test_a_service_that_is_not_there(cli: CommandLine) -> None:
    result = cli("env", "list", "--address", "http://127.0.0.1:9")
    assert result.status == 7
    assert "http://127.0.0.1:9" in result.err
    assert "[service_unavailable]" in result.err


def test_no_token_and_a_bad_one(cli: CommandLine, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("cv_unknown-to-everybody")
    for file in (bad, tmp_path / "none"):
        result = cli("env", "list", "--token-file", str(file))
        assert result.status == 5
        assert "[unauthenticated]" in result.err


@pytest.mark.parametrize(
    "arguments",
    [["bogus"], ["env", "bogus"], ["env", "list", "--bogus"], ["env", "show"], ["-o", "yaml", "env", "list"]],
)
def test_usage_errors_name_the_help(cli: CommandLine, arguments: list[str]) -> None:
    result = cli(*arguments)
    assert result.status == 2
    assert result.out == ""
    assert "hint:  See `calvinverse" in result.err
    assert result.err.count("\n") == 2


@pytest.mark.parametrize("wanted", [["-o", "json"], ["--output", "json"], ["--output=json"], ["-ojson"]])
def test_usage_errors_are_json_where_that_is_wanted(cli: CommandLine, wanted: list[str]) -> None:
    for arguments in (["env", "list", "--bogus", *wanted], [*wanted, "env", "bogus"], ["env", "show", *wanted]):
        result = cli(*arguments)
        assert (result.status, result.out) == (2, "")
        told = json.loads(result.err)["error"]
        assert told["code"] == "invalid_input"
        assert told["hint"].startswith("See `calvinverse")
    assert cli(*wanted, "env", "list", "--bogus", "-o", "table").err.startswith("error: ")


def test_a_group_without_a_command_shows_its_help(cli: CommandLine) -> None:
    for arguments in ([], ["env"], ["template"]):
        result = cli(*arguments)
        assert result.status == 2
        assert "Commands:" in result.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("env creat x", "No such command 'creat'. Did you mean 'create'?"),
        ("evn list", "No such command 'evn'. Did you mean 'env'?"),
        ("list", "No such command 'list'. Did you mean 'env list', 'hold list' or 'trigger list'?"),
        ("destroy demo", "No such command 'destroy'. Did you mean 'env destroy'?"),
        ("frobnicate", "No such command 'frobnicate'."),
        ("env list --owners a", "No such option '--owners'. Did you mean '--owner'?"),
        ("env list --state failed", "No such option '--state'."),
        ("env list -o yaml", "Invalid value for '--output' / '-o': 'yaml' is not one of 'table', 'json'."),
        ("env list --limit x", "Invalid value for '--limit': it has to be a whole number."),
        ("env list --limit 0", "Invalid value for '--limit': it has to be at least 1."),
        ("env create a -t web --tll 2h", "there is no parameter 'tll' (did you mean '--ttl'?)."),
        ("env create a -t web --replica 2", "there is no parameter 'replica' (did you mean 'replicas'?)."),
        ("env create a -t web -p replica=2", "there is no parameter 'replica' (did you mean 'replicas'?)."),
        ("--address foo env list", "'foo' is not the address of a service: it has no scheme."),
        ("image show no-such-image", "There is no image 'no-such-image'."),
        ("image show wbe", "There is no image 'wbe'. Did you mean 'web'?"),
        ("image verify provisoning", "There is no image 'provisoning'. Did you mean 'provisioning'?"),
        ("image publish wbe", "There is no image 'wbe'. Did you mean 'web'?"),
        ("image promote wbe --undo", "There is no image 'wbe'. Did you mean 'web'?"),
    ],
)
def test_what_may_have_been_meant_is_suggested(cli: CommandLine, line: str, said: str) -> None:
    result = cli(*line.split())
    assert result.status == (3 if line.startswith("image") else 2)
    assert result.err.startswith("error: ")
    assert f"{said}  [" in result.err


def test_an_image_that_was_not_built_here_is_no_unknown_one(cli: CommandLine) -> None:
    for arguments in (["show", "web"], ["diff", "web"], ["publish", "web"], ["verify", "web"], ["sign", "web"]):
        result = cli("image", *arguments)
        assert result.status == 9
        assert (
            "The image web has not been built yet.  [image_not_built]\nhint:  Make it with `doit build:web`."
            in result.err
        )


# --- environments -----------------------------------------------------------------------------------------------------


def test_create_waits_and_shows_how_it_goes(cli: CommandLine) -> None:
    engine = beside(lambda: deploy(cli.service, "made"))
    result = cli("env", "create", "made", "--template", "web", "-p", "replicas=2", "--message", "hi", "--ttl", "2h")
    engine.join()
    assert result.status == 0, result.err
    assert f"url       {URL}" in result.out
    assert "••••••••" in result.out
    assert "made will be destroyed at 2" in result.err
    assert re.search(r"\(Europe/Berlin\), in (2h00m|1h59m): root set this deadline\.", result.err)
    for line in ("✓ settings  done", "✓ app       done", "    app: pulling the �[31mimage"):
        assert line in result.err
    assert result.err.endswith(f"made is ready. It answers at {URL}. Next: `calvinverse env outputs made`.\n")
    shown = cli("-o", "json", "env", "show", "made").json
    assert shown["parameters"] == {"replicas": 2, "message": "hi", "verbose": False}
    assert shown == cli("env", "show", "made", "-o", "json").json


def test_create_fails_with_what_the_deployment_failed_with(cli: CommandLine) -> None:
    failure = Failure(code="invalid_job", message="The job is sick.", hint="Mend it.", step="app")

    def engine() -> None:
        until(lambda: exists(cli.service, "sick"))
        cli.service.step("sick", "app", StepState.RUNNING)
        cli.service.step("sick", "app", StepState.FAILED, failure=failure)
        cli.service.finish("sick", State.FAILED, failure)

    thread = beside(engine)
    result = cli("env", "create", "sick", "-t", "web")
    thread.join()
    assert result.status == DEPLOYMENT_FAILED
    assert "✗ app       failed  The job is sick." in result.err
    assert result.err.endswith("error: Step 'app': The job is sick.  [invalid_job]\nhint:  Mend it.\n")
    assert "Next: `calvinverse env retry sick` retries, `calvinverse env destroy sick` removes it." in result.err
    assert "✗ failed" in cli("env", "show", "sick").out
    assert cli("env", "watch", "sick").status == DEPLOYMENT_FAILED
    told = json.loads(cli("env", "watch", "sick", "-o", "json").err.splitlines()[-1])["error"]
    assert (told["code"], told["details"]["step"]) == ("invalid_job", "app")
    assert told["details"]["deployment"].startswith("dep-")


def test_a_failed_deployment_differs_from_a_request_that_made_nothing(cli: CommandLine) -> None:
    """Whatever it failed with: also with what a request may be refused for."""
    for number, cls in enumerate(all_errors()):
        name = f"fails-{number}"
        cli.service.requests.create(cli.service.admin, CreateEnvironment(name=name, template="web"))
        cli.service.finish(name, State.FAILED, Failure(code=cls.code, message="It failed."))
        assert cli("env", "watch", name).status == DEPLOYMENT_FAILED
    assert {cls for cls in all_errors() if exit_status(cls) == DEPLOYMENT_FAILED} <= {StepFailed, StepTimeout}


def test_no_line_of_the_log_is_lost_when_a_deployment_ends_at_once(cli: CommandLine) -> None:
    failure = Failure(code="step_failed", message="It ended.", step="app")

    def engine() -> None:
        until(lambda: exists(cli.service, "quick"))
        cli.service.log("quick", *(f"line {number}" for number in range(1200)))
        cli.service.finish("quick", State.FAILED, failure)

    thread = beside(engine)
    result = cli("env", "create", "quick", "-t", "web")
    thread.join()
    assert [line for line in result.err.splitlines() if "app: line" in line] == [
        f"    app: line {number}" for number in range(1200)
    ]


def test_what_a_step_logs_is_told_before_its_end_however_fast_it_goes(cli: CommandLine) -> None:
    def engine() -> None:
        until(lambda: exists(cli.service, "fast"))
        for step in ("settings", "app"):
            cli.service.step("fast", step, StepState.RUNNING)
            for number in range(20):
                cli.service.log("fast", f"line {number}", step=step)
            cli.service.step("fast", step, StepState.DONE)
        cli.service.finish("fast", State.READY)

    thread = beside(engine)
    created = cli("env", "create", "fast", "-t", "web").err.splitlines()
    thread.join()
    told = [line.strip() for line in created if line.startswith("  ")]
    expected = []
    for step in ("settings", "app"):
        expected += [f"◐ {step}", *(f"{step}: line {number}" for number in range(20)), f"✓ {step}"]
    assert [line.partition("  ")[0].strip() for line in told] == expected


def test_a_destroy_that_wins_is_told_by_the_create_that_lost(cli: CommandLine) -> None:
    def other() -> None:
        until(lambda: exists(cli.service, "lost"))
        with cli.api.client() as client:
            client.destroy("lost")

    thread = beside(other)
    result = cli("env", "create", "lost", "-t", "web")
    thread.join()
    assert result.status == exit_status(Interrupted)
    assert "[superseded]" in result.err


def test_create_does_not_wait_when_told(cli: CommandLine) -> None:
    result = cli("env", "create", "later", "-t", "web", "--until", "2026-12-01T18:00", "--no-wait", "-o", "json")
    assert result.status == 0
    assert result.json["state"] == "requested"
    assert result.json["deadline"] == "2026-12-01T17:00:00Z"
    assert "later will be destroyed at 2026-12-01 18:00:00 CET (Europe/Berlin)" in result.err


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["no--good", "-t", "web"], 2, "invalid_name"),
        (["x" * 41, "-t", "web"], 2, "invalid_name"),
        (["fine", "-t", "nope"], 3, "unknown_template"),
        (["fine", "-t", "nope", "-p", "a=1"], 3, "unknown_template"),
        (["fine", "-t", "x" * 2000], 2, "invalid_input"),
        (["fine", "-t", "web", "-p", "replicas=21"], 2, "invalid_parameters"),
        (["fine", "-t", "web", "-p", "replicas=two"], 2, "invalid_parameters"),
        (["fine", "-t", "web", "--surprise", "1"], 2, "invalid_parameters"),
        (["fine", "-t", "web", "--ttl", "15d"], 2, "invalid_lifetime"),
        (["fine", "-t", "web", "--ttl", "soon"], 2, "invalid_lifetime"),
        (["fine", "-t", "web", "--until", "2020-01-01"], 2, "invalid_lifetime"),
        (["--message", "fine", "-t", "web"], 2, "invalid_input"),
        (["fine"], 2, "invalid_input"),
    ],
)
def test_requests_that_make_no_sense(cli: CommandLine, arguments: list[str], status: int, code: str) -> None:
    result = cli("env", "create", *arguments, "--no-wait")
    assert (result.status, result.out) == (status, "")
    assert f"[{code}]" in result.err
    assert not exists(cli.service, "fine")


def test_a_name_that_is_taken(cli: CommandLine) -> None:
    cli("env", "create", "taken", "-t", "web", "--no-wait")
    result = cli("env", "create", "taken", "-t", "web", "--no-wait")
    assert result.status == 4
    assert "[name_taken]" in result.err


def test_list_shows_state_and_time_left(cli: CommandLine) -> None:
    cli("env", "create", "listed", "-t", "web", "--ttl", "3h", "--no-wait")
    table = cli("env", "list")
    head, *rows = table.out.splitlines()
    assert head.split() == ["NAME", "STATE", "TEMPLATE", "OWNER", "ROLE", "AGE", "LEFT"]
    row = next(line for line in rows if line.startswith("listed "))
    assert row.split()[1:5] == ["◌", "requested", "web", "root"]
    assert row.endswith(("3h00m", "2h59m"))  # on a busy machine half a minute has passed
    assert "listed" in {view["name"] for view in cli("env", "list", "-o", "json").json}
    assert all("outputs" not in view for view in cli("env", "list", "-o", "json").json)
    assert all("outputs" in view for view in cli("env", "list", "--outputs", "-o", "json").json)
    empty = cli("env", "list", "--owner", "nobody")
    assert (empty.status, empty.out.count("\n")) == (0, 1)
    assert "There are no environments of nobody that you may see." in empty.err


def test_outputs_hide_secrets_until_they_are_revealed(cli: CommandLine) -> None:
    cli("env", "create", "secretive", "-t", "web", "--no-wait")
    assert "no outputs" in cli("env", "outputs", "secretive").err
    deploy(cli.service, "secretive")
    assert "hunter2" not in cli("env", "outputs", "secretive").out
    assert "hunter2" not in cli("env", "outputs", "secretive", "-o", "json").out
    assert "password  hunter2" in cli("env", "outputs", "secretive", "--reveal").out
    assert cli("env", "outputs", "secretive", "password", "--reveal").out == "hunter2\n"
    assert cli("env", "outputs", "secretive", "url").out == f"{URL}\n"
    missing = cli("env", "outputs", "secretive", "ulr")
    assert missing.status == 3
    assert "has no output 'ulr'. Did you mean 'url'?" in missing.err
    assert "url, password" in missing.err


def test_logs_by_step_and_tail(cli: CommandLine) -> None:
    cli("env", "create", "wordy", "-t", "web", "--no-wait")
    cli.service.log("wordy", "one", "two", "three")
    cli.service.log("wordy", "four", step="settings")
    assert [line.split(" ", 1)[1] for line in cli("env", "logs", "wordy").out.splitlines()] == [
        "app: one",
        "app: two",
        "app: three",
        "settings: four",
    ]
    assert cli("env", "logs", "wordy", "--step", "settings").out.endswith("settings: four\n")
    assert cli("env", "logs", "wordy", "-n", "1", "--step", "app").out.endswith("app: three\n")
    unknown = cli("env", "logs", "wordy", "--step", "setings")
    assert (unknown.status, unknown.out) == (3, "")
    assert "The environment 'wordy' has no step 'setings'. Did you mean 'settings'?" in unknown.err
    assert "hint:  It has: settings, app." in unknown.err
    lines = cli("env", "logs", "wordy", "-o", "json").out.splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["one", "two", "three", "four"]


def test_logs_are_followed_until_the_environment_is_gone(cli: CommandLine) -> None:
    cli("env", "create", "followed", "-t", "web", "--no-wait")
    cli.service.log("followed", "before")

    def engine() -> None:
        time.sleep(0.5)
        cli.service.log("followed", "after")
        cli.service.move("followed", State.DESTROYING, State.DESTROYED)

    thread = beside(engine)
    result = cli("env", "logs", "followed", "-f")
    thread.join()
    assert result.status == 0
    assert [line.rpartition(" ")[2] for line in result.out.splitlines()] == ["before", "after"]


def test_logs_of_what_is_gone_are_not_followed(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it was gone before, or went while what had been stored was read."""
    cli("env", "create", "gone", "-t", "web", "--no-wait")
    cli.service.log("gone", "last words")

    def slow(*arguments: Any) -> Iterator[Event]:
        cli.service.move("gone", State.DESTROYING, State.DESTROYED)
        return stored_events(*arguments)

    monkeypatch.setattr(environments_reading, "stored_events", slow)
    monkeypatch.setattr(environments_reading, "_live", lambda *_: pytest.fail("it waits for ever"))
    identity = cli("env", "show", "gone", "-o", "json").json["id"]
    while_read = cli("env", "logs", "gone", "-f")
    assert (while_read.status, while_read.out.rpartition(" ")[2]) == (0, "words\n")
    monkeypatch.setattr(environments_reading, "stored_events", stored_events)
    afterwards = cli("env", "logs", f"id:{identity}", "-f")
    assert (afterwards.status, afterwards.out) == (0, while_read.out)


def test_watch_ends_with_the_deployment(cli: CommandLine) -> None:
    cli("env", "create", "watched", "-t", "web", "--no-wait")
    engine = beside(lambda: deploy(cli.service, "watched"))
    result = cli("env", "watch", "watched", "-o", "json")
    engine.join()
    assert result.status == 0
    types = [json.loads(line)["type"] for line in result.out.splitlines()]
    assert types[0] == "environment.requested"
    assert "step.state" in types
    assert "No deployment is running" in cli("env", "watch", "watched").err


def test_extend_shows_the_new_deadline(cli: CommandLine) -> None:
    cli("env", "create", "longer", "-t", "web", "--ttl", "1h", "--no-wait")
    said = cli("env", "extend", "longer", "2h").out
    # On a busy machine half a minute has passed.
    assert "in 3h00m: root set this deadline." in said or "in 2h59m: root set this deadline." in said
    assert "in 30m: root set this deadline." in cli("env", "extend", "longer", "--ttl", "30m").out
    for arguments in ([], ["1h", "--ttl", "1h"], ["20d"], ["soon"]):
        assert cli("env", "extend", "longer", *arguments).status == 2


def test_a_rule_of_the_calendar_is_explained_in_the_readers_zone_and_in_utc(cli: CommandLine) -> None:
    rule = "0 3 1 1 * Asia/Tokyo"
    before = cli("env", "rule", "add", "nowhere", rule, "--dry-run").out.splitlines()
    assert before[0] == "NEXT MOMENTS"
    assert len(before) == 6
    made = cli("env", "create", "ruled", "-t", "web", "--ttl", "13d", "--destroy-at", "0 19 * * *", "--no-wait")
    assert "rule '0 19 * * * UTC', set by root" in made.err
    out = cli("env", "explain", "ruled").out.splitlines()
    assert out[0].split() == ["WHEN", "IN", "UTC", "IN", "WHAT", "WHY"]
    assert "its owner is warned" in out[1]
    assert "19:00 UTC" in out[2]
    assert "is destroyed" in out[2]
    assert "rule '0 19 * * * UTC', set by root" in out[2]
    assert out[3].startswith("Zone database: ")
    plan = cli("env", "create", "planned", "-t", "web", "--destroy-at", rule, "--plan", "-o", "json").json["id"]
    assert cli("plan", "apply", plan, "--no-wait").status == 0
    assert cli("env", "show", "planned", "-o", "json").json["rules"][0]["rule"] == rule
    hours = ["--stop-at", "0 19 * * 1-5", "--stop-at", "0 12 * * 6", "--start-at", "0 8 * * 1-5"]
    assert cli("env", "create", "resting", "-t", "web", "--ttl", "13d", *hours, "--no-wait").status == 0
    resting = cli("env", "show", "resting", "-o", "json").json
    assert [(one["action"], one["rule"], one["by"]) for one in resting["rules"]] == [
        ("stop", "0 19 * * 1-5 UTC", "root"),
        ("stop", "0 12 * * 6 UTC", "root"),
        ("start", "0 8 * * 1-5 UTC", "root"),
    ]
    assert resting["switch_at"] is not None
    plan = cli("env", "create", "resting-later", "-t", "web", *hours, "--plan", "-o", "json").json["id"]
    assert cli("plan", "apply", plan, "--no-wait").status == 0
    later = cli("env", "show", "resting-later", "-o", "json").json["rules"]
    assert [rule["action"] for rule in later] == ["stop", "stop", "start"]
    wrong = cli("env", "create", "wrong", "-t", "web", "--stop-at", "at seven")
    assert wrong.status == 2
    wrong = cli("env", "create", "wrong", "-t", "web", "--destroy-at", "at seven")
    assert wrong.status == 2
    assert "0 19 * * 1-5 Europe/Amsterdam" in wrong.err


def test_update_and_retry_follow_as_well(cli: CommandLine) -> None:
    cli("env", "create", "changed", "-t", "web", "--no-wait")
    assert cli("env", "retry", "changed").status == 4
    deploy(cli.service, "changed")
    result = cli("env", "update", "changed", "-p", "replicas=3", "--no-wait", "-o", "json")
    assert result.json["parameters"]["replicas"] == 3
    assert "of changed is queued. Next: `calvinverse env watch changed` follows it." in result.err
    assert "is ready" not in result.err


def test_update_takes_the_flags_of_the_template_as_create_does(cli: CommandLine) -> None:
    cli("env", "create", "flagged", "-t", "web", "--no-wait")
    deploy(cli.service, "flagged")
    result = cli("env", "update", "flagged", "--replicas", "4", "--verbose", "--message=Good morning", "--no-wait")
    assert result.status == 0, result.err
    wanted = {"replicas": 4, "message": "Good morning", "verbose": True}
    assert cli("env", "show", "flagged", "-o", "json").json["parameters"] == wanted
    for arguments, said in (
        (["flagged", "--replica", "4"], "there is no parameter 'replica'"),
        (["flagged", "more"], "one too many"),
        (["flagged", "--message"], "The parameter --message has no value."),
        (["--message", "flagged"], "'--message' is given where the name is expected."),
    ):
        wrong = cli("env", "update", *arguments, "--no-wait")
        assert wrong.status == 2
        assert said in wrong.err


def test_an_older_template_with_a_parameter_named_like_an_option_takes_it_with_p(
    cli: CommandLine, tmp_path: Path
) -> None:
    text = '[template]\nname = "older"\n[parameters.ttl]\ntype = "string"\n[[steps]]\nname = "a"\nuses = "fake"\n'
    (tmp_path / "template.toml").write_text(text)
    for command in ("validate", "push"):
        refused = cli("template", command, str(tmp_path))
        assert refused.status == 2
        assert "the parameter 'ttl' has the name of an option" in refused.out + refused.err
    offline = cli("template", "validate", str(tmp_path), "--address", "http://127.0.0.1:9")
    assert (offline.status, "'ttl'" in offline.out) == (2, True)
    bundle = make_bundle({"template.toml": text.encode()})
    with cli.service.database.write() as tx:
        tx.templates.push("older", bundle, "root", datetime.now(UTC))
    made = cli("env", "create", "aged", "-t", "older", "-p", "ttl=mine", "--ttl", "1h", "--no-wait", "-o", "json")
    assert made.json["parameters"] == {"ttl": "mine"}
    assert "in 1h00m: root set this deadline." in made.err
    with cli.service.database.write() as tx:
        tx.environments.set_state(made.json["id"], State.READY, datetime.now(UTC))
        tx.deployments.supersede(made.json["id"], datetime.now(UTC))
    updated = cli("env", "update", "aged", "-p", "ttl=other", "--no-wait", "-o", "json")
    assert updated.json["parameters"] == {"ttl": "other"}, updated.err


def test_destroy_wants_the_name_typed(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("env", "create", "victim", "-t", "web", "--no-wait")
    monkeypatch.setattr(sys, "stdin", io.StringIO("victim\n"))
    refused = cli("env", "destroy", "victim")
    assert refused.status == 2
    assert "--yes" in refused.err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("victom\n"))
    assert cli("env", "destroy", "victim", "--no-wait").status == 2
    assert cli("env", "list", "-o", "json").json
    assert cli("env", "destroy", "nobody").status == 3
    monkeypatch.setattr(sys, "stdin", Terminal("victim\n"))
    result = cli("env", "destroy", "victim", "--no-wait", "--reason", "enough")
    assert result.status == 0
    assert "Type victim to go on: " in result.err
    assert "▼ destroying" in cli("env", "list").out


def test_destroy_waits_until_nothing_is_left(cli: CommandLine) -> None:
    cli("env", "create", "gone", "-t", "web", "--no-wait")

    def engine() -> None:
        def destroying() -> bool:
            with cli.service.database.read() as tx:
                environment = tx.environments.named("gone")
                return environment is not None and environment.state is State.DESTROYING

        until(destroying)
        cli.service.finish("gone", State.DESTROYED)

    thread = beside(engine)
    result = cli("env", "destroy", "gone", "--yes")
    thread.join()
    assert result.status == 0, result.err
    assert "○ destroyed" in result.out
    assert "gone is destroyed: nothing of it is left." in result.err


# --- templates, tokens, the service -----------------------------------------------------------------------------------


def test_a_new_template_is_valid_as_it_is(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    made = cli("template", "new", str(folder))
    assert made.out.splitlines() == [str(folder / "template.toml"), str(folder / "app.nomad.hcl")]
    assert cli("template", "new", str(folder)).status == 2
    assert cli("template", "new", str(tmp_path / "a--b")).status == 2
    assert "--template site`" in (folder / "template.toml").read_text()
    offline = cli("template", "validate", str(folder), "--address", "http://127.0.0.1:9")
    assert offline.status == 0
    assert "the service was not asked" in offline.out


def test_a_template_is_checked_pushed_and_shown(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    file = folder / "template.toml"
    file.write_text('[template]\nname = "shop"\nversion = "1"\n[[steps]]\nname = "a"\nuses = "fake"\n')
    assert cli("template", "validate", str(folder)).status == 0
    pushed = cli("template", "push", str(folder))
    assert pushed.out.startswith("shop 1  sha256:")
    assert "shop" in cli("template", "list").out
    assert cli("template", "show", "shop", "-o", "json").json["steps"][0]["uses"] == "fake"
    assert "host volumes" not in cli("template", "show", "shop").out
    file.write_text('[template]\nname = "shop"\nhost_volumes = ["builds"]\n[[steps]]\nname = "a"\nuses = "fake"\n')
    cli("template", "push", str(folder))
    assert "builds; for admins only" in cli("template", "show", "shop").out
    file.write_text('[template]\nname = "shop"\n[[steps]]\nname = "a"\nuses = "no.such"\nneeds = ["b"]\n')
    wrong = cli("template", "validate", str(folder), "-o", "json")
    assert wrong.status == 2
    assert any("'b'" in problem for problem in wrong.json["problems"])
    file.write_text('[template]\nname = "shop"\n[[steps]]\nname = "a"\nuses = "no.such"\n')
    assert "no.such" in cli("template", "validate", str(folder)).out
    assert cli("template", "push", str(folder)).status == 2
    (folder / "template.toml").write_text('[template]\nname = "shop"\nlimt = 1\n[[steps]]\nname = "a"\nneeds = ["b"]\n')
    several = cli("template", "push", str(folder))
    assert several.status == 2
    assert several.err.startswith('✗ template.toml:3: template.limt: there is no such key; did you mean "limit"?\n')
    assert "error: The template has 3 faults." in several.err
    assert cli("template", "push", str(tmp_path / "nowhere")).status == 2
    shown = cli("template", "show", "web").out
    assert "replicas  integer  1        ≥ 1, ≤ 20  How many instances" in shown


def test_a_template_is_deleted_once_nothing_is_made_from_it(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "template.toml"
    for version in ("1", "2"):
        file.write_text(f'[template]\nname = "stall"\nversion = "{version}"\n[[steps]]\nname = "a"\nuses = "fake"\n')
        assert cli("template", "push", str(tmp_path)).status == 0
    cli("env", "create", "seller", "-t", "stall", "--no-wait")
    in_use = cli("template", "delete", "stall", "-y")
    assert (in_use.status, in_use.out) == (4, "")
    assert "The template 'stall' is in use by 'seller'.  [template_in_use]" in in_use.err
    cli.service.move("seller", State.DESTROYING, State.DESTROYED)
    monkeypatch.setattr(sys, "stdin", io.StringIO("stall\n"))
    unasked = cli("template", "delete", "stall")
    assert unasked.status == 2
    assert "`calvinverse template delete stall --yes`" in unasked.err
    unknown = cli("template", "delete", "stal")
    assert unknown.status == 3
    assert "There is no template 'stal'. Did you mean 'stall'?  [unknown_template]" in unknown.err
    gone = cli("template", "delete", "stall", "-y")
    assert gone.status == 0
    assert [line.split()[0] for line in gone.out.splitlines()] == ["stall", "stall"]
    assert "Deleted: 2 versions of the template 'stall'. Next: `calvinverse template list`" in gone.err
    for options in ((), ("--yes",), ("--yes", "-o", "json")):
        again = cli("template", "delete", "stall", *options)
        assert (again.status, again.out) == (3, "")
        assert "There is no template 'stall'." in again.err
    assert cli("template", "show", "stall").status == 3
    assert cli("template", "push", str(tmp_path)).status == 0
    assert cli("template", "delete", "stall", "-y").status == 0


def test_a_template_is_pushed_from_a_git_repository(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "sub").mkdir(parents=True)
    text = '[template]\nname = "shop"\nversion = "1"\n[[steps]]\nname = "a"\nuses = "fake"\n'
    (folder / "sub" / "template.toml").write_text(text)
    who = [part for name in ("user.name", "user.email") for part in ("-c", f"{name}=ada@example")]
    for arguments in (["init", "--quiet", "--initial-branch=main"], ["add", "."], ["commit", "--quiet", "-m", "it"]):
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True, timeout=120)
    url = f"file://{folder}"
    pushed = cli("template", "push", "--git", url, "--ref", "main", "--path", "sub")
    assert pushed.status == 0, pushed.err
    source = cli("template", "show", "shop", "-o", "json").json["source"]
    assert (source["url"], source["ref"], source["path"]) == (url, "main", "sub")
    commit = source["commit"][:12]
    assert pushed.out.startswith("shop 1  sha256:")
    assert pushed.out.endswith(f"  main {commit}\n")
    assert f"{url}, main {commit}, folder sub" in cli("template", "show", "shop").out
    assert f"main {commit}" in cli("template", "list").out
    root = cli("template", "push", "--git", url)
    assert root.status == 2
    assert "There is one in sub" in root.err
    assert cli("template", "push", "--git", url, "--ref", "nope").status == 3
    for wrong in (["push"], ["push", str(folder), "--git", url], ["push", str(folder), "--ref", "main"]):
        assert cli("template", *wrong).status == 2
    for option, more in (("--git", []), ("--ref", ["--git", url])):
        for value in ("", " "):
            refused = cli("template", "push", *more, option, value)
            assert (refused.status, refused.err.splitlines()[0]) == (2, f"error: {option} is empty.  [invalid_input]")


def test_tokens(cli: CommandLine, tmp_path: Path) -> None:
    made = cli("token", "create", "--owner", "ada", "--note", "ci")
    secret = made.out.strip()
    assert secret.startswith("cv_")
    assert secret not in made.err
    to = tmp_path / "ada.token"
    filed = cli("token", "create", "--owner", "ada", "--to", str(to))
    assert to.stat().st_mode & 0o777 == 0o600
    assert to.read_text().strip() not in filed.out + filed.err
    assert cli("token", "create", "--owner", "ada", "--to", str(to)).status == 2
    assert cli("env", "list", "--token-file", str(to)).status == 0
    assert cli("token", "create", "--owner", "x", "--token-file", str(to)).status == 5
    listed = cli("token", "list", "-o", "json")
    assert secret not in listed.out
    identity = next(token["id"] for token in listed.json if token["note"] == "ci")
    assert cli("token", "revoke", identity).status == 2
    unknown = cli("token", "revoke", f"{identity}x")
    assert unknown.status == 3
    assert f"Did you mean '{identity}'" in unknown.err
    assert cli("token", "revoke", identity, "--yes").status == 0
    assert "✗ revoked" in cli("token", "list").out
    assert cli("token", "create", "--owner", "x", "--role", "king").status == 2
    assert cli("token", "create", "--owner", "x", "--note", "n" * 900).status == 0
    assert max(map(len, cli("token", "list").out.splitlines())) < 200


def test_ca_is_printed_as_pem(cli: CommandLine) -> None:
    assert cli("ca").out.startswith("-----BEGIN CERTIFICATE-----\n")


def test_doctor_names_what_is_wrong(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = pytest.importorskip("images.machine")
    monkeypatch.setattr(machine, "examine", lambda deployed: [machine.Check("docker", "ok", "It answers.")])
    well = cli("doctor", "-o", "json")
    assert well.status == 0, well.err
    assert [finding["name"] for finding in well.json][:2] == ["docker", "service"]
    monkeypatch.setitem(cli.service.world.troubled, "consul", "Consul has no leader.")
    sick = cli("doctor")
    assert sick.status == 9
    assert "✗ wrong" in sick.out
    assert "Consul has no leader." in sick.out
    assert "consul" in sick.err


def test_doctor_knows_the_ports_of_its_own_deployment(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context as deploy writes it: the service that answers there with that token is ours, and Consul doesn't run."""
    machine = pytest.importorskip("images.machine")
    monkeypatch.setattr(machine, "examine", lambda deployed=(): list(machine.ports(deployed=deployed)))
    state = tmp_path / "state"
    token = state / "token"
    write_private(token, cli.api.token)
    write_context(state, Context(address=cli.api.address, token_file=token))
    gone = free_port()
    consul = {"address": f"http://127.0.0.1:{gone}", "authentication": {"token_file": "token"}}
    (state / "connections.json").write_text(json.dumps({"consul": consul}))
    port = urlsplit(cli.api.address).port
    found = {one["name"]: one for one in cli("doctor", "-o", "json").json}
    assert found[f"port {port}"]["verdict"] == "ok"
    assert found[f"port {port}"]["sentence"] == f"Port {port} is used by the provisioning service of this deployment."
    assert found[f"port {gone}"]["sentence"] == f"Nothing listens on port {gone}, where Consul of this deployment was."
    assert not {"port 8400", "port 8500"} & set(found), "its ports are others"
    assert {"port 8200", "port 4646"} <= set(found)


def test_the_tui_needs_a_terminal(cli: CommandLine) -> None:
    done = subprocess.run([*PROGRAM, "tui"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: The terminal UI needs a terminal as standard input, output and error; here")
    assert "\x1b" not in done.stderr
    here, there = os.openpty()
    try:
        command = [*PROGRAM, "tui"]
        piped = subprocess.run(command, stdin=there, stdout=subprocess.PIPE, stderr=there, timeout=120, check=False)
        said = os.read(here, 4096).decode()
    finally:
        os.close(here)
        os.close(there)
    assert (piped.returncode, piped.stdout) == (2, b"")
    assert "here it has none as standard output." in said


# --- the process ------------------------------------------------------------------------------------------------------


def test_ctrl_c_leaves_the_deployment_running_and_says_so(cli: CommandLine) -> None:
    # A shell's background job, as these tests may be, ignores SIGINT, and so do its children.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from environments.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "env", "create", "left", "-t", "web"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "left" in process.stderr.readline()  # it is there, and is followed from here on
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out == ""
    assert "The deployment continues: `calvinverse env watch left` follows it." in err
    assert "Traceback" not in err
    assert cli("env", "show", "left").status == 0


def test_a_reader_that_leaves_is_no_trouble(cli: CommandLine) -> None:
    for number in range(30):
        cli.service.requests.create(cli.service.admin, CreateEnvironment(name=f"many{number}", template="web"))
    program = f"{sys.executable} -c 'from environments.cli import main; main()'"
    seen = "read -r line; echo $line"
    for command in (
        f"{program} env list -o json | ({seen})",
        f"{program} env list | ({seen})",
        f"{program} template show nosuch 2>&1 >/dev/null | (exec <&-)",
        f"{program} --help | (exec <&-)",
    ):
        piped = f"{command}; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, timeout=120, check=False)
        # Where all of the output fits into the pipe, it may have been written before the reader leaves.
        assert int(done.stdout.splitlines()[-1]) in (BROKEN_PIPE, 0, 3), done.stdout
        assert done.stderr == ""
    first = subprocess.Popen([*PROGRAM, "env", "list", "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert first.stdout is not None
    assert first.stderr is not None
    first.stdout.close()
    assert (first.wait(60), first.stderr.read()) == (BROKEN_PIPE, b"")
    first.stderr.close()


def test_an_output_that_cannot_be_written_is_told(cli: CommandLine) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "env", "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert done.returncode == 9
    assert done.stderr.startswith("error: The output can't be written: No space left on device.")
    assert "Exception ignored" not in done.stderr


def test_streams_that_are_closed_are_told(cli: CommandLine) -> None:
    cases = (
        ("template list >&-", 9),
        ("template list -o json >&-", 9),
        ("--help >&-", 9),
        ("--version >&-", 9),
        ("template list >&- 2>&-", 9),
        ("template list <&- >&- 2>&-", 9),
        ("template list 2>&-", 0),
        ("template list <&-", 0),
        ("template delete web <&-", 2),
        ("template show nosuch >&-", 3),
        ("template show nosuch 2>&-", 3),
        ("nosuch >&- 2>&-", 2),
    )
    for words, status in cases:
        command = f"{shlex.join(PROGRAM)} {words}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == status, (words, done.stderr)
        assert "inside" not in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr, (words, done.stderr)
        if status == 9 and "2>&-" not in words:
            assert "The output can't be written: it is closed." in done.stderr, (words, done.stderr)
            assert "Exception ignored" not in done.stderr, (words, done.stderr)
        if "show nosuch 2>&-" in words:
            assert done.stdout == "", "what is said never becomes data"


def test_commands_stay_with_the_environment_that_was_named(cli: CommandLine) -> None:
    """Also beside one that is named like its id, as an older version allowed; that is reached by `name:`."""
    for name in ("shadowed", "shadow"):
        created = cli("env", "create", name, "--template", "web", "--no-wait", "-o", "json")
        deploy(cli.service, name)
        assert created.status == 0
    mine, other = (cli("env", "show", name, "-o", "json").json["id"] for name in ("shadowed", "shadow"))
    with cli.service.database.write() as tx:
        tx.environments.change(other, name=mine)
    running = beside(lambda: deploy_update(cli.service, mine))
    updated = cli("env", "update", "shadowed", "-p", "message=clash", "-o", "json")
    running.join()
    assert (updated.status, updated.json["id"]) == (0, mine)
    for said, found in (("shadowed", mine), (mine, mine), (f"id:{mine}", mine), (f"name:{mine}", other)):
        assert cli("env", "show", said, "-r", "-o", "json").json["id"] == found
    watched = cli("env", "watch", "shadowed")
    assert watched.status == 0, watched.err
    assert cli("env", "create", mine, "--template", "web").status == 2
    destroyed = cli("env", "destroy", f"name:{mine}", "--yes", "--no-wait", "-o", "json")
    assert destroyed.json["id"] == other
    assert cli("env", "show", "shadowed", "-o", "json").json["state"] == "ready"


def deploy_update(service: FakeService, environment_id: str) -> None:
    """What an engine would do with an update, once it has been asked for."""

    def asked() -> bool:
        with service.database.read() as tx:
            return bool(tx.deployments.unfinished(environment_id))

    until(asked)
    service.finish("shadowed", State.READY)


def test_an_image_is_withdrawn_by_its_name(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = "sha256:" + "a" * 64
    cli.service.images.publish(cli.service.admin, "till", reference, "production")
    monkeypatch.setattr(sys, "stdin", io.StringIO("till\n"))
    unasked = cli("image", "withdraw", "till")
    assert unasked.status == 2
    assert "`calvinverse image withdraw till --yes`" in unasked.err
    gone = cli("image", "withdraw", "till", "-y")
    assert gone.out == f"till  {reference}\n"
    assert "Withdrawn: the image 'till'." in gone.err
    assert cli("image", "withdraw", "till", "-y").status == 3
