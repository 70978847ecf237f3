"""The image that the docs show, with each fault that they name and that is found before anything is built."""

from collections.abc import Callable
from pathlib import Path

import pytest

from images.errors import InvalidRecipe
from images.names import misnamed_folders
from images.pipeline.check import check_recipes
from images.pipeline.recipe import load_recipes
from tests.support.docs_image import PAGE, write_example


def changed(old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        file = folder / "image.toml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return change


def built_with(line: str) -> Callable[[Path], object]:
    return changed("[build]\n", f"[build]\n{line}\n")


INPUT = '["images/child.pkr.hcl"]'
FAULTS: dict[str, Callable[[Path], object]] = {
    "means nothing here": built_with('colour = "red"'),
    "must be a path from the top of the checkout": changed(INPUT, '["/etc/passwd"]'),
    "must stay in the checkout": changed(INPUT, '["../../*"]'),
    "no file matches the input": changed(INPUT, '["images/gone.pkr.hcl"]'),
    "leads out of the checkout": lambda folder: (folder / "etc").symlink_to("/etc"),
    """isn't between "1s" and "24h\"""": built_with('time_limit = "0s"'),
    "there is no": changed('"base"', '"gone"'),
    "there is no step": built_with('prepare = ["wish"]'),
    "the toolchain has no": built_with('binaries = ["magic"]'),
    "needs": built_with('prepare = ["wheelhouse"]'),
    "needs a parent": changed('parent = "base"\n\n[build]\n', '[build]\nprepare = ["debian-packages"]\n'),
}


@pytest.mark.parametrize("said", FAULTS)
def test_a_fault_that_the_docs_name_is_found_before_anything_is_built(tmp_path: Path, said: str) -> None:
    folder = write_example(tmp_path / "checkout")
    assert set(load_recipes(tmp_path / "checkout")) == {"base", "hello"}
    FAULTS[said](folder)
    with pytest.raises(InvalidRecipe) as caught:
        check_recipes(tmp_path / "checkout", tmp_path / "state")
    assert "images/hello" in caught.value.message
    assert said in caught.value.message
    assert any(named in said for named in PAGE.read_text(encoding="utf-8").split("`"))


def test_a_folder_with_a_wrong_name_is_named_and_all_others_are_built(tmp_path: Path) -> None:
    folder = write_example(tmp_path)
    folder.rename(folder.with_name("Hello"))
    assert set(load_recipes(tmp_path)) == {"base"}
    said = "'Hello' can't be the name of an image"
    assert said in misnamed_folders(tmp_path)["Hello"]
    assert f"`{said}`" in PAGE.read_text(encoding="utf-8")
