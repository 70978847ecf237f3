"""The docs: every link leads somewhere, and every page is found from the index."""

import re
from pathlib import Path

import pytest

from environments.domain.lifecycle import DeploymentKind, DeploymentState, ResourceStatus, State, StepState
from environments.wire.environments import EnvironmentView
from tests.support.docs_reference import CHECKOUT, PAGES

DOCS = CHECKOUT / "docs"
WRITTEN = sorted(DOCS.rglob("*.md"))
LINKED = [*sorted(CHECKOUT.glob("*.md")), *WRITTEN]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^(```).*?^\1$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_TOP = "docs|environments|images|jobs|project|tests|tui"
_INNER = "api|bootstrap|checking|cli|client|domain|engine|providers|service|steps|stores|templates|wire"
_REPLACED = re.compile(r"(?<!-)\b(after-look|alarm|leavings|lending|lookouts?|mending|spares|warden)\b", re.IGNORECASE)
"""Words for which the glossary has another one."""
_MADE = re.compile(r"images/hello/|tests/images/test_hello\.py$")
"""What readers of the page about images make; a test makes it from the page."""
_GONE = "adapters|executors"
_NAMED = re.compile(rf"`((?:(?:{_TOP}|{_INNER}|{_GONE})/[a-z0-9_./-]*[a-z0-9])|(?:{_TOP})(?:\.\w+)+)/?`")


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = [link for link in links(page) if not leads(page, link)]
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "index.md"
    known = {(DOCS / link.partition("#")[0]).resolve() for link in links(index)}
    assert [str(page.relative_to(DOCS)) for page in WRITTEN if page != index and page not in known] == []


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_file_and_module_that_a_page_names_is_there(page: Path) -> None:
    assert [name for name in named(page) if not there(name) and not _MADE.match(name)] == []


def test_a_file_that_is_not_there_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`engine/worker.py` `engine/none.py` `environments/steps/` `environments.engine.none` `docs/index.md`\n"
    )
    assert [name for name in named(page) if not there(name)] == ["engine/none.py", "environments.engine.none"]


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_a_page_uses_the_words_of_the_glossary(page: Path) -> None:
    prose = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert _REPLACED.findall(prose) == []


def test_every_failure_is_explained_with_what_to_do() -> None:
    """The page of operators names each code of the reference once in its tables, with a meaning and a remedy."""
    page = (DOCS / "how-to" / "when-something-fails.md").read_text(encoding="utf-8")
    codes = re.findall(r"^\| `(\w+)` \|", PAGES["error-codes.md"](), re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    explained = [code for code, meaning, remedy in rows if meaning.strip() and remedy.strip()]
    assert len(codes) > 60
    assert sorted(explained) == sorted(codes)


def test_the_glossary_has_every_state_and_flag() -> None:
    page = (DOCS / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", page, re.MULTILINE)
    assert len(terms) == len(set(terms) - {"Term", "---"}) + 2 * terms.count("Term")
    kinds = (State, DeploymentKind, DeploymentState, StepState, ResourceStatus)
    wanted = {value.value.replace("_", " ") for kind in kinds for value in kind}
    flags = ("degraded", "awaiting_promotion", "drifted", "warned")
    assert set(flags) - set(EnvironmentView.model_fields) <= {"degraded", "awaiting_promotion"}
    assert wanted | {flag.replace("_", " ") for flag in flags} <= set(terms)


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title\n\n[a](other.md) [b](#a-title) [c](#none) [d](page.md#a-title) `[e](x.md)`\n")
    assert [link for link in links(page) if not leads(page, link)] == ["other.md", "#none"]


def named(page: Path) -> list[str]:
    """The files, folders and modules that a page names in code spans, from the checkout or from `environments`."""
    return _NAMED.findall(page.read_text(encoding="utf-8"))


def there(name: str) -> bool:
    """Whether the checkout has this file, folder or module."""
    path = name if "/" in name else name.replace(".", "/")
    folders = (CHECKOUT, CHECKOUT / "environments")
    return any((folder / form).exists() for folder in folders for form in (path, f"{path}.py"))


def links(page: Path) -> list[str]:
    """The relative links of a page."""
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    return [link for link in _LINK.findall(text) if "://" not in link and not link.startswith("mailto:")]


def leads(page: Path, link: str) -> bool:
    """Whether the file is there, and in it the heading."""
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
