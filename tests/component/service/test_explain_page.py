"""The example of docs/explanation/explain.md is what the service says."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.template import make_bundle
from environments.service.authorization import Principal
from environments.timing_words import WHAT, reason
from tests.fakes.clock import SetClock
from tests.fakes.service import FakeService, make_service
from tests.support.docs_reference import CHECKOUT

PAGE = (CHECKOUT / "docs" / "explanation" / "explain.md").read_text(encoding="utf-8")
ADA = Principal("ada", "user", "tok-ada")
(LIFETIME,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TEMPLATE = f"""[template]
name = "hours"
version = "1"
{LIFETIME}
[[steps]]
name = "app"
uses = "fake"
"""

Row = tuple[str, ...]


def tables() -> Iterator[list[Row]]:
    """The tables of moments on the page."""
    for lines in re.findall(r"^\| When \(UTC\).*\n\|[ -|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE):
        yield [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines.splitlines()]


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock)
    service.catalogue.push(service.admin, make_bundle({"template.toml": TEMPLATE.encode()}))
    service.requests.create(ADA, CreateEnvironment(name="demo", template="hours"))
    yield service
    service.database.close()


def said(service: FakeService) -> list[Row]:
    moments = service.reading.explain(ADA, "demo", 100).moments
    return [(f"{due.at:%Y-%m-%d %H:%M}", WHAT[due.action], reason(due.because)) for due in moments]


def test_the_example_is_what_the_service_says(service: FakeService, clock: SetClock) -> None:
    first, last, pinned = tables()
    found = said(service)
    assert found[: len(first)] == first
    assert found[-len(last) :] == last
    clock.now += timedelta(days=1)
    service.time_edits.pin(ADA, "demo", "a demonstration", until=datetime(2027, 3, 6, 12, tzinfo=UTC))
    assert said(service)[-len(pinned) :] == pinned
    assert all(row[0] > "2027-03-06 12:00" for row in said(service))
