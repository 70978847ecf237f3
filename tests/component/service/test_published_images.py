"""Environments run images by content: what a template names is looked up when the deployment begins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from environments.domain.commands import UpdateEnvironment
from environments.domain.environment import Environment
from environments.domain.errors import Forbidden, ImageNotPublished, InvalidImage
from environments.domain.lifecycle import State
from environments.service.images import Images
from environments.wire.images import PublishImageRequest
from tests.fakes.plans import NOW
from tests.support.engine_harness import ADMIN, USER, EngineHarness
from tests.support.in_process.client import InProcessClient

ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")
TEMPLATE = """
[template]
name = "things"
[[steps]]
name = "left"
uses = "test.thing"
with = { says = "{{ images.web }}" }
[[steps]]
name = "right"
uses = "test.thing"
needs = ["left"]
with = { says = "{{ images['build-agent'] if 'build-agent' in images else 'none' }}" }
[outputs]
image = "{{ steps.left.said }}"
agent = "{{ steps.right.said }}"
"""


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[EngineHarness]:
    setting = EngineHarness(tmp_path / "data")
    setting.push(TEMPLATE)
    setting.worker.start()
    yield setting
    setting.stop()


@pytest.fixture
def images(setting: EngineHarness) -> Images:
    return Images(setting.database, setting.clock)


def test_a_deployment_gets_what_is_published_when_it_begins(setting: EngineHarness, images: Images) -> None:
    images.publish(ADMIN, "web", ONE, "qa")
    setting.create()
    assert said(setting.wait_for(State.READY, State.FAILED)) == {"image": ONE, "agent": "none"}
    images.publish(ADMIN, "web", TWO, "qa")
    images.publish(ADMIN, "build-agent", ONE, "qa")
    assert said(setting.environment()) == {"image": ONE, "agent": "none"}
    setting.requests.update(ADMIN, "one", UpdateEnvironment())
    setting.until(lambda: said(setting.environment())["image"] == TWO)
    assert said(setting.wait_for(State.READY)) == {"image": TWO, "agent": ONE}


def test_an_image_that_is_not_published_fails_the_step_with_a_hint(setting: EngineHarness, images: Images) -> None:
    setting.create()
    failure = setting.wait_for(State.READY, State.FAILED).failure
    assert failure is not None
    assert (failure.code, failure.step) == ("image_not_published", "left")
    assert "'web'" in failure.message
    assert "`doit deploy`" in failure.hint
    assert "calvinverse image publish" in failure.hint
    images.publish(ADMIN, "web", ONE, "qa")
    setting.requests.retry(ADMIN, "one")
    setting.wait_for(State.READY)


def test_a_withdrawn_image_is_not_published(setting: EngineHarness, images: Images) -> None:
    images.publish(ADMIN, "web", ONE, "qa")
    images.withdraw(ADMIN, "web")
    setting.create()
    failure = setting.wait_for(State.READY, State.FAILED).failure
    assert failure is not None
    assert failure.code == "image_not_published"


def test_only_admins_publish_and_withdraw(setting: EngineHarness, images: Images) -> None:
    images.publish(ADMIN, "web", ONE, "qa")
    with pytest.raises(Forbidden):
        images.publish(USER, "web", TWO, "qa")
    with pytest.raises(Forbidden):
        images.withdraw(USER, "web")
    assert [image.reference for image in images.images()] == [ONE]


def said(environment: Environment) -> dict[str, Any]:
    return {name: output["value"] for name, output in environment.outputs.items()}


def environment() -> Environment:
    return Environment(
        id="env-1",
        name="one",
        owner="ada",
        template="things",
        template_version="1",
        bundle="sha256:0",
        state=State.REQUESTED,
        state_since=NOW,
        created_at=NOW,
    )


def test_the_api_takes_digests_and_keeps_what_was_published() -> None:
    client = InProcessClient()
    with pytest.raises(InvalidImage, match="tag"):
        client.publish_image("web", request("calvinverse/web:qa"))
    first = client.publish_image("web", request(ONE, "qa"))
    assert client.publish_image("web", request(ONE, "qa")) == first
    client.publish_image("web", request(TWO, "production"))
    assert client.image("web").reference == TWO
    assert [image.reference for image in client.images()] == [TWO]
    client.withdraw_image("web")
    assert client.images() == []
    with pytest.raises(ImageNotPublished):
        client.image("web")
    assert [image.reference for image in client.image_history("web")] == [TWO, ONE]


def request(reference: str, channel: str = "qa") -> PublishImageRequest:
    return PublishImageRequest(reference=reference, channel=channel)
