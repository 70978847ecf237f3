"""Every good image on this machine passes its tests, in a container of its own."""

import secrets
from pathlib import Path

import pytest

from images.pipeline.builder import Builder
from images.pipeline.progress import Progress
from images.pipeline.recipe import load_recipes
from images.pipeline.validation import validate


@pytest.mark.parametrize("name", load_recipes())
def test_the_good_image_is_what_it_should_be(name: str, tmp_path: Path) -> None:
    builder = Builder()
    record = builder.good_image(name)
    run = f"test-{secrets.token_hex(4)}"

    checked = validate(
        builder.recipes[name], record.image_id, run, tmp_path, builder.docker, Progress(name, print), builder.checkout
    ).validation

    assert checked.good
    assert any(test.startswith("test_hygiene::") for test in checked.names)
    assert any(test.startswith(f"test_{name}::") for test in checked.names)
