"""Updating on the web page: only what was changed is sent, secrets stay, and a plan is applied once or made again."""

import pytest

from environments.wire.environments import CreateRequest
from tests.support.form_reader import form_to
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader, text_of

UPDATE = "/environments/shop-1/update"

ONE = """
template = { name = "store", version = "1" }
[parameters]
count = { type = "integer", minimum = 1, maximum = 20 }
token = { type = "string", writeOnly = true }
tags = { type = "array", items = { type = "string" }, default = ["a"] }
gone = { type = "string", default = "x" }
[[steps]]
name = "settings"
uses = "consul.kv"
with = { keys = { tags = "{{ parameters.count }}" } }
"""
TWO = (
    ONE.replace('version = "1"', 'version = "2"')
    .replace("maximum = 20", "maximum = 30")
    .replace(
        'gone = { type = "string", default = "x" }',
        'size = { enum = ["s", "<script>alert(1)</script>"], default = "s" }',
    )
)


@pytest.fixture(autouse=True)
def made(client: InProcessClient) -> None:
    client.push_template(ONE)
    given = {"count": 3, "token": "hunter22", "tags": ["a", "b"]}
    client.create(CreateRequest(name="shop-1", template="store", parameters=given))
    view = client.environment("shop-1")
    client.put(view.model_copy(update={"state": "ready", "deployment": None}))


def test_the_form_has_the_present_values_and_no_secret(reader: Reader) -> None:
    page = reader.get(UPDATE)
    form = form_to(page.text, UPDATE)
    assert form.fields["p.count"] == ["3"]
    assert form.fields["p.tags~row"] == ["0", "1"]
    assert "hunter22" not in page.text
    assert "stays as it is" in text_of(page)


def test_a_plan_is_shown_and_applied_once(reader: Reader, client: InProcessClient) -> None:
    form = form_to(reader.get(UPDATE).text, UPDATE)
    planned = reader.post(UPDATE, form.with_(p__count="5", do="plan"))
    assert planned.status_code == 303
    path = planned.headers["Location"]
    shown = reader.get(path)
    assert "Plan to update shop-1" in text_of(shown)
    assert "create" in text_of(shown)
    assert client.environment("shop-1").parameters["count"] == 3
    apply = form_to(shown.text, path)
    first, second = reader.post(path, apply.fields), reader.post(path, apply.fields)
    assert [first.status_code, second.status_code] == [303, 303]
    assert client.environment("shop-1").parameters == {"count": 5, "tags": ["a", "b"], "gone": "x"}
    assert len(client.deployments("shop-1")) == 1
    assert "It was applied" in text_of(reader.get(path))


def test_only_what_was_changed_is_sent(reader: Reader, client: InProcessClient) -> None:
    """Somebody else's change between opening the form and sending it stays."""
    form = form_to(reader.get(UPDATE).text, UPDATE)
    view = client.environment("shop-1")
    client.put(view.model_copy(update={"parameters": {**view.parameters, "tags": ["theirs"]}}))
    answer = reader.post(UPDATE, form.with_(p__count="7", do="update"))
    assert answer.status_code == 303
    found = client.environment("shop-1").parameters
    assert (found["count"], found["tags"]) == (7, ["theirs"])


def test_what_a_newer_version_changes_is_told(reader: Reader, client: InProcessClient) -> None:
    client.push_template(TWO)
    page = reader.get(UPDATE)
    said = text_of(page)
    assert "version 1 → 2" in said
    assert "parameter count maximum: 20 → 30" in said
    assert "parameter size" in said
    assert "doesn't take gone any more" in said
    assert "<script>alert" not in page.text


def test_another_version_can_be_chosen(reader: Reader, client: InProcessClient) -> None:
    old = client.environment("shop-1").bundle
    client.push_template(TWO)
    page = reader.get(f"{UPDATE}?digest={old}")
    assert "the one that it has" in text_of(page)
    assert form_to(page.text, UPDATE).fields["digest"] == [old]


def test_what_is_wrong_stands_at_its_field(reader: Reader) -> None:
    form = form_to(reader.get(UPDATE).text, UPDATE)
    page = reader.post(UPDATE, form.with_(p__count="50", do="plan"))
    assert page.status_code == 400
    again = form_to(page.text, UPDATE)
    assert again.fields["p.count"] == ["50"]
    assert "50 is greater than the maximum of 20." in again.errors
    page = reader.post(UPDATE, form.with_(p__count="", do="plan"))
    assert "A value is needed." in form_to(page.text, UPDATE).errors


def test_the_check_says_what_is_wrong_and_changes_nothing(reader: Reader, client: InProcessClient) -> None:
    form = form_to(reader.get(UPDATE).text, UPDATE)
    said = text_of(reader.post(f"{UPDATE}/check", form.with_(p__count="50")))
    assert "50 is greater than the maximum of 20." in said
    assert "missing" not in said
    assert "One field needs another value." in said
    assert "needs" not in text_of(reader.post(f"{UPDATE}/check", form.with_(p__count="5")))
    assert client.environment("shop-1").parameters["count"] == 3


def test_a_stale_plan_says_what_has_moved_and_is_made_again(reader: Reader, client: InProcessClient) -> None:
    form = form_to(reader.get(UPDATE).text, UPDATE)
    path = reader.post(UPDATE, form.with_(p__count="5", do="plan")).headers["Location"]
    reader.post(UPDATE, form.with_(p__count="6", do="update"))
    page = reader.post(path, {})
    assert page.status_code == 409
    assert "no longer fits" in text_of(page)
    assert "/environments/shop-1/update?p.count=5" in page.text


def test_a_plan_to_destroy_asks_for_the_name(reader: Reader, client: InProcessClient) -> None:
    path = reader.post("/environments/shop-1/plan", {"kind": "destroy"}).headers["Location"]
    assert reader.post(path, {"confirm": "shop"}).status_code == 400
    assert client.environment("shop-1").state == "ready"
    assert reader.post(path, {"confirm": "shop-1"}).status_code == 303
    assert client.environment("shop-1").state != "ready"


def test_a_plan_that_is_not_there(reader: Reader) -> None:
    assert reader.get("/plans/plan-abcdefghjkmn").status_code == 404
    assert reader.post("/environments/shop-1/plan", {"kind": "explode"}).status_code == 400
