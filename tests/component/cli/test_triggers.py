"""`calvinverse trigger` and `calvinverse event`: files with faults, dry runs, and what triggers did."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from environments.domain.received_event import NewReceivedEvent
from environments.domain.trigger import Firing, FiringState, TriggerAction
from environments.service.storage.webhooks import Webhook
from tests.fakes.clock import MONDAY
from tests.fakes.service import Served
from tests.support.command_line import CommandLine, Result

DONE = 'name = "done"\non = "nomad.job"\nkinds = ["complete"]\naction = "destroy"\n'


class Typed:
    """Types commands that end with the expected status."""

    def __init__(self, cli: CommandLine) -> None:
        self._cli = cli

    def __call__(self, *arguments: str, expect: int = 0) -> Result:
        result = self._cli(*arguments)
        assert result.status == expect, f"{arguments}: {result.err}"
        assert "Traceback" not in result.err
        return result


@pytest.fixture
def typed(cli: CommandLine) -> Typed:
    return Typed(cli)


@pytest.fixture(scope="module", autouse=True)
def _webhook(api: Served) -> None:
    with api.service.database.write() as tx:
        tx.webhooks.add(Webhook("forge", "gitea", "", (), "admin", MONDAY), ["everyone"])


def create(typed: Typed, name: str) -> str:
    typed("env", "create", name, "--template", "web", "--no-wait", "--ttl", "4h")
    return name


def written(tmp_path: Path, text: str, name: str = "trigger.toml") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_a_heartbeat_says_that_an_environment_is_in_use(typed: Typed, api: Served) -> None:
    name = create(typed, "beating")
    assert typed("env", "heartbeat", name).out.startswith("beating is in use; its last heartbeat: ")
    told = json.loads(typed("env", "heartbeat", name, "--output", "json").out)
    with api.service.database.read() as tx:
        last = tx.heartbeats.last(api.service.reading.environment(api.service.admin, name).environment.id)
    assert last is not None
    assert datetime.fromisoformat(told["at"]) == last
    typed("env", "heartbeat", "unknown", expect=3)


def test_a_trigger_is_set_replaced_paused_resumed_and_removed(typed: Typed, tmp_path: Path) -> None:
    name = create(typed, "set-from-file")
    file = written(tmp_path, DONE)
    first = typed("trigger", "set", file, "--env", name)
    assert f"The trigger done on {name} is set: destroy on nomad.job." in first.out
    assert "Next: `calvinverse trigger test" in first.err
    made = typed("trigger", "list", "--env", name, "-o", "json").json
    again = typed("trigger", "set", written(tmp_path, DONE.replace("complete", "failed")), "--env", name)
    assert "was replaced" in again.out
    shown = typed("trigger", "show", "done", "--env", name, "-o", "json").json
    assert (shown["id"], shown["definition"]["kinds"]) == (made[0]["id"], ["failed"])
    assert "● active" in typed("trigger", "list", "--env", name).out
    assert "trigger resume done --env set-from-file" in typed("trigger", "pause", "done", "--env", name).err
    assert "◻ paused" in typed("trigger", "show", made[0]["id"]).out
    typed("trigger", "resume", "done", "--env", name)
    typed("trigger", "remove", "done", "--env", name)
    gone = typed("trigger", "show", "done", "--env", name, expect=3)
    assert "There is no trigger 'done' on set-from-file." in gone.err


def test_what_show_prints_can_be_set_again(typed: Typed, tmp_path: Path) -> None:
    name = create(typed, "shown-again")
    text = """
        name = "odd"
        on = "git.pull_request"
        kinds = ["closed"]
        webhook = "forge"
        repository = "acme/shop"
        action = "notify"
        message = "It says \\"{{ event.title }}\\"\\u001b[31m"
        [when]
        number = 12
        "head-branch" = { not = ["a", 'b"'] }
        draft = false
        title = { matches = "*wip*" }
    """
    typed("trigger", "set", written(tmp_path, text), "--env", name)
    before = typed("trigger", "show", "odd", "--env", name, "-o", "json").json["definition"]
    told = typed("trigger", "show", "odd", "--env", name).out
    lines = told[told.index("Definition") :].partition("\n")[2]
    typed("trigger", "set", written(tmp_path, "\n".join(line.strip() for line in lines.splitlines())), "--env", name)
    assert typed("trigger", "show", "odd", "--env", name, "-o", "json").json["definition"] == before
    assert "\x1b" not in told


def test_every_fault_of_a_file_is_told_with_its_line(typed: Typed, tmp_path: Path) -> None:
    name = create(typed, "with-faults")
    file = written(tmp_path, 'name = "a"\non = "git.pull_requst"\nacton = "stop"\n[when]\nx = { nott = 1 }\n')
    told = typed("trigger", "set", file, expect=2).err
    assert f"{file}:2: on: it must be" in told
    assert f'{file}:3: acton: there is no such key; did you mean "action"?' in told
    assert f"{file}:5: when.x: it must be a value" in told
    assert "has 3 faults" in told
    assert "Traceback" not in told
    closed = 'name = "a"\non = "git.pull_request"\naction = "stop"\nrepository = "acme/shop"\nwebhook = "frge"\n'
    told = typed("trigger", "set", written(tmp_path, closed), "--env", name, expect=2).err
    assert "trigger.toml:5: webhook: there is no webhook 'frge'" in told
    for text, why in (
        ("a = ", "it is not TOML"),
        ("[trigger]\nname = 'a'\n", "remove the line [trigger]"),
        ("[[triggers]]\nname = 'a'\n", "a file holds one trigger"),
        ("name = 2026-01-01\n", "which must be a text"),
        ("a = " + "[" * 3000, ""),
        ("#" * 300_000, "is larger than"),
    ):
        assert why in typed("trigger", "set", written(tmp_path, text), expect=2).err
    assert "can't be read" in typed("trigger", "set", str(tmp_path / "none"), expect=2).err
    assert typed("trigger", "list", "--env", name, "-o", "json").json == []


def test_a_trigger_is_added_from_options(typed: Typed) -> None:
    name = create(typed, "from-options")
    options = (
        "--on git.pull_request --kind closed --kind merged --webhook forge --repository acme/shop --action destroy"
    )
    conditions = [
        "--when",
        "number=12",
        "--when",
        "head_branch^=fix/",
        "--when",
        "author!=bot",
        "--when",
        "title~=*a=b*",
    ]
    typed("trigger", "add", name, "end", *options.split(), *conditions)
    made = typed("trigger", "show", "end", "--env", name, "-o", "json").json["definition"]
    assert made["when"] == {
        "number": "12",
        "head_branch": {"starts_with": "fix/"},
        "author": {"not": "bot"},
        "title": {"matches": "*a=b*"},
    }
    told = typed("trigger", "add", name, "bad", "--on", "idle", "--action", "extend", "--when", "x", expect=2).err
    assert "'x' is no condition" in told
    told = typed("trigger", "add", name, "bad", "--on", "idle", "--action", "extend", expect=2).err
    assert "on idle it needs for" in told
    assert "to extend it needs by" in told
    assert "name_taken" in typed("trigger", "add", name, "end", *options.split(), expect=4).err


def event(tmp_path: Path, **told: Any) -> str:
    plain = {"source": "git.pull_request", "kind": "closed", "origin": "forge", "fields": {"number": 12}}
    return written(tmp_path, json.dumps(plain | told), "event.json")


def test_a_dry_run_tells_what_would_be_hit_and_why_not_the_others(typed: Typed, tmp_path: Path) -> None:
    one, two = create(typed, "dry-one"), create(typed, "dry-two")
    closed = 'name = "end"\non = "git.pull_request"\nwebhook = "forge"\nrepository = "acme/shop"\naction = "destroy"\n'
    typed("trigger", "set", written(tmp_path, f"{closed}when.number = 12\n"), "--env", one)
    typed("trigger", "set", written(tmp_path, f"{closed}when.number = 13\n"), "--env", two)
    fields = {"number": 12, "repository": "acme/shop", "title": "\x1b[31mred"}
    file = event(tmp_path, fields=fields)
    found = typed("trigger", "test", file, "-o", "json").json["events"][0]
    assert [(hit["environment"], hit["action"], hit["allowed"]) for hit in found["hits"]] == [(one, "destroy", True)]
    assert (two, "its condition on number doesn't hold") in [
        (miss["environment"], miss["reason"]) for miss in found["misses"]
    ]
    told = typed("trigger", "test", file)
    assert "git.pull_request closed about acme/shop#12, from forge" in told.out
    assert "\x1b" not in told.out
    assert "Nothing was done." in told.err
    only = typed("trigger", "test", file, "--env", two, "-o", "json").json["events"][0]
    assert only["hits"] == []
    assert {miss["environment"] for miss in only["misses"]} == {two}
    assert typed("env", "show", one, "-o", "json").json["deployment"]["kind"] == "create"


def test_what_is_no_event_is_told(typed: Typed, tmp_path: Path) -> None:
    for text, why in (
        ("", "is not JSON"),
        ("[]", "holds no JSON object"),
        ('{"source": "idle"}', "kind: it is missing"),
        ('{"source": "idel", "kind": "idle"}', "source: it must be"),
        ('{"headers": {}, "body": {}}', "--webhook NAME"),
        ('{"source": "idle", "kind": "idle", "environment": "nobody-has-this"}', ""),
    ):
        told = typed("trigger", "test", written(tmp_path, text, "event.json"), expect=3 if "nobody" in text else 2)
        assert why in told.err
    delivery = written(tmp_path, json.dumps({"headers": {"X-A": "b"}, "body": "{}"}), "delivery.json")
    assert "There is no webhook 'frge'" in typed("trigger", "test", delivery, "--webhook", "frge", expect=3).err


def test_events_are_listed_shown_and_replayed(typed: Typed, api: Served) -> None:
    name = create(typed, "had-event")
    environment = typed("env", "show", name, "-o", "json").json
    told = NewReceivedEvent(
        source="git.pull_request",
        kind="closed",
        origin="forge",
        delivery="1",
        subject="acme/shop#12",
        fields={"title": "A cart\x1b[31m", "labels": ["a", "b"], "fork": True},
    )
    firing = Firing(
        id="fir-1",
        event_id="evt-had",
        trigger_id="trg-had",
        trigger_name="end",
        owner="root",
        environment_id=environment["id"],
        environment=name,
        action=TriggerAction.DESTROY,
        state=FiringState.REFUSED,
        reason="the owner may not",
        created_at=MONDAY,
    )
    with api.service.database.write() as tx:
        tx.received.add(told, "evt-had", MONDAY)
        tx.firings.add([firing])
    listed = typed("event", "list", "--env", name)
    assert "evt-had" in listed.out
    assert "event show evt-had" in listed.err
    assert [one["id"] for one in typed("event", "list", "--subject", "acme/shop#12", "-o", "json").json] == ["evt-had"]
    assert typed("event", "list", "--source", "idle", "-o", "json").json == []
    assert "it must be" in typed("event", "list", "--source", "idel", expect=2).err
    shown = typed("event", "show", "evt-had").out
    assert "labels: a, b" in shown
    assert "fork: true" in shown
    assert "✗ refused" in shown
    assert "the owner may not" in shown
    again = typed("event", "replay", "evt-had")
    new = again.out.split()[0]
    assert f"Next: `calvinverse event show {new}`" in again.err
    assert typed("event", "show", new, "-o", "json").json["replay_of"] == "evt-had"
    assert "No trigger did anything." in typed("event", "show", new).err
    assert "not_found" in typed("event", "show", "evt-none", expect=3).err
