"""Contexts: how they are stored, which one is chosen, and what is refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from environments import named_contexts
from environments.addresses import check_safe_address, is_localhost_name, is_loopback
from environments.authorities import check_authorities, fingerprints, read_authorities, read_authority_file
from environments.context import Context, ServiceAddress, find_context, load_context, stored_context, write_context
from environments.domain.errors import Conflict, InvalidInput, NotFound, Unauthenticated, UnsafeAddress
from environments.exported_contexts import ExportedContext, read_export, write_export
from environments.named_contexts import NamedContext
from environments.private_files import write_private
from tests.support.authorities import DAY, make_authority

PROD = "https://calvinverse.example.org"
TEST = "https://test.example.org:8443"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The variables of a machine with the contexts default, prod and test; none was chosen."""
    write_context(tmp_path, Context(address="http://127.0.0.1:1", token_file=tmp_path / "token", name="meta"))
    named_contexts.store(tmp_path, "prod", NamedContext(address=PROD), "cv_prod")
    named_contexts.store(tmp_path, "test", NamedContext(address=TEST), "cv_test")
    return {"CALVINVERSE_STATE": str(tmp_path)}


# --- what is stored ---------------------------------------------------------------------------------------------------


def test_a_context_and_its_token_are_for_their_user_only(tmp_path: Path) -> None:
    state = tmp_path / "state"
    named_contexts.store(state, "prod", NamedContext(address=PROD), "cv_secret")
    context = load_context(state, "prod")
    assert context.read_token() == "cv_secret"
    assert "cv_secret" not in (state / "contexts" / "prod.json").read_text() + repr(context)
    for file in (state / "contexts").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file
    for folder in (state, state / "contexts"):
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("older", [False, True], ids=["now", "of an older version"])
def test_the_context_of_a_moved_folder_leads_to_its_files(older: bool, tmp_path: Path) -> None:
    """Files of the state folder are named without a path; an older version wrote it."""
    state = tmp_path / "state"
    behind = ServiceAddress(address="https://127.0.0.1:8400", ca_file=state / "service-ca.pem")
    elsewhere = tmp_path / "elsewhere.pem"
    context = Context(address=PROD, token_file=state / "token", ca_file=elsewhere, behind_edge=behind)
    file = write_context(state, context)
    assert str(state) not in file.read_text()
    if older:
        file.write_text(context.model_dump_json())
    for name in ("token", "service-ca.pem"):
        (state / name).write_text("x")
    assert stored_context(state) == context
    moved = state.rename(tmp_path / "moved")
    found = stored_context(moved)
    assert found is not None
    assert found.behind_edge is not None
    assert (found.token_file, found.ca_file) == (moved / "token", elsewhere)
    assert found.behind_edge.ca_file == moved / "service-ca.pem"


def test_a_context_is_replaced_only_when_that_is_wanted(tmp_path: Path) -> None:
    named_contexts.store(tmp_path, "prod", NamedContext(address=PROD), "cv_one")
    with pytest.raises(Conflict, match="already"):
        named_contexts.store(tmp_path, "prod", NamedContext(address=TEST), "cv_two")
    assert (load_context(tmp_path, "prod").address, load_context(tmp_path, "prod").read_token()) == (PROD, "cv_one")
    named_contexts.store(tmp_path, "prod", NamedContext(address=TEST), "cv_two", replace=True)
    assert (load_context(tmp_path, "prod").address, load_context(tmp_path, "prod").read_token()) == (TEST, "cv_two")


def test_a_new_token_never_meets_the_old_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When replacing a context stops in between, there is no context of that name."""
    named_contexts.store(tmp_path, "prod", NamedContext(address=PROD), "cv_one")
    written = 0

    def stop_at_the_second(path: Path, text: str) -> None:
        nonlocal written
        written += 1
        if written == 2:
            raise KeyboardInterrupt
        write_private(path, text)

    monkeypatch.setattr(named_contexts, "write_private", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        named_contexts.store(tmp_path, "prod", NamedContext(address=TEST), "cv_two", replace=True)
    with pytest.raises(NotFound):
        load_context(tmp_path, "prod")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-a", "Prod", "a b", "ä", "a" * 64, "default"])
def test_names_that_a_context_cannot_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        named_contexts.store(tmp_path, name, NamedContext(address=PROD), "cv_token")
    if name != "default":
        with pytest.raises(NotFound):
            named_contexts.read(tmp_path, name)
        with pytest.raises(NotFound):
            named_contexts.remove(tmp_path, name)


@pytest.mark.parametrize("name", ["prod", "calvinverse.example.org", "current", "a.token", "0_1"])
def test_names_that_a_context_can_have(tmp_path: Path, name: str) -> None:
    named_contexts.store(tmp_path, name, NamedContext(address=PROD), "cv_token")
    named_contexts.use(tmp_path, name)
    assert (named_contexts.names(tmp_path), named_contexts.current(tmp_path)) == ([name], name)
    assert named_contexts.remove(tmp_path, name)
    assert (named_contexts.names(tmp_path), named_contexts.current(tmp_path)) == ([], "default")


def test_an_unknown_name_is_told_with_those_that_are_near(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(NotFound, match=r"no context 'prd'\. Did you mean 'prod'\?"):
        find_context(name="prd", environ=environ)
    with pytest.raises(NotFound, match=r"no context 'defualt'\. Did you mean 'default'\?"):
        named_contexts.use(tmp_path, "defualt")
    with pytest.raises(NotFound, match="'default'"):
        find_context(name="default", environ={"CALVINVERSE_STATE": str(tmp_path / "none")})


def test_a_context_that_cannot_be_read_says_how_to_be_rid_of_it(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "contexts" / "prod.json").write_text("{")
    with pytest.raises(InvalidInput) as refused:
        find_context(name="prod", environ=environ)
    assert "context remove prod" in refused.value.hint
    named_contexts.remove(tmp_path, "prod")
    assert named_contexts.names(tmp_path) == ["test"]


def test_the_context_that_deploy_writes_stays_as_it_is(tmp_path: Path) -> None:
    token = tmp_path / "token"
    file = write_context(tmp_path, Context(address="http://127.0.0.1:1", token_file=token, name="meta"))
    written = file.read_text()
    assert "pinned" not in written
    environ = {"CALVINVERSE_STATE": str(tmp_path)}
    named_contexts.store(tmp_path, "prod", NamedContext(address=PROD), "cv_prod")
    assert find_context(environ=environ) == Context(address="http://127.0.0.1:1", token_file=token, name="default")
    named_contexts.use(tmp_path, "prod")
    assert find_context(environ=environ).name == "prod"
    assert find_context(name="default", environ=environ).token_file == token
    assert file.read_text() == written
    file.write_text('{"address": "http://127.0.0.1:2"}')  # one of the first files had nothing else
    assert stored_context(tmp_path) == Context(address="http://127.0.0.1:2")


# --- which one is chosen ----------------------------------------------------------------------------------------------


def chosen(environ: dict[str, str], **given: str) -> tuple[str, str]:
    """The name and the address of the chosen context."""
    context = find_context(environ=environ, **given)  # type: ignore[arg-type]
    return context.name, context.address


def test_the_order_of_precedence(tmp_path: Path, environ: dict[str, str]) -> None:
    assert chosen(environ) == ("default", "http://127.0.0.1:1")
    named_contexts.use(tmp_path, "prod")
    assert chosen(environ) == ("prod", PROD)
    assert chosen(environ, current="test") == ("test", TEST)
    assert chosen(environ | {"CALVINVERSE_CONTEXT": "test"}) == ("test", TEST)
    assert chosen(environ | {"CALVINVERSE_CONTEXT": "test"}, name="default") == ("default", "http://127.0.0.1:1")
    assert chosen(environ | {"CALVINVERSE_ADDRESS": "https://a"}) == ("", "https://a")
    assert chosen(environ | {"CALVINVERSE_ADDRESS": "https://a"}, name="test") == ("test", TEST)
    assert chosen(environ | {"CALVINVERSE_CONTEXT": "test"}, address="https://a") == ("", "https://a")
    with pytest.raises(InvalidInput, match="Both CALVINVERSE_CONTEXT and CALVINVERSE_ADDRESS"):
        find_context(environ=environ | {"CALVINVERSE_CONTEXT": "test", "CALVINVERSE_ADDRESS": "https://a"})
    with pytest.raises(InvalidInput, match="Both a context and an address"):
        find_context(name="test", address="https://a", environ=environ)


def test_a_context_that_is_named_takes_nothing_from_variables(tmp_path: Path, environ: dict[str, str]) -> None:
    """They may be meant for another service, which must not be told another one's token."""
    environ |= {"CALVINVERSE_TOKEN_FILE": str(tmp_path / "other"), "CALVINVERSE_CA_FILE": str(tmp_path / "ca")}
    context = find_context(name="prod", environ=environ)
    assert (context.read_token(), context.ca_file) == ("cv_prod", None)
    given = find_context(name="prod", token_file=tmp_path / "given", environ=environ)
    assert given.token_file == tmp_path / "given"
    by_variable = find_context(environ=environ | {"CALVINVERSE_CONTEXT": "prod"})
    assert (by_variable.token_file, by_variable.ca_file) == (tmp_path / "other", tmp_path / "ca")


def test_a_stored_token_is_sent_to_its_own_address_only(tmp_path: Path, environ: dict[str, str]) -> None:
    named_contexts.use(tmp_path, "prod")
    assert find_context(address=f"{PROD}/", environ=environ).read_token() == "cv_prod"
    assert find_context(address="http://127.0.0.1:1", environ=environ).token_file == tmp_path / "token"
    with pytest.raises(Unauthenticated) as refused:
        find_context(address=TEST, environ=environ).read_token()
    assert f"The stored token is for {PROD}" in refused.value.hint


def test_a_current_context_that_is_gone_is_told(tmp_path: Path, environ: dict[str, str]) -> None:
    named_contexts.use(tmp_path, "prod")
    (tmp_path / "contexts" / "prod.json").unlink()
    with pytest.raises(NotFound, match="'prod', which is the current one"):
        find_context(environ=environ)
    assert find_context(name="test", environ=environ).name == "test"
    assert find_context(address="https://a", environ=environ).address == "https://a"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\x00", b"../prod", b"two words", b"prod\ntest", b"PROD", None])
def test_a_current_context_that_cannot_be_read_leads_to_no_other_service(
    tmp_path: Path, environ: dict[str, str], content: bytes | None
) -> None:
    """None: somebody has made a folder of that name."""
    file = tmp_path / "contexts" / "current"
    if content is None:
        (file / "x").mkdir(parents=True)
    else:
        file.write_bytes(content)
    with pytest.raises(InvalidInput, match="The current context isn't known") as caught:
        find_context(environ=environ)
    assert "calvinverse context use" in caught.value.hint
    assert find_context(name="test", environ=environ).name == "test"
    assert find_context(address="http://127.0.0.1:1", environ=environ).name == "default"
    assert not named_contexts.remove(tmp_path, "test")
    named_contexts.use(tmp_path, "prod")
    assert find_context(environ=environ).name == "prod"


@pytest.mark.parametrize("folder", ["state", "state/contexts"])
def test_a_file_in_place_of_a_folder_is_told_with_what_helps(tmp_path: Path, folder: str) -> None:
    """Choosing a context can't help there."""
    file, state = tmp_path / folder, tmp_path / "state"
    file.parent.mkdir(exist_ok=True)
    file.touch()
    for what in (named_contexts.names, named_contexts.current, stored_context):
        with pytest.raises(InvalidInput, match=f"^{file} has to be a folder") as told:
            what(state)
        assert told.value.hint.startswith("Remove it")
        assert ("CALVINVERSE_STATE" in told.value.hint) == (folder == "state")
    for name in (None, "far", "default"):
        with pytest.raises(InvalidInput, match=f"^{file} has to be a folder"):
            find_context(name=name, environ={"CALVINVERSE_STATE": str(state)})


def test_a_folder_in_place_of_a_context_can_be_replaced_and_removed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "contexts" / f"{name}.json" / "inside").mkdir(parents=True)
        (tmp_path / "contexts" / f"{name}.token").mkdir()
    with pytest.raises(InvalidInput, match=r"'one' in .* can't be read"):
        load_context(tmp_path, "one")
    named_contexts.store(tmp_path, "one", NamedContext(address=PROD), "cv_one", replace=True)
    assert load_context(tmp_path, "one").read_token() == "cv_one"
    named_contexts.remove(tmp_path, "two")
    assert named_contexts.names(tmp_path) == ["one"]
    assert sorted(path.name for path in (tmp_path / "contexts").glob("[!.]*")) == ["one.json", "one.token"]


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8400",
        "http://127.9.9.9",
        "http://[::1]:1",
        "http://localhost:1",
        "HTTP://a.b.localhost:1",
        PROD,
    ],
)
def test_addresses_that_keep_a_token_private(address: str) -> None:
    assert check_safe_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "http://calvinverse.example.org",
        "http://192.0.2.1:8400",
        "http://0.0.0.0:8400",
        "http://localhost.example.org",
        "http://notlocalhost",
        "HTTP://[2001:db8::1]",
    ],
)
def test_plain_http_beyond_loopback_is_refused_with_the_reason(tmp_path: Path, address: str) -> None:
    with pytest.raises(UnsafeAddress, match="the token could be read on the way"):
        check_safe_address(address)
    environ = {"CALVINVERSE_STATE": str(tmp_path)}
    for given in ({"address": address}, {"environ": environ | {"CALVINVERSE_ADDRESS": address}}):
        with pytest.raises(UnsafeAddress):
            find_context(**({"environ": environ} | given))
    named_contexts.store(tmp_path, "edited", NamedContext(address=address), "cv_token")
    with pytest.raises(UnsafeAddress):
        find_context(name="edited", environ=environ)


def test_only_names_below_localhost_are_mapped_to_loopback() -> None:
    assert [is_localhost_name(host) for host in ("a.localhost", "A.B.LOCALHOST")] == [True, True]
    others = ("localhost", "localhost.example.org", "notlocalhost", "a.localhost.example.org", "")
    assert not any(map(is_localhost_name, others))
    assert is_loopback("https://calvinverse.localhost:8443")


# --- authorities ------------------------------------------------------------------------------------------------------


def test_an_authority_is_copied_without_anything_else(tmp_path: Path) -> None:
    one, other = make_authority("one"), make_authority("other")
    file = tmp_path / "ca.pem"
    file.write_text(f"Comment\n{one.pem}\nAnother\n{other.pem}")
    pem = read_authority_file(file, datetime.now(UTC))
    assert pem == one.pem + other.pem
    assert fingerprints(pem) == [one.fingerprint, other.fingerprint]
    assert [found.subject for found in read_authorities(pem)] == ["CN=one", "CN=other"]


def test_what_is_no_authority_is_refused(tmp_path: Path) -> None:
    authority, now = make_authority(), datetime.now(UTC)
    server = authority.sign(tmp_path / "server.pem", "example.org").read_text()
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    for name in ("none", "binary"):
        with pytest.raises(InvalidInput, match=name):
            read_authority_file(tmp_path / name, now)
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for text, why in (
        ("nothing", "holds no certificate"),
        (broken, "holds no certificate"),
        (server, "holds a private key"),
        (server.partition("-----END PRIVATE KEY-----\n")[2], "isn't an authority's: CN=server"),
        (make_authority("old", begins=-2 * DAY, ends=-DAY).pem, "CN=old in it expired on"),
        (make_authority("new", begins=DAY, ends=2 * DAY).pem, "CN=new in it isn't valid before"),
    ):
        with pytest.raises(InvalidInput, match=why):
            check_authorities(text, "it", now)
    assert check_authorities(authority.pem, "it", now + timedelta(hours=1)) == authority.pem


# --- exported contexts ------------------------------------------------------------------------------------------------


def test_an_exported_context_is_read_as_it_was_written() -> None:
    context = ExportedContext(address=PROD, authority=make_authority().pem, token="cv_secret")
    assert read_export(write_export(context), "it") == context
    assert "cv_secret" not in repr(context)


@pytest.mark.parametrize(
    "text", ["", "cv_secret", "[]", '{"address": "https://a"}', '{"calvinverse_context": 2, "address": "https://a"}']
)
def test_what_is_no_exported_context_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput, match="holds no exported context") as refused:
        read_export(text, "it")
    assert "cv_secret" not in f"{refused.value.message} {refused.value.hint} {refused.value.__cause__}"
