"""What is asked of each forge, and how its answers are read, by answers as the forges document them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from environments.domain.errors import ForgeRefused, ForgeUnavailable
from environments.providers.backend.bounded import AddressRefused
from environments.providers.forges.configured import ConfiguredForges, ForgeAccess, api_address
from environments.service.forges import Forge
from tests.fakes.forge_answers import Answers
from tests.support.hostile_texts import HOSTILE

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
PULL = {
    "number": 12,
    "title": "Fix",
    "state": "open",
    "merged": False,
    "draft": False,
    "head": {"ref": "fix/one", "sha": "a" * 40, "repo": {"full_name": "acme/shop"}},
    "base": {"ref": "main", "repo": {"full_name": "acme/shop"}},
    "labels": [{"name": "preview"}],
    "user": {"login": "ada"},
    "html_url": "https://forge.example/acme/shop/pulls/12",
    "updated_at": "2026-11-27T12:00:00Z",
    "closed_at": None,
    "merged_at": None,
}
PUSHED_FOR_REVIEW = {"label": "", "ref": "refs/pull/12/head", "sha": "a" * 40, "repo": {"full_name": "acme/shop"}}
"""The head of a pull request that a stranger made by a push to `refs/for/main`, as Gitea 1.26 shows it."""
MERGE_REQUEST = {
    "iid": 12,
    "title": "Fix",
    "state": "opened",
    "draft": False,
    "source_branch": "fix/one",
    "target_branch": "main",
    "sha": "a" * 40,
    "source_project_id": 5,
    "target_project_id": 5,
    "labels": ["preview"],
    "author": {"username": "ada"},
    "web_url": "https://gitlab.example/acme/shop/-/merge_requests/12",
    "updated_at": "2026-11-27T12:00:00.000Z",
    "closed_at": None,
    "merged_at": None,
}
P = "/api/v1/repos/acme/shop"
G = "/api/v4/projects/acme%2Fshop"


def forge(kind: str, session: requests.Session, clock: Callable[[], datetime] = lambda: NOW) -> Forge:
    access = ForgeAccess(kind, "https://forge.example", frozenset(), "secret-token")
    return ConfiguredForges(lambda _: access, lambda _: session, clock).of("shop")


@pytest.mark.parametrize(
    ("kind", "table", "header"),
    [
        ("gitea", {f"GET {P}/pulls/12": PULL}, ("Authorization", "token secret-token")),
        ("forgejo", {f"GET {P}/pulls/12": PULL}, ("Authorization", "token secret-token")),
        ("github", {"GET /api/v3/repos/acme/shop/pulls/12": PULL}, ("Authorization", "Bearer secret-token")),
        ("gitlab", {f"GET {G}/merge_requests/12": MERGE_REQUEST}, ("PRIVATE-TOKEN", "secret-token")),
    ],
)
def test_a_pull_request_is_read(kind: str, table: dict[str, Any], header: tuple[str, str]) -> None:
    session = Answers(table)
    pull = forge(kind, session).pull_request("acme/shop", 12)

    assert pull is not None
    assert (pull.open, pull.fork, pull.head_branch, pull.head_sha) == (True, False, "fix/one", "a" * 40)
    assert (pull.labels, pull.author) == (("preview",), "ada")
    assert session.asked[0][3][header[0]] == header[1]


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("gitea", {f"GET {P}/pulls/12": {**PULL, "head": {**PULL["head"], "repo": None}}}),  # type: ignore[dict-item]
        ("gitea", {f"GET {P}/pulls/12": {**PULL, "head": PUSHED_FOR_REVIEW}}),
        ("forgejo", {f"GET {P}/pulls/12": {**PULL, "head": PUSHED_FOR_REVIEW}}),
        ("gitlab", {f"GET {G}/merge_requests/12": {**MERGE_REQUEST, "source_project_id": None}}),
        ("gitlab", {f"GET {G}/merge_requests/12": {**MERGE_REQUEST, "source_project_id": 6}}),
    ],
)
def test_what_comes_from_elsewhere_or_nowhere_is_a_fork(kind: str, table: dict[str, Any]) -> None:
    pull = forge(kind, Answers(table)).pull_request("acme/shop", 12)

    assert pull is not None
    assert pull.fork


def test_merged_and_closed_ones_say_since_when() -> None:
    merged = {**PULL, "state": "closed", "merged": True, "merged_at": "2026-11-27T11:00:00Z"}
    of_gitlab = {**MERGE_REQUEST, "state": "closed", "closed_at": "2026-11-27T11:00:00.000Z"}

    first = forge("gitea", Answers({f"GET {P}/pulls/12": merged})).pull_request("acme/shop", 12)
    second = forge("gitlab", Answers({f"GET {G}/merge_requests/12": of_gitlab})).pull_request("acme/shop", 12)

    assert first is not None
    assert second is not None
    assert (first.merged, first.open, first.closed_at) == (True, False, NOW - timedelta(hours=1))
    assert (second.merged, second.open, second.closed_at) == (False, False, NOW - timedelta(hours=1))


@pytest.mark.parametrize(("kind", "repository"), [("gitea", P), ("gitlab", G)])
def test_a_repository_that_is_not_shown_says_nothing_of_its_pull_requests(kind: str, repository: str) -> None:
    with pytest.raises(ForgeRefused, match="doesn't show"):
        forge(kind, Answers({})).pull_request("acme/shop", 12)

    assert forge(kind, Answers({f"GET {repository}": {"id": 5}})).pull_request("acme/shop", 12) is None


def test_lists_are_read_page_by_page() -> None:
    many = [{**PULL, "number": number} for number in range(1, 51)]
    session = Answers({f"GET {P}/pulls?page=1": many, f"GET {P}/pulls?page=2": [{**PULL, "number": 51}]})

    assert [pull.number for pull in forge("gitea", session).open_pull_requests("acme/shop")] == list(range(1, 52))


def test_an_answer_that_has_not_changed_is_not_sent_again() -> None:
    session = Answers({f"GET {P}/pulls/12": [(200, PULL, {"ETag": '"one"'}), (304, b"", {})]})
    asked = forge("gitea", session)

    assert asked.pull_request("acme/shop", 12) == asked.pull_request("acme/shop", 12)
    assert "If-None-Match" not in session.asked[0][3]
    assert session.asked[1][3]["If-None-Match"] == '"one"'


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "90"}, 90),
        (403, {"Retry-After": "90"}, 90),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 120)}, 120),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": str(int(NOW.timestamp()) + 120)}, 120),
        (429, {"Retry-After": "Fri, 27 Nov 2026 12:02:00 GMT"}, 120),
        (429, {"Retry-After": "999999999"}, 3600),
        (429, {}, 60),
    ],
)
def test_nothing_is_called_before_the_rate_limit_is_renewed(
    status: int, headers: dict[str, str], seconds: float
) -> None:
    now = [NOW]
    session = Answers({f"GET {P}/pulls/12": [(status, {}, headers), (200, PULL, {})]})
    asked = forge("gitea", session, lambda: now[0])

    for _ in range(3):
        with pytest.raises(ForgeUnavailable) as error:
            asked.pull_request("acme/shop", 12)
        assert error.value.details["retry_after"] == seconds
    assert len(session.asked) == 1
    now[0] += timedelta(seconds=seconds)
    assert asked.pull_request("acme/shop", 12) is not None


def test_the_last_call_that_a_limit_allows_still_counts() -> None:
    left = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 60)}
    asked = forge("github", Answers({"GET /api/v3/repos/acme/shop/pulls/12": (200, PULL, left)}))

    assert asked.pull_request("acme/shop", 12) is not None
    with pytest.raises(ForgeUnavailable):
        asked.pull_request("acme/shop", 12)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((500, {}, {}), ForgeUnavailable),
        ((503, {}, {"Retry-After": "5"}), ForgeUnavailable),
        (requests.ConnectionError("refused by 10.0.0.1"), ForgeUnavailable),
        (requests.ReadTimeout("slow"), ForgeUnavailable),
        (AddressRefused("forge.example port 443 isn't called (127.0.0.1): it is loopback"), ForgeRefused),
        ((401, {"message": "bad\x1b[31m credentials"}, {}), ForgeRefused),
        ((403, {"message": "no"}, {}), ForgeRefused),
        ((301, {}, {"Location": "http://127.0.0.1/"}), ForgeRefused),
        ((200, b"<html>", {}), ForgeRefused),
        ((200, b"[" * 100_000, {}), ForgeRefused),
        ((200, [], {}), ForgeRefused),
        ((200, {"number": "12"}, {}), ForgeRefused),
        ((200, {"number": 2**31}, {}), ForgeRefused),
    ],
)
def test_every_fault_is_one_of_two(answer: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        forge("gitea", Answers({f"GET {P}/pulls/12": answer})).pull_request("acme/shop", 12)

    assert "secret-token" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_one_comment_is_edited_in_place() -> None:
    session = Answers({f"PATCH {P}/issues/comments/7": {"id": 7}})

    assert forge("gitea", session).put_comment("acme/shop", 12, "7", "<!-- m -->x", "<!-- m -->") == "7"
    assert session.asked[0][:3] == ("PATCH", f"{P}/issues/comments/7", {"body": "<!-- m -->x"})


def test_a_comment_whose_id_was_lost_is_found_by_its_mark_and_author() -> None:
    comments = [
        {"id": 5, "body": "<!-- m --> mine, says eve", "user": {"login": "eve"}},
        {"id": 6, "body": "I saw <!-- m -->", "user": {"login": "bot"}},
        {"id": 7, "body": "<!-- m --> old", "user": {"login": "bot"}},
    ]
    session = Answers(
        {
            "GET /api/v1/user": {"login": "bot"},
            f"GET {P}/issues/12/comments": comments,
            f"PATCH {P}/issues/comments/7": {"id": 7},
        }
    )

    assert forge("gitea", session).put_comment("acme/shop", 12, "", "<!-- m -->x", "<!-- m -->") == "7"


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (
            "gitea",
            {
                "GET /api/v1/user": {"login": "bot"},
                f"GET {P}/issues/12/comments": [],
                f"POST {P}/issues/12/comments": (201, {"id": 9}, {}),
            },
        ),
        (
            "github",
            {
                "GET /api/v3/repos/acme/shop/issues/12/comments": [],
                "POST /api/v3/repos/acme/shop/issues/12/comments": (201, {"id": 9}, {}),
            },
        ),
        (
            "gitlab",
            {
                "GET /api/v4/user": {"username": "bot"},
                f"GET {G}/merge_requests/12/notes": [],
                f"POST {G}/merge_requests/12/notes": (201, {"id": 9}, {}),
            },
        ),
    ],
)
def test_a_comment_that_somebody_deleted_is_written_again(kind: str, table: dict[str, Any]) -> None:
    assert forge(kind, Answers(table)).put_comment("acme/shop", 12, "7", "<!-- m -->x", "<!-- m -->") == "9"


@pytest.mark.parametrize(("kind", "path"), [("gitea", f"{P}/statuses/abc"), ("gitlab", f"{G}/statuses/abc")])
def test_a_status_has_the_name_of_its_trigger(kind: str, path: str) -> None:
    session = Answers({f"POST {path}": (201, {}, {})})
    forge(kind, session).set_status("acme/shop", "abc", "calvinverse/shop", "failure", "x" * 1000, "https://p.example/")

    body = session.asked[0][2]
    assert "calvinverse/shop" in body.values()
    assert len(body["description"]) <= 255
    assert body["state"] in ("failure", "failed")


@pytest.mark.parametrize("kind", ["gitea", "github", "gitlab"])
def test_hostile_names_lead_nowhere_else(kind: str) -> None:
    session = Answers({})
    for text in HOSTILE:
        forge(kind, session).branch("acme/shop", text)
        if not text.isascii() or not all(part and part not in (".", "..") for part in text.split("/")):
            with pytest.raises(ForgeRefused):
                forge(kind, session).branch(text, "main")
    for _, path, _, _ in session.asked:
        parts = path.split("/")
        assert ".." not in parts
        assert path.isascii()
        assert not set("?#") & set(path)


@pytest.mark.parametrize(
    ("kind", "address", "api"),
    [
        ("github", "", "https://api.github.com"),
        ("github", "https://github.com/", "https://api.github.com"),
        ("github", "https://git.example", "https://git.example/api/v3"),
        ("gitlab", "", "https://gitlab.com/api/v4"),
        ("gitlab", "https://lab.example/git", "https://lab.example/git/api/v4"),
        ("gitea", "https://tea.example", "https://tea.example/api/v1"),
        ("forgejo", "https://forge.example/api/v1", "https://forge.example/api/v1"),
    ],
)
def test_the_address_of_the_api_follows_from_that_of_the_forge(kind: str, address: str, api: str) -> None:
    assert api_address(kind, address) == api


def test_a_forge_without_address_token_or_kind_is_refused() -> None:
    for access in (("gitea", "", "t"), ("gitea", "https://x.example", ""), ("generic", "https://x.example", "t")):
        made = ConfiguredForges(
            lambda _, access=access: ForgeAccess(access[0], access[1], frozenset(), access[2]),  # type: ignore[misc]
            lambda _: Answers({}),
            lambda: NOW,
        )
        with pytest.raises(ForgeRefused):
            made.of("shop")
