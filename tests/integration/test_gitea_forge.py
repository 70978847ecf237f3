"""The forge of tests itself: it runs, and delivers what `tests/fixtures/webhooks/gitea` says.

With CALVINVERSE_RECORD=1 in the environment, what it delivers is written there.
"""

import os
import secrets

from tests.support.forge import Forge
from tests.support.forge_git import force_push, push_deletion
from tests.support.forge_recording import Recording, shape, write
from tests.support.receivers import hook_server
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
