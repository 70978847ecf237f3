"""What deliveries of forges tell: the payloads are those of `tests/fixtures/webhooks`."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from environments.domain.received_event import KINDS as EVENT_KINDS
from environments.domain.received_event import NewReceivedEvent, Source
from environments.providers.forges.kinds import KINDS
from environments.service.webhook_kinds import WHY_IGNORED, Delivered, Ignored
from tests.support.webhook_payloads import FOLDER, FORGES, Payload, payload, payloads

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALL = [(forge, name) for forge in FORGES if (FOLDER / forge).is_dir() for name in payloads(forge)]

PULL_REQUESTS = {
    "pull_request_opened": ["opened"],
    "pull_request_opened_draft": ["opened"],
    "pull_request_opened_fork": ["opened"],
    "pull_request_reopened": ["reopened"],
    "pull_request_synchronized": ["pushed"],
    "pull_request_synchronized_fork": ["pushed"],
    "pull_request_closed": ["closed"],
    "pull_request_closed_branch_deleted": ["closed"],
    "pull_request_closed_fork_deleted": ["closed"],
    "pull_request_merged": ["merged"],
    "pull_request_labelled": ["labelled"],
    "pull_request_labelled_fork": ["labelled"],
    "pull_request_unlabelled": ["unlabelled"],
}
BRANCHES = {
    "push": ["pushed"],
    "push_created": ["pushed"],
    "push_forced": ["pushed"],
    "push_deleted": ["deleted"],
    "delete_branch": ["deleted"],
    "delete_branch_by_push": ["deleted"],
}
FIELDS = {
    "repository",
    "number",
    "title",
    "state",
    "merged",
    "draft",
    "head_branch",
    "head_sha",
    "head_repository",
    "base_branch",
    "fork",
    "labels",
    "label",
    "author",
    "url",
    "updated_at",
}


def told(one: Payload, **headers: str) -> Any:
    delivered = Delivered({name.lower(): value for name, value in (one.headers | headers).items()}, one.body, NOW)
    return KINDS[one.forge].events("shop", "delivery-1", delivered, json.loads(one.body))


def events(forge: str, name: str) -> list[NewReceivedEvent]:
    found = told(payload(forge, name))
    assert not isinstance(found, Ignored), found
    return list(found)


@pytest.mark.parametrize(("forge", "name"), ALL)
def test_each_payload_tells_what_its_name_says(forge: str, name: str) -> None:
    wanted = PULL_REQUESTS.get(name) or BRANCHES.get(name)
    found = told(payload(forge, name))
    if wanted is None:
        assert isinstance(found, Ignored)
        assert found.why in WHY_IGNORED
        return
    assert [event.kind for event in found] == wanted
    (event,) = found
    source = Source.PULL_REQUEST if name in PULL_REQUESTS else Source.BRANCH
    assert (event.source, event.origin, event.delivery) == (source, "shop", "delivery-1")
    assert event.kind in EVENT_KINDS[source]
    assert event.fields["repository"]
    separator = "#" if name in PULL_REQUESTS else "@"
    assert event.subject.startswith(f"{event.fields['repository']}{separator}")


@pytest.mark.parametrize(("forge", "name"), [one for one in ALL if one[1] in PULL_REQUESTS])
def test_a_pull_request_has_all_fields(forge: str, name: str) -> None:
    (event,) = events(forge, name)
    fields = event.fields
    assert set(fields) == FIELDS
    assert fields["state"] == ("closed" if event.kind in ("closed", "merged") else "open")
    assert fields["merged"] == (event.kind == "merged")
    assert fields["fork"] == ("fork" in name)
    assert fields["draft"] == ("draft" in name or (forge != "github" and "branch_deleted" in name))
    assert len(str(fields["head_sha"])) == 40
    assert event.at is not None


@pytest.mark.parametrize("forge", [one for one in ("github", "gitlab") if (FOLDER / one).is_dir()])
def test_the_label_that_was_given_is_told(forge: str) -> None:
    (event,) = events(forge, "pull_request_labelled")
    assert (event.fields["label"], event.fields["labels"]) == ("preview", ("preview",))
    (event,) = events(forge, "pull_request_unlabelled")
    assert event.fields["label"] == "preview"


@pytest.mark.parametrize("forge", [one for one in ("gitea", "forgejo") if (FOLDER / one).is_dir()])
def test_a_branch_that_is_gone_keeps_its_name(forge: str) -> None:
    (event,) = events(forge, "pull_request_closed_branch_deleted")
    assert event.fields["head_branch"] == "wishes"


@pytest.mark.parametrize("number", [0, -1, True, "3", None, 2**31, 10**30])
def test_what_no_pull_request_has_as_its_number_is_left(number: object) -> None:
    """PostgreSQL could not keep it, and the event would be tried for ever, before all others."""
    repository = {"full_name": "ada/shop"}
    pull = {"number": number, "state": "open", "head": {"ref": "x", "repo": repository}, "base": {"ref": "main"}}
    body = {"action": "opened", "repository": repository, "pull_request": pull}

    found = KINDS["gitea"].events(
        "shop", "d-1", Delivered({"x-gitea-event": "pull_request"}, json.dumps(body).encode(), NOW), body
    )

    assert found == Ignored("incomplete")


def test_a_fork_that_is_gone_counts_as_a_fork() -> None:
    (event,) = events("github", "pull_request_closed_fork_deleted")
    assert (event.fields["fork"], event.fields["head_repository"]) == (True, "")


@pytest.mark.parametrize("forge", ["gitea", "forgejo"])
def test_what_was_pushed_for_review_is_a_stranger_s(forge: str) -> None:
    repository = {"full_name": "ada/shop"}
    head = {"label": "", "ref": "refs/pull/3/head", "sha": "a" * 40, "repo": repository}
    pull = {"number": 3, "state": "open", "head": head, "base": {"ref": "main", "repo": repository}}
    body = {"action": "opened", "repository": repository, "pull_request": pull}

    (event,) = told(Payload(forge, "", {"X-Gitea-Event": "pull_request"}, json.dumps(body).encode()))

    assert (event.fields["fork"], event.fields["head_repository"]) == (True, "")


@pytest.mark.parametrize("forge", ["gitea", "forgejo"])
def test_gitea_and_forgejo_tell_of_labels_that_are_set_or_of_changes(forge: str) -> None:
    pull = {"number": 3, "state": "open", "labels": [{"name": "a"}], "base": {"ref": "main"}}
    body = {"action": "label_updated", "repository": {"full_name": "ada/shop"}, "pull_request": pull}
    headers = {"X-Gitea-Event": "pull_request"}

    def kinds(more: dict[str, Any]) -> list[tuple[str, object]]:
        found = told(Payload(forge, "", headers, json.dumps(body | more).encode()))
        return [(event.kind, event.fields["label"]) for event in found]

    assert kinds({}) == [("labelled", "")]
    assert kinds({"action": "label_cleared", "pull_request": {**pull, "labels": []}}) == [("unlabelled", "")]
    changes = {"added_labels": [{"name": "a"}, {"name": "b"}], "removed_labels": [{"name": "c"}]}
    assert kinds({"changes": changes}) == [("labelled", "a"), ("labelled", "b"), ("unlabelled", "c")]


def test_several_events_of_a_delivery_have_ids_of_their_own() -> None:
    given = payload("gitlab", "pull_request_labelled")
    content = given.content
    content["changes"]["labels"]["current"].append({"title": "other"})
    found = told(given.changed(changes=content["changes"]))
    assert [(event.delivery, event.fields["label"]) for event in found] == [
        ("delivery-1", "preview"),
        ("delivery-1#1", "other"),
    ]


HOSTILE: list[Any] = [None, True, 0, -1, 2**70, "", "x" * 5000, [], {}, [[]], ["a"], {"name": {}}]


@pytest.mark.parametrize(("forge", "name"), [one for one in ALL if one[1] in {**PULL_REQUESTS, **BRANCHES}])
def test_members_of_any_kind_are_no_fault_of_ours(forge: str, name: str) -> None:
    """Each member of a payload is replaced by values of every kind."""
    given = payload(forge, name)
    delivered = Delivered({key.lower(): value for key, value in given.headers.items()}, given.body, NOW)

    def walk(content: Any, place: Any, key: Any, depth: int) -> None:
        kept = place[key]
        for value in HOSTILE:
            place[key] = value
            found = KINDS[forge].events("shop", "1", delivered, content)
            assert isinstance(found, Ignored) or all(isinstance(one, NewReceivedEvent) for one in found)
        place[key] = kept
        if isinstance(kept, dict) and depth < 3:
            for inner in list(kept):
                walk(content, kept, inner, depth + 1)

    content = given.content
    for key in list(content):
        walk(content, content, key, 0)
