"""Environments run images by content: what a template names is looked up when the deployment begins."""

from typing import Any

import pytest

from environments.domain.environment import Environment
from environments.domain.errors import ImageNotPublished, InvalidImage, InvalidTemplate
from environments.domain.lifecycle import State
from environments.service.rendering import fault, render, scope
from environments.wire.images import PublishImageRequest
from tests.fakes.client import FakeClient
from tests.fakes.plans import NOW

ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")


def request(reference: str, channel: str = "qa") -> PublishImageRequest:
    return PublishImageRequest(reference=reference, channel=channel)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ images.web }}", ONE),
        ('{{ images["build-agent"] }}', TWO),
        ("x {{ images.items }}", "x " + TWO),
        ("{{ 'web' in images }}", True),
        ("{{ 'nope' in images }}", False),
    ],
)
def test_a_reference_is_found_by_name(text: str, value: Any) -> None:
    names = {"web": ONE, "build-agent": TWO, "items": TWO}
    assert fault(text) is None
    assert render(text, scope(environment(), {}, {}, names), "here") == value


@pytest.mark.parametrize("text", ["{{ images.get }}", "{{ images.nope }}", "a {{ images['nope'] }}", "{{ images[1] }}"])
def test_an_unknown_name_is_told_with_its_place(text: str) -> None:
    with pytest.raises(ImageNotPublished, match=r"^here: No image") as refused:
        render(text, scope(environment(), {}, {}, {"web": ONE}), "here")
    assert "doit deploy" in refused.value.hint
    with pytest.raises(InvalidTemplate):
        render("{{ image.web }}", scope(environment(), {}, {}, {"web": ONE}), "here")


def test_the_fake_client_follows_the_same_rules() -> None:
    client = FakeClient()
    with pytest.raises(InvalidImage, match="tag"):
        client.publish_image("web", request("calvinverse/web:qa"))
    first = client.publish_image("web", request(ONE, "qa"))
    assert client.publish_image("web", request(ONE, "qa")) is first
    client.publish_image("web", request(TWO, "production"))
    assert client.image("web").reference == TWO
    assert [image.reference for image in client.images()] == [TWO]
    client.withdraw_image("web")
    assert client.images() == []
    with pytest.raises(ImageNotPublished):
        client.image("web")
    assert [image.reference for image in client.image_history("web")] == [TWO, ONE]


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
