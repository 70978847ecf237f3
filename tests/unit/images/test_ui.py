"""The image of the web page has what the page imports: of this project by its inputs, of others by its requirements."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from images.pipeline.files import file_digests
from images.pipeline.recipe import load_recipes
from images.places import CHECKOUT


def file_of(module: str) -> Path | None:
    path = CHECKOUT / Path(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def imported(files: list[Path]) -> tuple[set[str], set[str]]:
    """All files of ours that these import, by their paths in the checkout, and the packages of others by name."""
    ours, others, left = set(files), set(), list(files)
    while left:
        for node in ast.walk(ast.parse(left.pop().read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                top, *_ = parts = name.split(".")
                if top != "environments":
                    others |= {top} - sys.stdlib_module_names
                    continue
                found = {file_of(".".join(parts[:end])) for end in range(1, len(parts) + 1)} - {None}
                left += [file for file in found if file is not None and file not in ours]
                ours |= {file for file in found if file is not None}
    packages = packages_distributions()
    names_of_others = {packages[top][0].lower().replace("_", "-") for top in others}
    return {file.relative_to(CHECKOUT).as_posix() for file in ours}, names_of_others


def test_it_has_what_the_page_imports_and_nothing_of_the_service() -> None:
    ours, others = imported(list((CHECKOUT / "environments" / "ui").rglob("*.py")))
    recipe = load_recipes()["ui"]
    inputs = set(file_digests(recipe))
    assert ours - inputs == set()
    assert [name for name in inputs if name.startswith(("environments/service", "environments/web/"))] == []
    listed = (recipe.folder / "requirements.in").read_text(encoding="utf-8")
    assert set(re.findall(r"^[a-z0-9-]+$", listed, re.MULTILINE)) == others


def test_the_image_of_the_service_does_without_the_page() -> None:
    inputs = file_digests(load_recipes()["provisioning"])
    assert [name for name in inputs if name.startswith("environments/ui/")] == []
    assert "environments/pages/requests.py" in inputs
