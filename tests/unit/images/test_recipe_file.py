"""Folders that are no images, and files that say nothing valid: each is a sentence with what is wrong and where."""

import os
from pathlib import Path

import pytest

from images.catalogue.channels import recipe_names
from images.errors import InvalidRecipe, UnknownImage
from images.names import misnamed_folders, wrong_name
from images.parents import image_parents
from images.pipeline.check import check_recipes
from images.pipeline.files import file_digests
from images.pipeline.recipe import load_recipes, with_parents
from images.tasks import refuse
from tests.support.image_recipes import ABOUT, recipe

MISNAMED = ["a__b", "a--b", "Hello", "hällo", "-x", "new=x", "a b", "1a", "a-", "recipes", "hygiene", "a" * 64]


class TestNames:
    @pytest.mark.parametrize("name", MISNAMED)
    def test_a_folder_that_can_not_be_an_image_stops_no_other(self, tmp_path: Path, name: str) -> None:
        recipe(tmp_path, "good", ABOUT)
        recipe(tmp_path, name, "[not even TOML")

        assert list(load_recipes(tmp_path)) == list(image_parents(tmp_path)) == recipe_names(tmp_path) == ["good"]
        sentence = misnamed_folders(tmp_path)[name]
        assert sentence.startswith(f"images/{ascii(name)[1:-1]} isn't built, because ")
        assert sentence.endswith(f"{wrong_name(name)}.")
        with pytest.raises(UnknownImage, match="can't be the name of an image"):
            with_parents(load_recipes(tmp_path), [name])

    def test_neither_does_one_whose_name_is_no_text(self, tmp_path: Path) -> None:
        recipe(tmp_path, os.fsdecode(b"x\xff"), ABOUT)
        assert load_recipes(tmp_path) == {}
        (sentence,) = misnamed_folders(tmp_path).values()
        assert sentence.isascii()

    @pytest.mark.parametrize("name", ["a", "web", "build-agent", "a1-2", "a" * 63])
    def test_other_names_are_good(self, name: str) -> None:
        assert wrong_name(name) == ""

    def test_every_folder_here_has_a_good_one(self) -> None:
        assert misnamed_folders() == {}
        refuse("web")

    def test_the_task_of_such_a_folder_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("images.tasks.misnamed_folders", lambda: {"a__b": "images/a__b isn't built."})
        with pytest.raises(InvalidRecipe, match="images/a__b isn't built"):
            refuse("a__b")

    def test_parents_that_form_a_cycle_give_the_task_graph_none(self, tmp_path: Path) -> None:
        for name, parent in {"a": "b", "b": "c", "c": "b", "d": "d", "e": "base"}.items():
            recipe(tmp_path, name, f'{ABOUT}parent = "{parent}"\n')
        assert image_parents(tmp_path) == {"a": "b", "b": "", "c": "", "d": "", "e": "base"}


FAULTS = {
    "[image\n": "isn't valid TOML: .* line 1",
    f"{ABOUT}n = {'[' * 5000}{']' * 5000}\n": "isn't valid TOML",
    f"{ABOUT}n = {'9' * 5000}\n": "isn't valid TOML",
    "": "`image` is missing",
    "image = 5\n": "`image` must be a table",
    '[image]\ntitle = "T"\n': "`image.description` is missing",
    f"{ABOUT}colour = 1\n": "`image.colour` means nothing here; there are title, description, parent, from",
    f'{ABOUT}"\\u001b[31m" = 1\n': r"`image.\\x1b\[31m` means nothing here",
    f"{ABOUT}[builds]\n": "`builds` means nothing here; there are image, build, validate",
    f'name = "x"\n{ABOUT}': "`name` means nothing here",
    f"{ABOUT}[build]\nexcept_ = []\n": "`build.except_` means nothing here; there are inputs, except",
    f'{ABOUT}parent = "nobody"\n': "`image.parent` names 'nobody', but there is no images/nobody/image.toml",
    f'{ABOUT}parent = "Hello"\n': "'Hello' can't be the name of an image",
    f'{ABOUT}parent = "a"\n': "cycle",
    f'{ABOUT}from = "registry.example/debian:12"\n': "by digest",
    f'{ABOUT}parent = "a"\nfrom = "x@sha256:{"0" * 64}"\n': "exclude",
    f'{ABOUT}[build]\ninputs = ["/etc/passwd"]\n': "`build.inputs.0`: '/etc/passwd' begins with /",
    f'{ABOUT}[build]\ninputs = ["../../*"]\n': "`build.inputs.0`: '../../\\*' contains ..",
    f'{ABOUT}[build]\nexcept = ["a/../../b"]\n': "`build.except.0`: .* contains ..",
    f'{ABOUT}[build]\ninputs = ["app/**.py"]\n': "`build.inputs.0`: .* has \\*\\* beside other characters",
    f'{ABOUT}[build]\ninputs = [""]\n': "`build.inputs.0`: '' names no file",
    f'{ABOUT}[build]\ninputs = "app/*"\n': "`build.inputs` must be a list",
    f'{ABOUT}[build]\nrecipe = "../web"\n': "`build.recipe`: '../web' must be a folder in that of the image",
    f'{ABOUT}[build]\ntime_limit = "soon"\n': "`build.time_limit`: a duration is",
    f"{ABOUT}[build]\ntime_limit = 60\n": "`build.time_limit`: a duration is",
    f'{ABOUT}[build]\ntime_limit = "0s"\n': "`build.time_limit`: '0s' isn't between",
    f'{ABOUT}[validate]\ntime_limit = "25h"\n': "`validate.time_limit`: '25h' isn't between",
    f'{ABOUT}[build]\ntools = ["-x"]\n': "`build.tools.0`: '-x' can't be the name of a program",
    f'{ABOUT}[build]\npackages = ["-o x"]\n': "`build.packages.0`: '-o x' can't be the name of a Debian package",
    f'{ABOUT}[build]\nvariables = {{ work = "x" }}\n': "`build.variables.work`: the builder gives work a value",
    f'{ABOUT}[build]\nvariables = {{ "a=b" = "x" }}\n': "`build.variables.a=b`: 'a=b' can't be the name of a variable",
    f"{ABOUT}[build]\nvariables = {{ a = 1 }}\n": "`build.variables.a` must be text in quotes",
    f'{ABOUT}[validate]\nenvironment = {{ "" = "x" }}\n': "`validate.environment.`: '' can't be the name of an env",
    f'{ABOUT}[validate]\ncommand = ["a\\u0000"]\n': "`validate.command` contains the character NUL",
}


class TestFile:
    @pytest.mark.parametrize(("content", "complaint"), FAULTS.items(), ids=range(len(FAULTS)))
    def test_a_fault_is_named_with_file_and_key(self, tmp_path: Path, content: str, complaint: str) -> None:
        recipe(tmp_path, "a", content)
        with pytest.raises(InvalidRecipe, match=complaint) as caught:
            load_recipes(tmp_path)
        assert "add-an-image.md" in caught.value.hint
        assert "images/a/image.toml" in caught.value.message or "cycle" in complaint

    def test_all_faults_are_named_at_once(self, tmp_path: Path) -> None:
        recipe(tmp_path, "a", f'{ABOUT}x = 1\n[build]\ntime_limit = "0s"\n[more]\n')
        with pytest.raises(InvalidRecipe) as caught:
            load_recipes(tmp_path)
        assert len(caught.value.message.splitlines()) == 3

    def test_a_file_in_another_encoding_is_named_with_the_line(self, tmp_path: Path) -> None:
        folder = recipe(tmp_path, "a", "")
        (folder / "image.toml").write_bytes(ABOUT.replace('"D"', '"Größe"').encode("latin-1"))
        with pytest.raises(InvalidRecipe, match="isn't UTF-8 in line 3") as caught:
            load_recipes(tmp_path)
        assert "Save the file as UTF-8" in caught.value.hint

    def test_what_is_no_file_is_not_opened(self, tmp_path: Path) -> None:
        folder = recipe(tmp_path, "a", "")
        (folder / "image.toml").unlink()
        os.mkfifo(folder / "image.toml")
        with pytest.raises(InvalidRecipe, match=r"images/a/image\.toml isn't a file"):
            load_recipes(tmp_path)

    def test_a_folder_that_links_lead_out_of_is_refused(self, tmp_path: Path) -> None:
        folder = recipe(tmp_path / "checkout", "a", ABOUT)
        (tmp_path / "secret").write_text("")
        for target in (tmp_path, tmp_path / "secret"):
            (folder / "link").symlink_to(target)
            with pytest.raises(InvalidRecipe, match="images/a/link leads out of the checkout"):
                file_digests(load_recipes(tmp_path / "checkout")["a"], tmp_path / "checkout")
            (folder / "link").unlink()

    def test_a_name_of_a_file_that_is_no_text_is_refused(self, tmp_path: Path) -> None:
        folder = recipe(tmp_path, "a", ABOUT)
        (folder / os.fsdecode(b"x\xff")).write_text("")
        with pytest.raises(InvalidRecipe, match="isn't UTF-8"):
            check_recipes(tmp_path, tmp_path / "state")
