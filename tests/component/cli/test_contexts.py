"""`calvinverse context` against services with and without TLS: one machine becomes the client of another."""

import getpass
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from environments.context import Context, write_context
from environments.wire.tokens import TokenRequest
from tests.fakes.service import Served, listening
from tests.support.authorities import DAY, MadeAuthority, make_authority
from tests.support.command_line import CommandLine

OURS = make_authority("ours")
NAME = "calvinverse.localhost"
PROGRAM = (sys.executable, "-c", "from environments.cli import main; main()")


@pytest.fixture(scope="module")
def secured(api: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the same service with TLS."""
    tls = OURS.sign(tmp_path_factory.mktemp("tls") / "tls.pem", NAME)
    with listening(api.service, tls=tls) as address:
        yield address.replace("127.0.0.1", NAME)


@pytest.fixture
def cli(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line of a machine that knows no service."""
    for variable in ("CALVINVERSE_ADDRESS", "CALVINVERSE_TOKEN_FILE", "CALVINVERSE_CONTEXT", "CALVINVERSE_CA_FILE"):
        monkeypatch.delenv(variable, raising=False)
    return cli


@pytest.fixture
def token_file(cli: CommandLine, tmp_path: Path) -> Callable[..., str]:
    """Makes a file with a new token of an owner."""

    def make(owner: str = "ada") -> str:
        file = tmp_path / f"{owner}.token"
        with cli.api.client() as client:
            file.write_text(client.create_token(TokenRequest(owner=owner, role="user")).secret + "\n")
        return str(file)

    return make


@pytest.fixture
def ca(tmp_path: Path) -> str:
    """The file of our authority."""
    (tmp_path / "ca.pem").write_text(OURS.pem)
    return str(tmp_path / "ca.pem")


def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def stored(tmp_path: Path) -> list[str]:
    """The files of all contexts."""
    return sorted(path.name for path in state(tmp_path).glob("contexts/[!.]*"))


# --- add --------------------------------------------------------------------------------------------------------------


def test_a_first_context_says_who_you_are_and_becomes_current(
    cli: CommandLine, secured: str, ca: str, token_file: Callable[..., str], tmp_path: Path
) -> None:
    result = cli("context", "add", "prod", "--address", secured, "--ca", ca, "--token-file", token_file())
    assert (result.status, result.out) == (0, f"You are ada (user) at {secured}.\n")
    assert f"SHA-256 {OURS.fingerprint}" in result.err
    assert "It is the current context. Next: `calvinverse env list`" in result.err
    Path(ca).unlink()
    assert cli("env", "list").status == 0
    assert stored(tmp_path) == ["current", "prod.json", "prod.token"]


def test_a_further_context_becomes_current_when_that_is_wanted(
    cli: CommandLine, secured: str, ca: str, token_file: Callable[..., str]
) -> None:
    given = ("--address", secured, "--ca", ca, "--token-file", token_file())
    cli("context", "add", "one", *given)
    result = cli("context", "add", "two", *given, "-o", "json")
    assert (result.json["name"], result.json["current"], result.json["owner"]) == ("two", False, "ada")
    assert result.json["authority"] == [OURS.fingerprint]
    assert "Next: `calvinverse context use two`, or `--context two`" in result.err
    assert cli("context", "add", "three", *given, "--use", "-o", "json").json["current"] is True
    again = cli("context", "add", "two", *given)
    assert (again.status, "--replace" in again.err) == (4, True)
    assert cli("context", "add", "two", *given, "--replace").status == 0


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("http://calvinverse.example.org", 2, "the token could be read on the way"),
        ("calvinverse.example.org", 2, "it has no scheme"),
        ("http://127.0.0.1:9", 7, "can't be reached"),
    ],
)
def test_what_is_not_reached_is_not_stored(
    cli: CommandLine, token_file: Callable[..., str], tmp_path: Path, address: str, status: int, said: str
) -> None:
    result = cli("context", "add", "prod", "--address", address, "--token-file", token_file())
    assert result.status == status
    assert said in result.err
    assert stored(tmp_path) == []


def test_a_token_that_the_service_does_not_know_is_not_stored(cli: CommandLine, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("cv_unknown-to-everybody")
    result = cli("context", "add", "prod", "--address", cli.api.address, "--token-file", str(bad))
    assert (result.status, "[unauthenticated]" in result.err, stored(tmp_path)) == (5, True, [])


@pytest.mark.parametrize(
    ("authority", "said"),
    [
        (make_authority("foreign"), "isn't signed by the authority that the context 'prod' pins"),
        (make_authority("old", begins=-2 * DAY, ends=-DAY), "expired on"),
        (None, "isn't trusted"),
    ],
)
def test_an_authority_that_does_not_fit_is_refused(
    cli: CommandLine,
    secured: str,
    token_file: Callable[..., str],
    tmp_path: Path,
    authority: MadeAuthority | None,
    said: str,
) -> None:
    file = tmp_path / "other.pem"
    if authority is not None:
        file.write_text(authority.pem)
    given = ("--ca", str(file)) if authority is not None else ()
    result = cli("context", "add", "prod", "--address", secured, *given, "--token-file", token_file())
    assert result.status != 0
    assert said in result.err
    assert stored(tmp_path) == []


def test_options_that_do_not_fit_together(cli: CommandLine, ca: str, token_file: Callable[..., str]) -> None:
    for arguments, said in (
        ((), "No address is given"),
        (("--address", cli.api.address, "--ca", ca), "plain HTTP and has no certificate"),
        (("--from", ca, "--address", cli.api.address), "Leave --address and --ca out"),
        (("--from", ca), "holds no exported context"),
    ):
        result = cli("context", "add", "prod", *arguments, "--token-file", token_file())
        assert (result.status, said in result.err) == (2, True), result.err
    assert "is taken" in cli("context", "add", "default", "--address", cli.api.address).err


@pytest.mark.parametrize("arguments", [(), ("--token-file", "-")])
def test_a_token_from_standard_input(
    cli: CommandLine, token_file: Callable[..., str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(Path(token_file()).read_text()))
    assert cli("context", "add", "prod", "--address", cli.api.address, *arguments).status == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    result = cli("context", "add", "other", "--address", cli.api.address, *arguments)
    assert (result.status, "Standard input holds no token" in result.err) == (5, True)


def test_a_token_that_is_typed_is_not_shown(
    cli: CommandLine, token_file: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = Path(token_file()).read_text().strip()
    asked: list[str] = []

    def typed(prompt: str, stream: object = None) -> str:
        asked.append(prompt)
        return token

    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(getpass, "getpass", typed)
    result = cli("context", "add", "prod", "--address", cli.api.address)
    assert (result.status, asked) == (0, [f"Token for {cli.api.address}: "])
    assert token not in result.out + result.err


# --- use, list, show, remove ------------------------------------------------------------------------------------------


@pytest.fixture
def known(cli: CommandLine, secured: str, ca: str, token_file: Callable[..., str], tmp_path: Path) -> CommandLine:
    """A machine with the contexts default, prod (ada, TLS) and test (grace)."""
    token = tmp_path / "token"
    write_context(state(tmp_path), Context(address=cli.api.address, token_file=token, name="meta"))
    cli("context", "add", "prod", "--address", secured, "--ca", ca, "--token-file", token_file())
    cli("context", "add", "test", "--address", cli.api.address, "--token-file", token_file("grace"))
    return cli


def who(cli: CommandLine, *arguments: str) -> str:
    """As whom, and where, a command asks."""
    (line,) = [line for line in cli("doctor", *arguments).out.splitlines() if "answers to" in line]
    return line.partition("The service at ")[2].replace(" answers to", "")


def test_the_list_marks_the_one_that_commands_use(known: CommandLine, secured: str) -> None:
    result = known("context", "list")
    assert [line.split()[:3] for line in result.out.splitlines()] == [
        ["NAME", "ADDRESS", "AUTHORITY"],
        ["*", "default", known.api.address],
        ["prod", secured, "pinned"],
        ["test", known.api.address, "none"],
    ]
    assert known("context", "use", "test").out == f"The current context is test: {known.api.address}.\n"
    found = known("context", "list", "-o", "json").json
    assert [(one["name"], one["current"]) for one in found] == [("default", False), ("prod", False), ("test", True)]
    assert [one["authority"] for one in found] == [[], [OURS.fingerprint], []]


def test_a_machine_without_contexts(cli: CommandLine) -> None:
    result = cli("context", "list")
    assert (result.status, "Next: `calvinverse context add`" in result.err) == (0, True)
    assert cli("context", "list", "-o", "json").json == []
    assert "Did you mean" not in cli("context", "use", "prod").err


def test_one_that_cannot_be_read_hides_no_other(known: CommandLine, tmp_path: Path) -> None:
    folder = state(tmp_path) / "contexts"
    (folder / "prod.json").write_text("{")
    (folder / "odd.json").mkdir()
    result = known("context", "list")
    assert result.status == 0
    assert [line.split()[0] for line in result.out.splitlines()[1:]] == ["*", "odd", "prod", "test"]
    assert result.out.count("can't be read") == 2
    assert "`calvinverse context remove odd --yes`" in result.err
    found = {one["name"]: one for one in known("context", "list", "-o", "json").json}
    assert (found["test"]["error"], found["prod"]["address"], found["prod"]["current"]) == (None, "", False)
    assert "'prod' in" in found["prod"]["error"]
    for name in ("odd", "prod"):
        assert known("context", "remove", name, "--yes").status == 0
    assert [one["name"] for one in known("context", "list", "-o", "json").json] == ["default", "test"]


def test_a_current_one_that_is_not_known_is_told_until_one_is_chosen(known: CommandLine, tmp_path: Path) -> None:
    (state(tmp_path) / "contexts" / "current").write_text("no name at all")
    refused = known("env", "list")
    assert (refused.status, "The current context isn't known" in refused.err) == (2, True)
    assert known("env", "list", "--context", "test").status == 0
    listed = known("context", "list")
    assert (listed.status, "*" in listed.out, "none of them" in listed.err) == (0, False, True)
    assert known("context", "use", "prod").status == 0
    assert known("env", "list").status == 0


def test_every_command_takes_a_context(
    known: CommandLine, secured: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = f"{known.api.address} root (admin)."
    assert who(known) == here
    assert who(known, "--context", "prod") == f"{secured} ada (user)."
    known("context", "use", "prod")
    assert who(known) == f"{secured} ada (user)."
    monkeypatch.setenv("CALVINVERSE_CONTEXT", "test")
    assert who(known) == f"{known.api.address} grace (user)."
    assert who(known, "--context", "default") == here
    before = known("--context", "prod", "env", "list", "--context", "nowhere")
    assert (before.status, "There is no context 'nowhere'" in before.err) == (3, True)
    both = known("env", "list", "--context", "prod", "--address", secured)
    assert (both.status, "Give either --context or --address." in both.err) == (2, True)


def test_a_name_that_is_nearly_right(known: CommandLine) -> None:
    for arguments in (("context", "use", "prd"), ("context", "show", "prd"), ("env", "list", "--context", "prd")):
        result = known(*arguments)
        assert (result.status, "Did you mean 'prod'?" in result.err) == (3, True), arguments


def test_variables_that_choose_otherwise_are_told(known: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALVINVERSE_CONTEXT", "test")
    assert "CALVINVERSE_CONTEXT is set to 'test', which commands use instead." in known("context", "use", "prod").err
    assert known("context", "list", "-o", "json").json[2]["current"] is True
    monkeypatch.delenv("CALVINVERSE_CONTEXT")
    monkeypatch.setenv("CALVINVERSE_ADDRESS", "https://elsewhere.example.org")
    result = known("context", "list")
    assert "*" not in result.out
    assert "Commands use the address https://elsewhere.example.org, and no context." in result.err


def test_a_context_is_shown_without_its_token(known: CommandLine, secured: str, tmp_path: Path) -> None:
    result = known("context", "show", "prod")
    token = state(tmp_path) / "contexts" / "prod.token"
    for shown in (secured, str(token), OURS.fingerprint, "CN=ours", "valid until"):
        assert shown in result.out
    assert token.read_text().strip() not in result.out
    document = known("context", "show", "-o", "json").json
    assert (document["name"], document["current"], document["authorities"]) == ("default", True, [])


def test_a_removed_context_is_gone_with_its_token(known: CommandLine, tmp_path: Path) -> None:
    known("context", "use", "prod")
    refused = known("context", "remove", "prod")
    assert (refused.status, "--yes" in refused.err) == (2, True)
    result = known("context", "remove", "prod", "--yes")
    assert result.status == 0
    assert "now that is default" in result.err
    assert "stays valid" in result.err
    assert stored(tmp_path) == ["test.json", "test.token"]
    assert known("context", "remove", "prod", "--yes").status == 3
    assert "doit undeploy" in known("context", "remove", "default", "--yes").err


# --- a second machine -------------------------------------------------------------------------------------------------


def test_one_file_makes_another_machine_a_client(
    known: CommandLine, secured: str, token_file: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "prod.context"
    result = known("context", "export", "prod", "--token-file", token_file("linus"), "--to", str(file))
    assert (result.status, result.out) == (0, "")
    assert "It holds a token of linus (user)" in result.err
    assert file.stat().st_mode & 0o777 == 0o600
    assert known("context", "export", "prod", "--to", str(file)).status == 2
    environ = {key: value for key, value in os.environ.items() if not key.startswith("CALVINVERSE_")}
    environ |= {"CALVINVERSE_STATE": str(tmp_path / "second")}
    added = program(environ, "context", "add", "work", "--from", str(file))
    assert (added.returncode, added.stdout) == (0, f"You are linus (user) at {secured}.\n"), added.stderr
    assert program(environ, "template", "list", "-o", "json").returncode == 0


def test_an_export_without_a_token_is_no_secret(
    known: CommandLine, secured: str, token_file: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = known("context", "export", "prod")
    assert result.json == {"calvinverse_context": 1, "address": secured, "authority": OURS.pem, "token": ""}
    monkeypatch.setattr(sys, "stdin", io.StringIO(result.out))
    again = known("context", "add", "again", "--from", "-", "--token-file", token_file("linus"))
    assert again.out == f"You are linus (user) at {secured}.\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(result.out))
    assert known("context", "add", "third", "--from", "-").status == 5


def test_the_own_token_is_not_handed_over(known: CommandLine, tmp_path: Path) -> None:
    own = state(tmp_path) / "contexts" / "prod.token"
    result = known("context", "export", "prod", "--token-file", str(own))
    assert (result.status, result.out) == (2, "")
    assert "calvinverse token create --to FILE" in result.err
    assert own.read_text().strip() not in result.err


def test_an_address_of_loopback_is_exported_with_a_warning(known: CommandLine) -> None:
    assert "it needs a tunnel there" in known("context", "export", "default").err


def program(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line in a process of its own."""
    return subprocess.run([*PROGRAM, *arguments], env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_json_of_an_error_repeats_no_token(cli: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "token file"
    file.write_text("cv_two words")
    result = cli("context", "add", "prod", "--address", cli.api.address, "--token-file", str(file), "-o", "json")
    assert json.loads(result.err)["error"]["code"] == "unauthenticated"
    assert "cv_two" not in result.err
