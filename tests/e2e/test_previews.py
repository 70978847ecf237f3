"""Previews of pull requests of a real forge, on the real cluster, with the template that ships."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from environments.domain.lifecycle import ENDED, State
from environments.wire.environments import EnvironmentView
from environments.wire.webhooks import WebhookRequest
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.forge import Forge
from tests.support.service_process import ServiceProcess

SECONDS = 240.0
"""For what takes seconds on an idle machine."""

ROUNDS = 50
KILLED_EVERY = 10
"""The service is killed in every so many rounds."""

SCOPES = ("write:issue", "write:repository", "read:user")


class Shop:
    """A repository at the forge, a webhook of the service, and a trigger that makes previews."""

    def __init__(self, service: ServiceProcess, forge: Forge, owner: str) -> None:
        self.service, self.forge, self.owner = service, forge, owner
        self.repository = forge.repository(owner, "shop")
        server = forge.server
        made = service.client.create_webhook(
            WebhookRequest(
                name=owner,
                kind="gitea",
                address=server.address,
                token=forge.token(owner, *SCOPES),
                allowed=(f"127.0.0.1:{server.port}",),
                users=("everyone",),
            )
        )
        url = f"{service.address}/v1/webhooks/{owner}/deliveries"
        self.hook = forge.webhook(self.repository, url, made.secret)
        service.client.set_trigger(
            {
                "name": owner,
                "on": "git.pull_request",
                "webhook": owner,
                "repository": self.repository,
                "action": "preview",
                "template": "preview",
                "parameters": {
                    "repository": "{{ event.repository }}",
                    "number": "{{ event.number }}",
                    "commit": "{{ event.head_sha }}",
                },
            }
        )

    def open(self, branch: str) -> tuple[int, str, str]:
        """Opens a pull request: its number, its commit, and its environment's name."""
        sha = self.forge.push(self.repository, branch)
        number = self.forge.pull(self.repository, branch)
        return number, sha, f"{self.repository.replace('/', '-')}-pr-{number}"

    def comment(self, number: int) -> str:
        """The one comment of the service at a pull request; empty: there is none."""
        found = [str(one["body"]) for one in self.forge.comments(self.repository, number)]
        mine = [body for body in found if body.startswith("<!-- calvinverse:")]
        assert len(mine) <= 1, mine
        return mine[0] if mine else ""

    def living(self, name: str) -> list[EnvironmentView]:
        """Environments of that name that haven't ended."""
        return [one for one in self.service.client.environments() if one.name == name and one.state not in ENDED]

    def wait_gone(self, name: str) -> None:
        """Until no environment of that name is left."""
        eventually(lambda: not self.living(name), f"{name} is still there")


def eventually(what: Callable[[], Any], otherwise: str) -> Any:
    """What it gives once that is true."""
    end = time.monotonic() + SECONDS
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, otherwise
        time.sleep(0.5)


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Iterator[ServiceProcess]:
    """One that compares triggers with the forge every few seconds."""
    service = ServiceProcess(tmp_path / "state", cluster.agents.site.connections_file, CALVINVERSE_PREVIEW_SWEEP="5s")
    service.start()
    images_here.publish(service.client, "web")
    yield service
    service.stop()


def test_opened_pushed_and_closed(service: ServiceProcess, forge: Forge) -> None:
    shop = Shop(service, forge, "opener")
    number, first, name = shop.open("basket")
    eventually(lambda: shop.living(name), "no environment was made")
    service.wait_for(name, State.READY)
    comment = eventually(lambda: "is ready" in shop.comment(number) and shop.comment(number), "nothing was commented")
    address = service.client.outputs(name)["url"].value
    assert address in comment
    assert page(address) == f"{shop.repository}#{number} at {first}"
    statuses = eventually(
        lambda: [one for one in forge.statuses(shop.repository, first) if one["status"] == "success"], "no status"
    )
    assert statuses[0]["context"] == f"calvinverse/{shop.owner}"
    assert statuses[0]["target_url"] == address

    second = forge.push(shop.repository, "basket")
    eventually(lambda: page(address).endswith(second), "a push doesn't update it")
    assert len(shop.living(name)) == 1
    eventually(lambda: second[:10] in shop.comment(number), "the comment tells the old commit")

    forge.close_pull(shop.repository, number)
    shop.wait_gone(name)
    eventually(lambda: "has ended" in shop.comment(number), f"the comment says: {shop.comment(number)}")


def test_gone_although_the_webhook_was_lost(service: ServiceProcess, forge: Forge) -> None:
    shop = Shop(service, forge, "loser")
    number, _, name = shop.open("basket")
    eventually(lambda: shop.living(name), "no environment was made")
    service.wait_for(name, State.READY)
    forge.edit_webhook(shop.repository, shop.hook, active=False)
    forge.close_pull(shop.repository, number)
    shop.wait_gone(name)

    eventually(lambda: "has ended" in shop.comment(number), f"the comment says: {shop.comment(number)}")


def test_closed_and_reopened_fifty_times_with_the_service_killed(service: ServiceProcess, forge: Forge) -> None:
    shop = Shop(service, forge, "flipper")
    number, _, name = shop.open("basket")
    eventually(lambda: shop.living(name), "no environment was made")
    for round_ in range(ROUNDS):
        forge.close_pull(shop.repository, number)
        if round_ % KILLED_EVERY == KILLED_EVERY // 2:
            service.kill()
            forge.reopen(shop.repository, number)
            service.start()
        else:
            forge.reopen(shop.repository, number)
    eventually(
        lambda: [one for one in shop.living(name) if one.state is State.READY] and "is ready" in shop.comment(number),
        f"it isn't ready in the end: {shop.living(name)}",
    )
    time.sleep(15)  # whatever is still to come comes within some sweeps
    assert len([one for one in service.client.environments() if one.state not in ENDED]) == 1
    assert shop.living(name)[0].state is State.READY

    forge.close_pull(shop.repository, number)
    shop.wait_gone(name)


def page(address: str) -> str:
    """What is shown there; empty while nothing answers."""
    try:
        return httpx2.get(address, timeout=10, trust_env=False).text.strip()
    except httpx2.HTTPError:
        return ""
