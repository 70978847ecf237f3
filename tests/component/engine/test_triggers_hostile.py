"""What strangers write into titles, branches and labels stays data: in texts, in lists, and in templates."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from environments.domain.environment import Environment
from environments.domain.lifecycle import State
from environments.domain.names import is_label
from environments.domain.received_event import LONGEST_FIELD, Source, plain
from environments.domain.trigger import FiringState
from environments.service.rendering import evaluate
from tests.support.hostile_texts import HOSTILE
from tests.support.trigger_harness import TEMPLATE, TriggerHarness

RULE: dict[str, Any] = {"on": "git.pull_request", "repository": "acme/shop"}
LISTS = '\n[parameters.many]\ntype = "array"\ndefault = []\n[[steps]]'


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TriggerHarness]:
    harness = TriggerHarness(tmp_path)
    harness.push(TEMPLATE.replace("\n[[steps]]", LISTS, 1))
    yield harness
    harness.database.close()


def rendered(environment: Environment, text: str) -> object:
    """What a step's option becomes for an environment."""
    return evaluate(text, {"parameters": environment.parameters}, "step 'left'")


def test_hostile_texts_are_values_and_nothing_else(service: TriggerHarness) -> None:
    service.make("one")
    service.make("other", owner="grace")
    service.trigger(
        **RULE,
        on_environment="one",
        kinds=["pushed"],
        action="update",
        parameters={"word": "{{ event.title }}", "many": "{{ event.labels }}"},
    )
    service.trigger(**RULE, on_environment="one", kinds=["pushed"], action="notify", message="About {{ event.title }}")
    for text in HOSTILE:
        fields = {"number": 1, "title": text, "head_branch": text, "labels": [text, "x"], "author": text}
        (event,) = service.receive(service.event(Source.PULL_REQUEST, "pushed", f"acme/shop#{text}", fields=fields))
        service.process()
        service.settle()
        states = {firing.action.value: (firing.state, firing.reason) for firing in service.firings(event)}
        assert {state for state, _ in states.values()} == {FiringState.DONE}, (text, states)
        found = service.environment("one")
        kept = plain(text)
        assert len(kept) <= LONGEST_FIELD
        assert kept.isprintable() or not any(ord(character) < 32 for character in kept)
        assert found.parameters["word"] == kept, text
        assert found.parameters["many"] == [kept, "x"], text
        # A template is rendered once: what a value says is never read as an expression.
        assert rendered(found, "{{ parameters.word }}") == kept, text
        assert rendered(found, "a {{ parameters.word }} b") == f"a {kept} b", text
        assert rendered(found, "{{ parameters.many }}") == [kept, "x"], text
    assert service.state("other") is State.READY
    assert service.environment("other").parameters["word"] == "hello"


def test_hostile_texts_choose_no_environment(service: TriggerHarness) -> None:
    """A name made of them is a legal one or refused; a condition that names something else never holds for them."""
    service.make("other", owner="grace")
    service.trigger(**RULE, kinds=["opened"], action="create", template="things", environment="{{ event.head_branch }}")
    service.trigger(
        **RULE,
        owner="grace",
        on_environment="other",
        kinds=["opened"],
        action="destroy",
        when={"labels": {"matches": "approved-*"}},
    )
    events = [
        service.event(Source.PULL_REQUEST, "opened", fields={"head_branch": text, "labels": [text]}) for text in HOSTILE
    ]
    received = service.receive(*events)
    service.process()
    for event in received:
        for firing in service.firings(event):
            assert firing.action.value == "create"
            if firing.state is FiringState.DONE:
                assert is_label(firing.environment), firing
                assert firing.environment not in ("meta", "default")
            else:
                assert firing.state in (FiringState.REFUSED, FiringState.LEFT_OUT), firing
                assert firing.reason
    assert service.state("other") is State.READY
