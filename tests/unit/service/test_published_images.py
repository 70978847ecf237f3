"""Environments run images by content: what a template names is looked up when the deployment begins."""

from typing import Any

import pytest

from environments.domain.environment import Environment
from environments.domain.errors import ImageNotPublished, InvalidTemplate
from environments.domain.lifecycle import State
from environments.service.rendering import fault, render, scope
from tests.fakes.plans import NOW

ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")


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
