"""The table of cases: no template without a line, no line without a template, and what a line has to say."""

from pathlib import Path

import pytest

from environments.bootstrap.providers import STEP_KINDS
from environments.service.inspecting import template_faults
from environments.wire.templates import Validation
from tests.cases.table import HERE, Case, Change, Ends, read

READY = '[{name}]\nends = "ready"\nchange = {{ parameters = {{ message = "ho" }} }}\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with two templates, and a line for one of them."""
    for name in ("one", "two"):
        (tmp_path / "templates" / name).mkdir(parents=True)
        (tmp_path / "templates" / name / "template.toml").write_text(f'[template]\nname = "{name}"\n')
    (tmp_path / "expected.toml").write_text(READY.format(name="one"))
    return tmp_path


def add(place: Path, text: str) -> None:
    """More lines of the table."""
    with (place / "expected.toml").open("a") as file:
        file.write(text)


def test_every_template_here_has_a_line_and_every_line_holds() -> None:
    cases = read(HERE)
    assert {case.ends for case in cases} == set(Ends)
    assert len([case for case in cases if case.sample]) < len(cases) / 4
    for case in cases:
        if case.change is not None:
            bundle = case.bundle()
            assert case.change.file == "" or case.change.of(bundle).digest != bundle.digest


@pytest.mark.parametrize("case", read(HERE), ids=lambda case: case.name)
def test_the_check_of_each_template_here_says_what_the_line_says(case: Case) -> None:
    found = Validation.of(template_faults(case.bundle(), STEP_KINDS))
    assert bool(found.problems) is (case.ends is Ends.REFUSED)
    wanted = dict.fromkeys(case.warns, found.warnings)
    if case.ends is Ends.REFUSED:
        wanted |= dict.fromkeys(case.says, found.problems)
    assert [text for text, said in wanted.items() if not any(text in line for line in said)] == []


def test_a_template_without_a_line_and_a_line_without_a_template(place: Path) -> None:
    add(place, READY.format(name="three"))
    with pytest.raises(ValueError, match=r"template two has no line in .*; the line of three in .* has no template"):
        read(place)


def test_a_folder_without_a_table_lacks_every_line(place: Path) -> None:
    (place / "expected.toml").unlink()
    with pytest.raises(ValueError, match="template one has no line"):
        read(place)


def test_templates_may_lie_beside_the_table(place: Path) -> None:
    add(place, READY.format(name="two"))
    for template in (place / "templates").iterdir():
        template.rename(place / template.name)
    (place / "templates").rmdir()
    assert [case.folder for case in read(place)] == [place / "one", place / "two"]


def test_a_template_may_have_several_lines(place: Path) -> None:
    add(place, '[two]\nends = "refused"\nsays = ["no"]\n[again]\ntemplate = "two"\nends = "failed"\nsays = ["no"]\n')
    assert [(case.name, case.folder.name) for case in read(place)] == [("one", "one"), ("two", "two"), ("again", "two")]


@pytest.mark.parametrize(
    "line",
    [
        {"ends": "ready"},
        {"ends": "ready", "change": {"parameters": {"a": 1}}, "says": ["what"]},
        {"ends": "refused"},
        {"ends": "failed", "says": ["what"], "change": {"parameters": {"a": 1}}},
        {"ends": "ready", "change": {}},
        {"ends": "ready", "change": {"parameters": {"a": 1}, "file": "x", "old": "a", "new": "b"}},
        {"ends": "refused", "says": ["what"], "sayz": ["more"]},
    ],
)
def test_a_line_that_says_too_little_or_too_much(line: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        Case.model_validate({"name": "one", "folder": tmp_path, **line})


def test_a_change_of_a_text_that_stands_there_several_times(place: Path) -> None:
    bundle = read_one(place).bundle()
    with pytest.raises(ValueError, match=r"stands 4 times in template\.toml"):
        Change(file="template.toml", old="e", new="f").of(bundle)


def read_one(place: Path) -> Case:
    """The case of the first template."""
    add(place, READY.format(name="two"))
    return read(place)[0]
