"""The command line of rules, pins, policies and holiday calendars, against the API."""

from pathlib import Path

from tests.support.command_line import CommandLine

RULE = "0 19 * * 1-5 Europe/Amsterdam"


def test_rules_of_an_environment(cli: CommandLine) -> None:
    cli("env", "create", "ruled", "-t", "web", "--ttl", "13d", "--no-wait")
    added = cli("env", "rule", "add", "ruled", RULE)
    assert f"rule '{RULE}', set by root" in added.out, added.err
    listed = cli("env", "rule", "list", "ruled").out.splitlines()
    assert listed[0].split() == ["RULE", "WHAT", "NEXT", "MOMENT", "OF", "SET", "BY"]
    assert listed[1].startswith(f"{RULE}  it is destroyed  ")
    assert "root set this deadline" in cli("env", "rule", "remove", "ruled", RULE).out
    assert cli("env", "rule", "remove", "ruled", RULE).status == 3
    assert "No calendar rule applies to ruled." in cli("env", "rule", "list", "ruled").err
    assert cli("env", "rule", "add", "ruled", "at seven").status == 2


def test_a_rule_stops_an_environment(cli: CommandLine) -> None:
    cli("env", "create", "resting", "-t", "web", "--ttl", "13d", "--no-wait")
    added = cli("env", "rule", "add", "resting", RULE, "--action", "stop")
    assert "Next it is stopped at " in added.out, added.err
    assert f"{RULE}  it is stopped  " in cli("env", "rule", "list", "resting").out
    assert cli("env", "rule", "remove", "resting", RULE).status == 3
    assert "stopped" not in cli("env", "rule", "remove", "resting", RULE, "--action", "stop").out
    assert cli("env", "rule", "add", "resting", RULE, "--action", "warn").status == 2


def test_a_policy_stops_and_starts(cli: CommandLine) -> None:
    morning = "0 8 * * 1-5 Europe/Amsterdam"
    done = cli("policy", "set", "--owner", "root", "--stop-at", RULE, "--start-at", morning, "--yes")
    assert done.status == 0, done.err
    listed = cli("policy", "list").out
    assert f"{RULE}: it is stopped" in listed
    assert f"{morning}: it is started" in listed
    assert cli("policy", "remove", "--owner", "root", "--yes").status == 0


def test_a_pin_is_set_explained_and_removed(cli: CommandLine) -> None:
    cli("env", "create", "kept", "-t", "web", "--ttl", "13d", "--destroy-at", RULE, "--no-wait")
    pinned = cli("env", "pin", "kept", "--ttl", "8d", "--reason", "a demonstration")
    assert pinned.status == 0, pinned.err
    out = cli("env", "explain", "kept", "--why-not").out
    assert "root pinned it until" in out
    assert "What does not happen:" in out
    assert "Zone database: " in out
    assert "What happened, newest first:" in out
    assert "a demonstration" in out.split("What happened")[1]
    assert "What happened" not in cli("env", "explain", "kept", "--past", "0").out
    assert cli("env", "unpin", "kept").status == 0
    assert cli("env", "unpin", "kept").status == 4
    assert cli("env", "pin", "kept", "--reason", "x").status == 2
    assert cli("env", "pin", "kept", "--ttl", "20d", "--reason", "an audit").status == 2
    assert cli("env", "pin", "kept", "--ttl", "20d", "--reason", "an audit", "--past-maximum").status == 0


def test_a_policy_shows_what_it_moves_and_asks(cli: CommandLine) -> None:
    cli("env", "create", "governed", "-t", "web", "--ttl", "13d", "--no-wait")
    would = cli("policy", "set", "--owner", "root", "--destroy-at", RULE, "--dry-run")
    assert would.out.startswith("It would move "), would.err
    assert "governed" in would.out
    assert "stops and starts" not in would.out
    stops = cli("policy", "set", "--owner", "root", "--stop-at", RULE, "--dry-run")
    assert "It would move no deadline of " in stops.out
    assert "next stops and starts of " in stops.out
    row = next(line for line in stops.out.splitlines() if line.startswith("governed "))
    assert row.split()[1:4] == ["root", "stop", "never"]
    assert f"rule '{RULE}' of the policy for owner root" in row
    asked = cli("policy", "set", "--owner", "root", "--destroy-at", RULE)
    assert (asked.status, "It would move" in asked.err) == (2, True)
    assert cli("policy", "list").err == "There are no policies.\n"
    done = cli("policy", "set", "--owner", "root", "--destroy-at", RULE, "--maximum", "10d", "--yes")
    assert done.out.startswith("It moves "), done.err
    listed = cli("policy", "list").out
    assert "owner root" in listed
    assert "maximum 10d" in listed
    assert f"rule '{RULE}' of the policy for owner root" in cli("env", "explain", "governed").out
    assert cli("policy", "remove", "--owner", "root", "--yes").status == 0
    assert cli("policy", "remove", "--owner", "root", "--yes").status == 3
    assert cli("policy", "set", "--maximum", "1d", "--yes").status == 2


def test_a_holiday_calendar_of_a_file(cli: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "days"
    file.write_text("2027-12-25 Christmas\n2027-04-27 King's Day\n")
    assert "move" in cli("calendar", "set", "nl", str(file), "--dry-run").out
    assert cli("calendar", "list", "-o", "json").json == []
    done = cli("calendar", "set", "nl", str(file))
    assert "nl has 2 days. Rules leave them out with `except nl`." in done.err
    assert cli("calendar", "show", "nl").out.splitlines()[1] == "2027-04-27  King's Day"
    assert "2027-04-27 to 2027-12-25" in cli("calendar", "list").out
    assert cli("calendar", "remove", "nl").out == "nl is removed.\n"
    assert cli("calendar", "show", "nl").status == 3
    assert cli("calendar", "set", "nl", str(tmp_path / "missing")).status == 2
