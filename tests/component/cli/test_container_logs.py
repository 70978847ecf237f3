"""`calvinverse env logs` for containers: listing them, reading the end, following, and what it says when it can't."""

import json
import threading
import time
from collections.abc import Callable

from environments.domain.containers import Container, Stream
from tests.support.command_line import CommandLine

SECOND = "0b0b0b0b-0000-0000-0000-000000000002"


def _beside(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def _running(cli: CommandLine, name: str, first: str) -> Container:
    """An environment whose one container has written something; `first`: how the id of its allocation begins."""
    cli("env", "create", name, "-t", "web", "--no-wait")
    container = cli.service.run(name, allocation=f"{first}-0000-0000-0000-000000000001")
    cli.service.containers.write(container, "one\ntwo\n")
    return container


def test_containers_are_listed(cli: CommandLine) -> None:
    cli("env", "create", "bare", "-t", "web", "--no-wait")
    assert "There are no containers" in cli("env", "logs", "bare", "--containers").err
    _running(cli, "listed", "0a0a0a0a")
    lines = cli("env", "logs", "listed", "--containers").out.splitlines()
    assert lines[0].split() == ["JOB", "GROUP", "TASK", "ALLOCATION", "STATE", "RESTARTS", "AGE"]
    assert lines[1].split()[:6] == ["web", "group", "app", "0a0a0a0a", "running", "0"]
    (found,) = cli("env", "logs", "listed", "--containers", "-o", "json").json
    assert (found["task"], found["restarts"]) == ("app", 0)


def test_the_end_of_a_log_is_read(cli: CommandLine) -> None:
    container = _running(cli, "read", "0c0c0c0c")
    cli.service.containers.write(container, "wrong\x1b[2J\n", Stream.STDERR)
    result = cli("env", "logs", "read", "--task", "app")
    assert (result.status, result.out.splitlines()) == (0, ["one", "two", "err: wrong"])
    assert "web/app, allocation 0c0c0c0c, running:" in result.err
    assert cli("env", "logs", "read", "--job", "web", "--last", "1").out.splitlines() == ["two", "err: wrong"]
    assert cli("env", "logs", "read", "--alloc", "0c0c0c0c", "-n", "0").out == ""
    lines = cli("env", "logs", "read", "--task", "app", "-o", "json").out.splitlines()
    assert [json.loads(line)["stream"] for line in lines] == ["stdout", "stdout", "stderr"]


def test_what_is_not_there_is_told(cli: CommandLine) -> None:
    _running(cli, "told", "0d0d0d0d")
    cli.service.run("told", "worker", "queue", allocation=SECOND)
    unknown = cli("env", "logs", "told", "--task", "appp")
    assert (unknown.status, unknown.out) == (3, "")
    assert "There is no task 'appp' with containers. Did you mean 'app'?" in unknown.err
    several = cli("env", "logs", "told", "--alloc", "0")
    assert several.status == 3
    both = cli("env", "logs", "told", "--task", "app", "--step", "app")
    assert both.status == 2
    assert "Give --step for what a step wrote" in both.err


def test_following_goes_on_with_what_takes_its_place(cli: CommandLine) -> None:
    container = _running(cli, "moved", "0e0e0e0e")
    containers = cli.service.containers
    before = containers.looked

    def engine() -> None:
        while containers.looked == before:
            time.sleep(0.01)
        containers.write(container, "three\nlast")
        newer = cli.service.run("moved", allocation=SECOND, minutes=1)
        containers.write(newer, "fresh\n")
        containers.end(newer)
        containers.end(container)

    thread = _beside(engine)
    result = cli("env", "logs", "moved", "--task", "app", "-f")
    thread.join()
    assert (result.status, result.out.splitlines()) == (0, ["one", "two", "three", "last", "fresh"])
    assert "app of allocation 0b0b0b0b has ended." in result.err


def test_the_last_lines_of_steps_are_read_from_the_end(cli: CommandLine) -> None:
    cli("env", "create", "long", "-t", "web", "--no-wait")
    cli.service.log("long", *(f"line {number}" for number in range(1500)))
    cli.service.log("long", "other", step="settings")
    said = [line.rpartition(": ")[2] for line in cli("env", "logs", "long", "--last", "2").out.splitlines()]
    assert said == ["line 1499", "other"]
    said = [
        line.rpartition(": ")[2] for line in cli("env", "logs", "long", "-n", "1200", "--step", "app").out.splitlines()
    ]
    assert said == [f"line {number}" for number in range(300, 1500)]
    assert cli("env", "logs", "long", "-n", "0").out == ""
