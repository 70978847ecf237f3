"""The client over HTTP, with answers from memory: errors as themselves, and retries."""

import socket
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from environments.api.statuses import http_status
from environments.client import Client, read_bundle
from environments.client.connection import ANSWER_SECONDS, OBSERVE_SECONDS
from environments.client.problems import error_from
from environments.client.stream import Lines, parse_events
from environments.context import Context, find_context, stored_context, write_context
from environments.domain.errors import (
    CalvinverseError,
    Conflict,
    InvalidInput,
    InvalidTemplate,
    NameTaken,
    NoAnswer,
    ServiceUnavailable,
    Unauthenticated,
    UnknownEnvironment,
    all_errors,
)
from environments.domain.lifecycle import DeploymentKind
from environments.domain.template import make_bundle
from environments.private_files import write_private
from environments.wire.environments import Accepted, CreateRequest
from environments.wire.plans import PlanRequest
from tests.support.views import environment_view

Handler = Callable[[httpx2.Request], httpx2.Response]


def client_of(handler: Handler, token: str | None = "cv_token") -> Client:
    """A client whose requests end in a function."""
    return Client("http://service", token, transport=httpx2.MockTransport(handler), make_key=lambda: "key")


@pytest.mark.parametrize("cls", all_errors(), ids=lambda cls: cls.__name__)
def test_a_problem_becomes_the_error_that_it_was(cls: type[CalvinverseError]) -> None:
    document = {"code": cls.code, "detail": "It is so.", "hint": "Do this.", "details": {"a": 1}}
    error = error_from("http://service", http_status(cls), document)
    assert type(error) is cls
    assert (error.message, error.hint, error.details) == ("It is so.", "Do this.", {"a": 1})


def test_a_code_of_the_future_becomes_the_nearest_error() -> None:
    error = error_from("http://service", 409, {"code": "too_new", "detail": "New."})
    assert type(error) is Conflict
    assert error.details == {"code": "too_new"}
    assert type(error_from("http://service", 418, {"code": "too_new", "title": "New."})) is CalvinverseError


@pytest.mark.parametrize(
    "answer", [httpx2.Response(502, text="<html>"), httpx2.Response(302), httpx2.Response(500, json=[])]
)
def test_an_answer_of_something_else_is_told_as_such(answer: httpx2.Response) -> None:
    with (
        client_of(lambda _: answer) as client,
        pytest.raises(ServiceUnavailable, match="not as the provisioning service"),
    ):
        client.environments()


def test_a_service_elsewhere_that_does_not_answer_is_not_to_be_started_here() -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with (
        Client("https://service:8400", "cv_token", transport=httpx2.MockTransport(fail)) as client,
        pytest.raises(ServiceUnavailable, match="can't be reached") as unreachable,
    ):
        client.environments()
    assert "calvinverse serve" not in unreachable.value.hint
    assert "calvinverse context show" in unreachable.value.hint


def test_a_name_without_an_address_is_told() -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("unknown") from socket.gaierror(socket.EAI_NONAME, "unknown")

    with client_of(fail) as client, pytest.raises(ServiceUnavailable) as unreachable:
        client.environments()
    assert unreachable.value.message == (
        "The service at http://service can't be reached: this machine finds no address for service."
    )


@pytest.mark.parametrize(
    ("failure", "sent"),
    [
        (httpx2.ConnectError("refused"), False),
        (httpx2.ConnectTimeout("too slow"), False),
        (httpx2.PoolTimeout("all are busy"), False),
        (httpx2.ReadTimeout("too slow"), True),
        (httpx2.ReadError("cut"), True),
        (httpx2.RemoteProtocolError("cut"), True),
        (httpx2.WriteTimeout("too slow"), True),
    ],
)
def test_a_change_without_an_answer_may_have_been_made(failure: Exception, sent: bool) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise failure

    with client_of(fail) as client:
        with pytest.raises(ServiceUnavailable) as changing:
            client.stop("demo")
        with pytest.raises(ServiceUnavailable) as reading:
            client.environments()
    assert isinstance(changing.value, NoAnswer) is sent
    assert ("may have been done" in changing.value.message) is sent
    assert not isinstance(reading.value, NoAnswer)


def _first_lost(second: Exception | httpx2.Response) -> Handler:
    """A service that drops the connection once a request was sent, and then fails as `second` says."""
    sent: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.method)
        if len(sent) % 2:
            raise httpx2.RemoteProtocolError("cut")
        if isinstance(second, Exception):
            raise second
        return second

    return answer


@pytest.mark.parametrize(
    "second",
    [
        httpx2.ConnectError("refused"),
        httpx2.PoolTimeout("all are busy"),
        httpx2.Response(401, json={"code": "unauthenticated", "detail": "No."}),
        httpx2.Response(403, json={"code": "forbidden", "detail": "No."}),
        httpx2.Response(429, json={"code": "too_many_requests", "detail": "Wait."}),
        httpx2.Response(503, json={"code": "database_unavailable", "detail": "Busy."}),
        httpx2.Response(400, text="another server"),
    ],
    ids=str,
)
def test_a_change_whose_first_attempt_was_lost_may_have_been_made(second: Exception | httpx2.Response) -> None:
    with client_of(_first_lost(second)) as client:
        with pytest.raises(NoAnswer, match="may have been done"):
            client.create(CreateRequest(name="demo", template="web"))
        with pytest.raises(CalvinverseError) as reading:
            client.environments()
    assert not isinstance(reading.value, NoAnswer)


def test_what_a_second_attempt_is_told_of_the_request_itself_counts() -> None:
    taken = httpx2.Response(409, json={"code": "name_taken", "detail": "Taken."})
    with client_of(_first_lost(taken)) as client, pytest.raises(NameTaken):
        client.create(CreateRequest(name="demo", template="web"))


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_change_that_something_in_between_answers_may_have_been_made(status: int) -> None:
    with (
        client_of(lambda _: httpx2.Response(status, text="<h1>")) as client,
        pytest.raises(NoAnswer, match=f"{status}, and not as .* may have been done") as told,
    ):
        client.stop("demo")
    assert told.value.hint.startswith("See whether it was done")
    assert "any proxy" in told.value.hint


@pytest.mark.parametrize("status", [302, 400, 413])
def test_a_change_that_something_in_between_refuses_was_not_made(status: int) -> None:
    with (
        client_of(lambda _: httpx2.Response(status, text="<h1>")) as client,
        pytest.raises(ServiceUnavailable) as told,
    ):
        client.stop("demo")
    assert not isinstance(told.value, NoAnswer)


def test_a_change_whose_answer_cannot_be_read_may_have_been_made() -> None:
    answer = httpx2.Response(202, json={"new": 1})
    with (
        client_of(lambda _: answer) as client,
        pytest.raises(NoAnswer, match=r"can't be understood\. What was asked for may have been done\.") as told,
    ):
        client.destroy("demo")
    assert "calvinverse doctor" in told.value.hint


def test_an_answer_of_another_shape_is_told_as_such() -> None:
    answer = httpx2.Response(200, json=[{"x": 1}])
    with client_of(lambda _: answer) as client, pytest.raises(ServiceUnavailable, match="can't be understood") as told:
        client.environments()
    assert not isinstance(told.value, NoAnswer)


def test_each_create_has_a_key_of_its_own() -> None:
    keys: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        keys.append(request.headers["idempotency-key"])
        return httpx2.Response(409, json={"code": "name_taken", "detail": "Taken."})

    with Client("http://service", "cv_token", transport=httpx2.MockTransport(handler)) as client:
        for _ in range(2):
            with pytest.raises(NameTaken):
                client.create(CreateRequest(name="demo", template="web"))
        with pytest.raises(NameTaken):
            client.create(CreateRequest(name="demo", template="web"), idempotency_key="mine")
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_names_cannot_leave_their_place_in_the_path() -> None:
    paths: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.raw_path.decode())
        return httpx2.Response(404, json={"code": "unknown_environment", "detail": "No."})

    with client_of(handler) as client:
        for name in ("a/b", "a?x=1", "../tokens", "a%2Fb", "ä"):
            with pytest.raises(CalvinverseError):
                client.environment(name)
        for name in ("", ".", ".."):
            with pytest.raises(InvalidInput):
                client.environment(name)
    assert paths == [
        "/v1/environments/a%2Fb",
        "/v1/environments/a%3Fx%3D1",
        "/v1/environments/..%2Ftokens",
        "/v1/environments/a%252Fb",
        "/v1/environments/%C3%A4",
    ]


def test_a_token_that_cannot_be_one_is_refused_before_it_is_sent() -> None:
    for token in ("two words", "line\nbreak", "tökén"):
        with pytest.raises(Unauthenticated):
            Client("http://service", token)


@pytest.mark.parametrize("address", ["service", "ftp://service", "http://", "http://[::1", "http://host:port"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises((InvalidInput, ServiceUnavailable)):
        Client(address, "cv_token").info()


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ServiceUnavailable, match=r"ca\.pem"):
        Client("https://service", "cv_token", ca_file=tmp_path / "ca.pem")


def test_events_are_read_as_the_standard_says() -> None:
    lines = [
        "retry: 5",
        "id: 7",
        "",
        ": comment",
        "",
        "id: 8",
        "event: log",
        "data: a",
        "data:b",
        "",
        "data",
        "",
        "id: x",
        "",
    ]
    assert list(parse_events(lines)) == [(7, ""), (8, "a\nb"), (None, "")]


def test_texts_in_events_make_no_lines_of_their_own() -> None:
    lines, sent = Lines(), "id: 1\ndata: a\u2028id: 99\x85\x0bb\r\n\n".encode()
    cut = [line for piece in (sent[:9], sent[9:20], sent[20:]) for line in lines.take(piece)]
    assert list(parse_events(cut)) == [(1, "a\u2028id: 99\x85\x0bb")]


# --- context and folders ----------------------------------------------------------------------------------------------


def test_the_context_is_kept_for_its_user_only(tmp_path: Path) -> None:
    state = tmp_path / "state"
    context = Context(address="http://127.0.0.1:1", token_file=tmp_path / "token", name="meta")
    path = write_context(state, context)
    assert stored_context(state) == context
    assert path.stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    path.write_text("{")
    with pytest.raises(InvalidInput):
        stored_context(state)


def test_what_is_given_wins_and_a_token_stays_with_its_address(tmp_path: Path) -> None:
    environ = {"CALVINVERSE_STATE": str(tmp_path)}
    assert find_context(environ=environ).address == "http://127.0.0.1:8400"
    token = tmp_path / "token"
    write_context(tmp_path, Context(address="https://one/", token_file=token, ca_file=tmp_path / "ca"))
    assert find_context(environ=environ).token_file == token
    assert find_context(address="https://one", environ=environ).token_file == token
    other = find_context(address="https://two", environ=environ)
    assert (other.token_file, other.ca_file) == (None, None)
    environ |= {"CALVINVERSE_ADDRESS": "https://three", "CALVINVERSE_TOKEN_FILE": str(tmp_path / "three")}
    assert find_context(environ=environ) == Context(address="https://three", token_file=tmp_path / "three")
    assert find_context(address="https://four", token_file=token, environ=environ).token_file == token


def test_a_token_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated, match="no token"):
        Context().read_token()
    with pytest.raises(Unauthenticated, match="can't be read"):
        Context(token_file=tmp_path / "none").read_token()
    write_private(tmp_path / "empty", "\n")
    with pytest.raises(Unauthenticated, match="empty"):
        Context(token_file=tmp_path / "empty").read_token()


def test_a_folder_as_a_bundle(tmp_path: Path) -> None:
    folder = tmp_path / "web"
    (folder / "policies").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")
    (folder / "template.toml").write_text("t")
    (folder / "policies" / "a.hcl").write_text("p")
    assert read_bundle(folder) == make_bundle({"template.toml": b"t", "policies/a.hcl": b"p"})
    (tmp_path / "outside").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidTemplate, match="leaves the folder"):
        read_bundle(folder)
    with pytest.raises(InvalidTemplate, match="no folder"):
        read_bundle(tmp_path / "nowhere")


def test_what_asks_every_part_of_the_world_may_take_longer_than_other_answers() -> None:
    limits: dict[str, float] = {}

    def answer(request: httpx2.Request) -> httpx2.Response:
        limits[request.url.path] = request.extensions["timeout"]["read"]
        return httpx2.Response(404, json={"code": "unknown_environment", "detail": "No."})

    with client_of(answer) as client:
        for ask in (
            lambda: client.plan("demo", PlanRequest(kind=DeploymentKind.REPAIR)),
            lambda: client.observe("demo"),
            lambda: client.drift("demo"),
        ):
            with pytest.raises(UnknownEnvironment):
                ask()
    assert limits["/v1/environments/demo/plan"] == limits["/v1/environments/demo/observe"] == OBSERVE_SECONDS
    assert limits["/v1/environments/demo/drift"] == ANSWER_SECONDS


def test_a_plan_is_applied_once_though_the_connection_was_dropped() -> None:
    keys: list[str] = []
    accepted = Accepted(environment=environment_view(), deployment_id="dep-1")

    def answer(request: httpx2.Request) -> httpx2.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx2.ReadError("dropped")
        return httpx2.Response(202, content=accepted.model_dump_json())

    with client_of(answer) as client:
        assert client.apply_plan("plan-1").deployment_id == "dep-1"
    assert keys == ["key", "key"]


def test_what_is_too_long_for_an_address_is_refused_before_it_is_sent() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise AssertionError(request.url)

    with client_of(answer) as client:
        for ask in (lambda: client.environment("x" * 70_000), lambda: client.template("web", "x" * 70_000)):
            with pytest.raises(InvalidInput, match="too long"):
                ask()
