"""The habits of the project: one list of checks, one place for the version, groups and locks that agree."""

import ast
import re
import shlex
import tomllib
from fnmatch import fnmatch
from importlib.metadata import distributions, version
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from images.places import CHECKOUT
from project import declared
from project.declared import GROUP, read_declared
from project.release import BUILDERS, builders_lock, has_section
from tests.suite import CHECKS

SHIPPED = ("environments", "tui")
HTTP_CALLS = ("Client", "AsyncClient", "request", "stream", "get", "head", "options", "post", "put", "patch", "delete")
DEBIAN_PYTHON = "3.11.2"
NAME = re.compile(r"^[A-Za-z0-9._-]+")


def test_pre_commit_runs_the_checks_of_lint_and_no_others() -> None:
    document = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in document["repos"] for hook in repo["hooks"]]
    assert [tuple(shlex.split(hook["entry"])) for hook in hooks] == [
        (f".venv/bin/{program}", *arguments) for program, *arguments in CHECKS
    ]
    assert {(hook["always_run"], hook["pass_filenames"]) for hook in hooks} == {(True, False)}


def test_the_version_stands_in_pyproject_alone() -> None:
    wanted = read_declared().version
    assert version("calvinverse") == wanted
    written = [
        str(file.relative_to(CHECKOUT))
        for package in (*SHIPPED, "images", "jobs", "project", "docs")
        for file in (CHECKOUT / package).rglob("*.py")
        if re.search(rf"(?<![\d.]){re.escape(wanted)}(?![\d.])", file.read_text(encoding="utf-8"))
    ]
    assert written == []


def test_the_group_of_a_checkout_holds_all_others_once() -> None:
    groups = read_declared().groups
    others = {requirement for name, group in groups.items() if name != GROUP for requirement in group}
    assert set(groups[GROUP]) == others
    assert len(groups[GROUP]) == len(others)


def test_a_group_that_includes_itself_is_refused() -> None:
    groups: dict[str, list[Any]] = {"a": [{"include-group": "b"}], "b": ["one", {"include-group": "a"}]}
    with pytest.raises(ValueError, match="group a includes itself"):
        declared.expand(groups, "a")


@pytest.mark.parametrize("lock", ["requirements.lock", "images/provisioning/requirements.lock"])
def test_what_is_declared_is_locked(lock: str) -> None:
    project = read_declared()
    extras = (requirement for extra in project.extras.values() for requirement in extra)
    requirements = (*project.dependencies, *((*extras, *project.groups[GROUP]) if "images" not in lock else ()))
    locked = set(re.findall(r"^([a-z0-9][^=\s]*)==", (CHECKOUT / lock).read_text(encoding="utf-8"), re.MULTILINE))
    assert {_distribution(requirement) for requirement in requirements} - locked == set()


def test_what_is_locked_runs_on_the_python_of_debian_12() -> None:
    locked = set(re.findall(r"^([a-z0-9][^=\s]*)==", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE))
    wanted = {
        f"{found.name} {found.version}": str(found.metadata.json.get("requires_python", ""))
        for found in distributions()
        if _distribution(found.name) in locked
    }
    assert len(wanted) > len(locked) * 0.9
    assert [name for name, pythons in wanted.items() if not SpecifierSet(pythons).contains(DEBIAN_PYTHON)] == []


def test_deptry_knows_every_group() -> None:
    (groups,) = (
        command[command.index("--non-dev-dependency-groups") + 1].split(",")
        for command in CHECKS
        if "--non-dev-dependency-groups" in command
    )
    assert {*groups, GROUP} == set(read_declared().groups)


def test_the_wheel_takes_every_file_of_what_ships() -> None:
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["*"]
    left_out = [
        str(path.relative_to(CHECKOUT))
        for package in SHIPPED
        for path in (CHECKOUT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
        if not any(fnmatch(path.name, pattern) for pattern in patterns)
    ]
    assert left_out == []


def test_a_changelog_has_a_section_for_a_version_or_not() -> None:
    text = "# Changelog\n\n## [Unreleased]\n\n## [0.10.0] - 2030-01-01\n\nnot of ## [0.1.0]\n"
    assert has_section(text, "0.10.0")
    assert not has_section(text, "0.1.0")
    assert not has_section(text, "0.10")


def test_what_builds_a_source_distribution_comes_from_the_lock_with_hashes() -> None:
    lock = builders_lock((CHECKOUT / "requirements.lock").read_text(encoding="utf-8"))
    assert re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE) == list(BUILDERS)
    assert "--hash=sha256:" in lock


def test_the_guide_for_contributors_names_what_is_there() -> None:
    guide = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"(?<![\w/.])((?:docs|environments|tests)/[\w/.-]*\w)", guide))
    modules = re.findall(r"python -m ([\w.]+)", guide)
    folders = {module.replace(".", "/") for module in modules}
    paths |= {f"{name}/__main__.py" if (CHECKOUT / name).is_dir() else f"{name}.py" for name in folders}
    assert len(paths) > 8
    assert [path for path in sorted(paths) if not (CHECKOUT / path).exists()] == []


def _distribution(requirement: str) -> str:
    """The name of a requirement as locks write it (PEP 503)."""
    found = NAME.match(requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_calls_in_tests_say_how_long_they_wait() -> None:
    """httpx2 gives up after 5 s by itself, which a busy machine may need for a first answer."""
    silent = [
        f"{file.relative_to(CHECKOUT)}:{call.lineno}"
        for file in (CHECKOUT / "tests").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "httpx2"
        and call.func.attr in HTTP_CALLS
        and "timeout" not in {keyword.arg for keyword in call.keywords}
    ]
    assert silent == []
