"""Triggers: what can be written, what counts for an event, and what references stand for."""

import pytest
from pydantic import ValidationError

from environments.domain.received_event import NewReceivedEvent, Source
from environments.domain.template import read_template
from environments.domain.trigger import Condition, Trigger, WhyNot, judge, like
from environments.domain.trigger_rules import Place, trigger_faults
from environments.domain.trigger_values import LONGEST_RESULT, Unresolved, Values, references, resolve, resolve_all

TEMPLATE = """[template]
name = "web"
price = 0.5
[[steps]]
name = "wait"
uses = "test.wait"

"""

EVENT = NewReceivedEvent(
    source=Source.PULL_REQUEST,
    kind="labelled",
    origin="forge",
    delivery="1",
    subject="acme/shop#12",
    fields={
        "repository": "Acme/Shop",
        "number": 12,
        "draft": False,
        "labels": ["preview", "bug"],
        "title": "Mend {{ event.author }} *",
        "author": "ada",
    },
)
WRITTEN = {
    "name": "gone",
    "on": "git.pull_request",
    "action": "destroy",
    "webhook": "forge",
    "repository": "acme/shop",
}


def trigger(**more: object) -> Trigger:
    return Trigger.model_validate({**WRITTEN, **more})


def why(**more: object) -> str:
    found = judge(trigger(**more), EVENT, Values(event=EVENT.fields, parameters={"who": "ada"}, environment="shop"))
    return found.reason if isinstance(found, WhyNot) else ""


def test_what_counts_for_an_event() -> None:
    assert why() == ""
    assert why(kinds=["labelled", "closed"]) == ""
    assert why(kinds=["closed"]) == "it is for closed, not for labelled"
    assert why(webhook="other") == "it is for the webhook other, not for forge"
    assert why(repository="acme/other") == "it is for the repository acme/other"
    assert why(on="git.branch") == "it is for git.branch, not for git.pull_request"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"number": 12}, True),
        ({"number": "12"}, True),
        ({"number": 13}, False),
        ({"draft": False}, True),
        ({"draft": True}, False),
        ({"labels": "preview"}, True),
        ({"labels": ["x", "bug"]}, True),
        ({"labels": {"not": "preview"}}, False),
        ({"labels": {"not": ["a", "b"]}}, True),
        ({"title": {"starts_with": "Mend"}}, True),
        ({"title": {"matches": "*{{ parameters.who }}*"}}, False),
        ({"title": {"matches": "Mend*"}}, True),
        ({"nothing": {"exists": False}}, True),
        ({"nothing": "x"}, False),
        ({"nothing": {"not": "x"}}, True),
        ({"author": "{{ parameters.who }}"}, True),
        ({"author": "{{environment.name}}"}, False),
        ({"author": {"matches": "{{ event.author }}"}}, True),
    ],
)
def test_conditions(condition: dict[str, object], holds: bool) -> None:
    assert (why(when=condition) == "") is holds


def test_a_condition_that_can_not_be_checked_does_not_hold() -> None:
    assert "has no parameter 'other'" in why(when={"author": "{{ parameters.other }}"})


def test_stars_of_a_value_stand_for_themselves() -> None:
    condition = Condition.model_validate({"matches": "a{{ event.star }}"})
    assert not condition.holds("abcd", Values(event={"star": "*"}))
    assert condition.holds("a*", Values(event={"star": "*"}))


def test_patterns() -> None:
    assert like("feature/a", ["feature/", ""])
    assert not like("ab", ["ab", "b"])
    assert like("a-b-c", ["a", "b", "c"])
    assert not like("ac", ["a", "b", "c"])


@pytest.mark.parametrize("wrong", [{}, {"not": 1, "exists": True}, {"like": "x"}, [], None])
def test_what_is_no_condition(wrong: object) -> None:
    with pytest.raises(ValidationError):
        trigger(when={"a": wrong})


def test_what_is_written_reads_the_same() -> None:
    first = trigger(when={"a": 1, "b": ["x"], "c": {"not": ["y"]}, "d": {"exists": True}}, by="2h", action="extend")
    assert Trigger.model_validate(first.written()) == first
    assert first.written()["when"] == {"a": 1, "b": ["x"], "c": {"not": ["y"]}, "d": {"exists": True}}


def test_values_are_never_read_again() -> None:
    values = Values(event={"a": "{{ event.b }}", "b": "secret", "n": 3, "l": ("x", "y")})
    assert resolve("{{ event.a }}", values) == "{{ event.b }}"
    assert resolve("-{{ event.a }}-{{event.n}}-", values) == "-{{ event.b }}-3-"
    assert resolve("{{ event.n }}", values) == 3
    assert resolve("{{ event.l }} {{", values) == "x, y {{"
    assert resolve_all({"k": ["{{ event.l }}", 1, None]}, values) == {"k": [["x", "y"], 1, None]}


@pytest.mark.parametrize(
    "reference",
    ["{{ event.x }}", "{{ parameters.x }}", "{{ environment.name }}", "{{ 7*7 }}", "{{ event.__class__.x }}"],
)
def test_what_a_reference_does_not_stand_for(reference: str) -> None:
    with pytest.raises(Unresolved):
        resolve(reference, Values())


def test_a_text_does_not_grow_without_limit() -> None:
    with pytest.raises(Unresolved, match="characters"):
        resolve("{{ event.a }}" * 20 + "x", Values(event={"a": "a" * 1000}))
    assert len(str(resolve("{{ event.a }}" * 10, Values(event={"a": "a" * 1000})))) == LONGEST_RESULT


def test_references_of_nested_values() -> None:
    assert list(references({"a": ["{{ x }}", {"b": "{{ y }}{{z}}"}]})) == ["x", "y", "z"]


def faults(trigger: Trigger, place: Place) -> str:
    return "; ".join(fault.sentence for fault in trigger_faults(trigger, place))


def test_all_faults_are_told_at_once() -> None:
    said = faults(
        Trigger.model_validate(
            {"name": "No", "on": "git.branch", "action": "extend", "kinds": ["closed"], "message": "{{ x }}"}
        ),
        Place.TEMPLATE,
    )
    for part in ("can't be the name", "'closed' never happens", "needs webhook", "needs repository", "needs by"):
        assert part in said
    assert "message is read for action = notify" in said
    assert "'x' is no reference" in said


@pytest.mark.parametrize(
    ("written", "place", "said"),
    [
        ({"action": "create", "template": "web", "environment": "a"}, Place.TEMPLATE, "stand alone"),
        ({"action": "create"}, Place.ALONE, "needs template"),
        ({}, Place.ALONE, "alone it needs template"),
        ({"action": "preview", "template": "web", "on": "git.branch"}, Place.ALONE, "is made on git.pull_request"),
        ({"on": "idle", "webhook": "", "repository": ""}, Place.ENVIRONMENT, "needs a measure"),
        ({"on": "cost", "webhook": "", "repository": ""}, Place.ENVIRONMENT, "needs over"),
        ({"action": "create", "template": "w", "environment": "{{ parameters.x }}"}, Place.ALONE, "no environment yet"),
    ],
)
def test_what_a_trigger_needs(written: dict[str, object], place: Place, said: str) -> None:
    assert said in faults(trigger(**written), place)
    assert not faults(trigger(template="web") if place is Place.ALONE else trigger(), place)


def read(text: str) -> list[str]:
    return [str(fault) for fault in read_template(TEMPLATE + text)[1]]


def test_a_template_s_triggers_are_read() -> None:
    assert read('[[triggers]]\nname = "end"\non = "nomad.job"\nkinds = ["complete"]\naction = "destroy"\n') == []


def test_faults_of_a_template_s_triggers_are_told_with_their_lines() -> None:
    assert read('[[triggers]]\nname = "end"\non = "nomad.job"\naction = "destory"\n[[triggers]]\nname = 3\n') == [
        "template.toml:11: triggers[0].action: it must be 'create', 'update', 'destroy', 'stop', 'start', 'extend', "
        "'notify' or 'preview'; did you mean \"destroy\"?",
        "template.toml:13: triggers[1].name: it must be a text",
        "template.toml:12: triggers[1].on: it is missing",
        "template.toml:12: triggers[1].action: it is missing",
    ]
    assert read('[[triggers]]\nname = "end"\non = "nomad.job"\naction = "create"\ntemplate = "web"\n') == [
        "template.toml:11: trigger 'end': create is for triggers that stand alone, and this one is in a template",
        "template.toml:8: trigger 'end': to create it needs environment, the name of the new one",
    ]
    twice = '[[triggers]]\nname = "end"\non = "nomad.job"\naction = "destroy"\n' * 2
    assert read(twice) == ["template.toml:13: two triggers are named 'end'"]
