"""The examples of docs/how-to/triggers.md are triggers that can be set, and events that can be tried out."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from environments.domain.access import PersonKind
from environments.domain.commands import CreateEnvironment
from environments.domain.received_event import KINDS, Source
from environments.domain.template import parse_template
from environments.domain.trigger import TriggerAction
from environments.domain.trigger_file import read_trigger_file
from environments.service.authorization import Principal
from environments.service.storage.webhooks import Webhook
from environments.service.trigger_testing import WantedEvent
from tests.fakes.clock import MONDAY, SetClock
from tests.fakes.service import FakeService, make_service
from tests.support.docs_reference import CHECKOUT

PAGE = (CHECKOUT / "docs" / "how-to" / "triggers.md").read_text(encoding="utf-8")
EXAMPLES = {
    file: (place, text)
    for file, place, text in re.findall(r"^```toml\n# (\S+): ([a-z ]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}
(EVENT,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ADMIN = Principal("ada", "admin", "tok-ada")


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock)
    service.requests.create(ADMIN, CreateEnvironment(name="demo", template="web"))
    with service.database.write() as tx:
        tx.people.keep("ada", PersonKind.PERSON, MONDAY, "test")
        tx.webhooks.add(Webhook("forge", "gitea", "", (), "ada", MONDAY), ["everyone"])
        tx.webhooks.add(Webhook("hook", "generic", "", (), "ada", MONDAY), ["everyone"])
    yield service
    service.database.close()


def definition(file: str) -> dict[str, Any]:
    found, faults = read_trigger_file(EXAMPLES[file][1], file)
    assert faults == []
    return found


@pytest.mark.parametrize("file", EXAMPLES)
def test_an_example_can_be_set(service: FakeService, file: str) -> None:
    place, text = EXAMPLES[file]
    if place == "in a template":
        (trigger,) = parse_template(text).triggers
        assert trigger.name in text
        return
    environment = {"on an environment": "demo", "alone": None}[place]
    made = service.triggers.set(ADMIN, definition(file), environment)
    assert f"{made.trigger.name}.toml" == file


def test_there_is_an_example_for_each_source() -> None:
    told = {definition(file)["on"] for file, (place, _) in EXAMPLES.items() if place != "in a template"}
    assert told == {source.value for source in Source}


def test_the_page_names_every_source_with_its_kinds_and_every_action() -> None:
    for source, kinds in KINDS.items():
        (row,) = re.findall(rf"^\| `{re.escape(source.value)}` \| ([^|]+) \|", PAGE, re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) == kinds
    rows = "".join(re.findall(r"^\| (`[a-z`, ]+`) \| ", PAGE, re.MULTILINE))
    assert {action.value for action in TriggerAction} <= set(re.findall(r"`(\w+)`", rows))


def test_the_event_hits_the_first_example_and_not_the_drafts(service: FakeService) -> None:
    service.triggers.set(ADMIN, definition("end-with-pull-request.toml"), "demo")
    service.triggers.set(ADMIN, definition("stop-drafts.toml"))
    told = json.loads(EVENT)
    (found,) = service.trigger_testing.test(
        ADMIN, event=WantedEvent(**{**told, "source": Source(told["source"])})
    ).events
    assert [(one.trigger.name, one.reason) for one in found.hits] == [("end-with-pull-request", "")]
    assert [(one.trigger.name, "draft" in one.reason) for one in found.misses] == [("stop-drafts", True)]
