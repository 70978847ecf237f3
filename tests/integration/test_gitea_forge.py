"""The forge of tests itself: it runs, and delivers what `tests/fixtures/webhooks/gitea` says.

With CALVINVERSE_RECORD=1 in the environment, what it delivers is written there.
"""

import contextlib
import json
import os
import secrets
import socket
from datetime import UTC, datetime
from typing import NoReturn

import pytest

from environments.providers.backend.outgoing import AddressRule, outgoing_session
from environments.providers.forges.configured import ConfiguredForges, ForgeAccess
from environments.providers.local_cluster.agents.patience import wait_for
from images.errors import ToolsMissing
from tests.support import gitea as support
from tests.support.forge import Forge
from tests.support.forge_git import force_push, push_deletion, push_for_review
from tests.support.forge_recording import Recording, shape, write
from tests.support.gitea import Gitea
from tests.support.receivers import hook_server
from tests.support.service_process import free_port
from tests.support.webhook_payloads import payload, payloads

RECORD = os.environ.get("CALVINVERSE_RECORD") == "1"


def test_what_it_delivers_is_what_the_fixtures_say(forge: Forge) -> None:
    secret = secrets.token_hex(32)
    with hook_server() as hook:
        recording = Recording(hook, secret, forge.server.address)
        deliver_everything(forge, recording)
        recorded = {one.name: one for one in recording.payloads()}
    if RECORD:
        for one in recorded.values():
            write(one)
    assert payloads("gitea") == sorted(recorded)
    for name, one in recorded.items():
        kept = payload("gitea", name)
        assert shape(one.content) == shape(kept.content), name
        assert one.headers == kept.headers, name
        assert one.content.get("action") == kept.content.get("action"), name


def deliver_everything(forge: Forge, recording: Recording) -> None:
    """Does at a new repository everything that a webhook is told of and that may matter to an environment."""
    shop = forge.repository("ada", "shop")
    hook = forge.webhook(shop, f"{recording.hook.address}/v1/webhooks/shop/deliveries", recording.secret)
    forge.test_webhook(shop, hook)
    recording.take("test", "push")

    forge.branch(shop, "basket")
    recording.take("create_branch", "create", ref="basket", ref_type="branch")
    recording.take("push_created", "push", ref="refs/heads/basket")
    first = forge.push(shop, "basket", path="basket.txt")
    recording.take("push", "push", after=first)
    number = forge.pull(shop, "basket", title="Add a basket", body="Shows what is in the basket.")
    recording.take("pull_request_opened", "pull_request", action="opened", number=number)
    second = forge.push(shop, "basket", path="total.txt")
    assert recording.take("pull_request_synchronized", "pull_request_sync", number=number)["pull_request"]["head"][
        "sha"
    ] == (second)

    forge.label(shop, number, "preview")
    recording.take("pull_request_labelled", "pull_request_label", number=number)
    forge.unlabel(shop, number, "preview")
    recording.take("pull_request_unlabelled", "pull_request_label", number=number)
    forge.edit(shop, number, title="Add a basket and a total")
    recording.take("pull_request_edited", "pull_request", action="edited", number=number)
    forge.person("grace")
    forge.comment(shop, number, "Looks good.", by="grace")
    recording.take("comment", "pull_request_comment")
    forge.close_pull(shop, number)
    recording.take("pull_request_closed", "pull_request", action="closed", number=number)
    forge.reopen(shop, number)
    recording.take("pull_request_reopened", "pull_request", action="reopened", number=number)
    forge.merge(shop, number)
    merged = recording.take("pull_request_merged", "pull_request", action="closed", number=number)
    assert merged["pull_request"]["merged"] is True
    forge.delete_branch(shop, "basket")
    recording.take("delete_branch", "delete", ref="basket")

    forge.push(shop, "wishes", path="wishes.txt")
    draft = forge.pull(shop, "wishes", title="WIP: Try a wish list")
    assert recording.take("pull_request_opened_draft", "pull_request", number=draft)["pull_request"]["draft"] is True
    forge.delete_branch(shop, "wishes")
    recording.take("pull_request_closed_branch_deleted", "pull_request", action="closed", number=draft)

    fork = forge.fork(shop, "grace")
    forge.push(fork, "typo", path="typo.txt")
    theirs = forge.pull(shop, "typo", title="Fix a typo", fork=fork)
    recording.take("pull_request_opened_fork", "pull_request", action="opened", number=theirs)
    forge.push(fork, "typo", path="typos.txt")
    recording.take("pull_request_synchronized_fork", "pull_request_sync", number=theirs)
    forge.label(shop, theirs, "preview", "ready")
    recording.take("pull_request_labelled_fork", "pull_request_label", number=theirs)
    forge.delete_repository(fork)
    recording.take("pull_request_closed_fork_deleted", "pull_request", action="closed", number=theirs)
    forge.edit(shop, theirs, title="Fix a typo, after all")
    recording.take("pull_request_edited_fork_deleted", "pull_request", action="edited", number=theirs)

    forge.tag(shop, "v1.0")
    recording.take("create_tag", "create", ref_type="tag")
    recording.take("push_tag", "push", ref="refs/tags/v1.0", before="0" * 40)
    forge.delete_tag(shop, "v1.0")
    recording.take("delete_tag", "delete", ref_type="tag")
    recording.take("push_tag_deleted", "push", ref="refs/tags/v1.0", after="0" * 40)
    forge.set_status(shop, second, "success", "build")
    recording.take("status", "status")
    recording.take("fork", "fork")

    forge.push(shop, "again")
    forced = force_push(forge, shop, "again")
    recording.take("push_forced", "push", after=forced)
    push_deletion(forge, shop, "again")
    recording.take("delete_branch_by_push", "delete", ref="again")
    # Neither way to delete a branch is told as a push: only as `delete`.
    assert not recording.knows("push", after="0" * 40)


def test_what_somebody_pushes_for_review_who_may_not_write_comes_from_a_fork(forge: Forge) -> None:
    shop = forge.repository("ada", "reviewed")
    forge.person("grace")
    push_for_review(forge, shop, by="grace")
    near = frozenset({f"127.0.0.1:{forge.server.port}"})
    access = ForgeAccess("gitea", forge.server.address, near, forge.token("ada", "read:repository"))
    asked = ConfiguredForges(
        lambda _: access, lambda allowed: outgoing_session(AddressRule(allowed)), lambda: datetime.now(UTC)
    ).of("shop")

    found = [*asked.open_pull_requests(shop), asked.pull_request(shop, 1)]

    assert [(pull.author, pull.fork, pull.open) for pull in found if pull is not None] == [("grace", True, True)] * 2


def test_it_takes_a_free_port_and_keeps_everything_when_it_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, monkeypatch.context() as patch:
        ports = [free_port(), other.getsockname()[1]]
        patch.setattr(support, "free_port", ports.pop)
        server = Gitea().start()
    with contextlib.closing(server):
        assert ports == []
        forge = Forge(server)
        shop = forge.repository("ada", "shop")
        forge.push(shop, "basket")
        number = forge.pull(shop, "basket")
        server.kill()
        server.start()
        assert forge.pull_request(shop, number)["state"] == "open"
        forge.close()


def test_a_delivery_that_nobody_takes_is_known_as_failed(forge: Forge) -> None:
    shop = forge.repository("ada", "refused")
    nobody = forge.webhook(shop, f"http://127.0.0.1:{free_port()}/", "secret", events=("push",))
    elsewhere = forge.webhook(shop, "http://192.0.2.1/", "secret", events=("push",))
    head = forge.push(shop, "basket")
    for hook in (nobody, elsewhere):
        assert wait_for(lambda hook=hook: bool(forge.deliveries(hook)), 60)  # type: ignore[misc]
        assert wait_for(lambda hook=hook: forge.deliveries(hook)[0].ended, 60)  # type: ignore[misc]
        (delivery, *_) = forge.deliveries(hook)
        assert (delivery.event, delivery.succeeded) == ("push", False)
        assert json.loads(delivery.body)["ref"] == "refs/heads/basket"
    assert forge.head(shop, "basket") == head


def test_a_token_may_no_more_than_its_scopes(forge: Forge) -> None:
    shop = forge.repository("ada", "scopes")
    forge.push(shop, "basket")
    number = forge.pull(shop, "basket")
    forge.person("grace")
    forge.let_write(shop, "grace")
    with forge.server.api(forge.token("grace", "read:repository", "write:issue")) as client:
        assert client.get(f"/repos/{shop}/pulls/{number}").json()["number"] == number
        assert client.post(f"/repos/{shop}/issues/{number}/comments", json={"body": "One."}).status_code == 201
        head = forge.head(shop, "basket")
        assert client.post(f"/repos/{shop}/statuses/{head}", json={"state": "success"}).status_code == 403
    assert [comment["body"] for comment in forge.comments(shop, number)] == ["One."]
    assert forge.statuses(shop, str(head)) == []


def test_without_it_a_test_fails_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: str) -> NoReturn:
        raise ToolsMissing("The tool gitea is missing.", hint="gitea: build it with `doit forge`.")

    monkeypatch.setattr(support, "require", missing)
    with pytest.raises(AssertionError, match=r"no forge for tests\. The tool gitea is missing\.\n.*`doit forge`"):
        Gitea()


def test_what_it_said_is_shown_when_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "SETTINGS", support.SETTINGS.replace("{user}", "somebody-else"))
    server = Gitea()
    try:
        with pytest.raises(AssertionError, match=r"(?s)Gitea ended:.*somebody-else"):
            server.start()
    finally:
        server.close()
    assert not server.folder.exists()
