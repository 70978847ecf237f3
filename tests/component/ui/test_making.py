"""Creating an environment on the web page: nothing typed is lost, nothing is done twice, and secrets aren't shown."""

from pathlib import Path

import httpx2
import pytest

from environments.client import Client
from environments.domain.errors import ServiceUnavailable
from environments.wire.access import CreatorRequest
from tests.support.form_reader import Form, form_to
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader, text_of
from tests.support.ui_people import keep_people, reader_as

NEW = "/environments/new"

TEMPLATE = """
template = { name = "store", version = "1", description = "<b>Stores</b> things" }
lifetime = { default = "8h", maximum = "2d" }

[parameters]
count = { type = "integer", minimum = 1, maximum = 20 }
token = { type = "string", writeOnly = true, minLength = 4 }
tags = { type = "array", items = { type = "string" }, default = ["a"] }
size = { enum = ["<script>alert(1)</script>", "large"], default = "large", title = "<img src=x>" }

[[steps]]
name = "settings"
uses = "consul.kv"
with = { keys = { tags = "{{ parameters.size }}" } }
"""


@pytest.fixture(autouse=True)
def template(client: InProcessClient) -> None:
    client.push_template(TEMPLATE)


@pytest.fixture
def form(reader: Reader) -> Form:
    """The form of a new environment, with its name in it."""
    answer = reader.get(f"{NEW}?template=store&name=shop-1&p.count=3")
    assert answer.status_code == 200
    return form_to(answer.text, NEW)


def names(client: InProcessClient) -> set[str]:
    return {view.name for view in client.environments()}


def test_templates_are_offered_with_what_they_make(reader: Reader) -> None:
    page = reader.get(NEW)
    assert "Create from store" in text_of(page)
    assert "consul.kv" in text_of(page)
    assert "8h unless another one is asked for, 2d at most" in text_of(page)
    assert "<b>Stores" not in page.text


def test_nothing_hostile_becomes_html(reader: Reader) -> None:
    page = reader.get(f"{NEW}?template=store&name=<script>alert(1)</script>&lifetime=%22><img src=x>").text
    assert "<script>alert" not in page
    assert "<img" not in page


def test_an_environment_is_created_once_however_often_the_form_is_sent(
    reader: Reader, client: InProcessClient, form: Form
) -> None:
    sent = form.with_(secret__token="hunter22", do="create")
    first, second = reader.post(NEW, sent), reader.post(NEW, sent)
    assert [first.status_code, second.status_code] == [303, 303]
    assert first.headers["Location"] == second.headers["Location"] == "/environments/shop-1?done=environment.create"
    made = client.environment("shop-1")
    assert made.parameters["count"] == 3
    assert "hunter22" not in reader.get("/environments/shop-1").text


def test_opening_the_form_creates_nothing(reader: Reader, client: InProcessClient) -> None:
    before = names(client)
    reader.get(f"{NEW}?template=store&name=shop-1&p.count=3&do=create&p.token=hunter22")
    assert names(client) == before


def test_a_link_never_holds_secrets(reader: Reader, form: Form) -> None:
    page = reader.post(NEW, form.with_(secret__token="hunter22", do="link"))
    assert page.status_code == 200
    assert "name=shop-1" in page.text
    assert "p.count=3" in page.text
    assert "hunter22" not in page.text
    assert "hunter22" not in reader.get(f"{NEW}?template=store&p.token=hunter22").text


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(reader: Reader, form: Form) -> None:
    page = reader.post(NEW, form.with_(p__count="50", secret__token="hunter22", lifetime="3d", **{"p__tags:0": "blue"}))
    assert page.status_code == 400
    again = form_to(page.text, NEW)
    assert again.fields["p.count"] == ["50"]
    assert again.fields["p.tags:0"] == ["blue"]
    assert "hunter22" not in page.text
    page = reader.post(NEW, again.with_(lifetime="1d", secret__token="hunter22"))
    assert page.status_code == 400
    assert "50 is greater than the maximum of 20." in form_to(page.text, NEW).errors
    assert "hunter22" not in page.text


def test_what_can_not_be_read_is_kept_as_it_was_typed(reader: Reader, form: Form) -> None:
    page = reader.post(NEW, form.with_(p__count="a few", secret__token="hunter22"))
    again = form_to(page.text, NEW)
    assert again.fields["p.count"] == ["a few"]
    assert "This is not a whole number." in again.errors


def test_a_taken_name_is_told_at_the_name(reader: Reader, form: Form) -> None:
    page = reader.post(NEW, form.with_(name="checkout-fix", secret__token="hunter22"))
    assert page.status_code == 409
    assert any("checkout-fix" in said for said in form_to(page.text, NEW).errors) or "checkout-fix" in text_of(page)


def test_rules_that_no_request_can_hold_are_told_and_kept(reader: Reader, form: Form) -> None:
    for rules in ("x" * 2000, "\n".join(["0 19 * * 1-5"] * 500), "nonsense"):
        sent = form.with_(secret__token="hunter22", destroy_at=rules)
        page = reader.post(NEW, sent)
        assert page.status_code == 400
        assert form_to(page.text, NEW).fields["destroy_at"] == [rules.replace("\n", "\r\n")]
        assert reader.post(f"{NEW}/check", sent).status_code == 200


def test_rules_are_those_of_the_environment(reader: Reader, client: InProcessClient, form: Form) -> None:
    sent = form.with_(secret__token="hunter22", destroy_at="0 19 * * 1-5 Europe/Amsterdam", stop_at="\n0 18 * * *\n")
    assert reader.post(NEW, sent).status_code == 303
    assert [rule.action.value for rule in client.environment("shop-1").rules] == ["destroy", "stop"]


def test_rows_are_added_and_removed_without_a_script(reader: Reader, form: Form) -> None:
    added = form_to(reader.post(NEW, form.with_(do="add p.tags")).text, NEW)
    assert added.fields["p.tags~row"] == ["0", "1"]
    removed = form_to(reader.post(NEW, {**added.fields, "do": ["remove p.tags 0"]}).text, NEW)
    assert removed.fields["p.tags~row"] == ["1"]
    assert removed.fields["p.count"] == ["3"]


def test_the_key_that_enter_presses_is_create(form: Form) -> None:
    assert form.buttons[0] == ("do", "create")


def test_a_session_that_ended_keeps_what_was_typed_but_no_secret(reader: Reader, form: Form) -> None:
    reader.token = "cvs_ended"
    page = reader.post(NEW, form.with_(secret__token="hunter22", p__count="7", do="create"))
    assert page.status_code == 401
    kept = form_to(page.text, NEW)
    assert kept.fields["p.count"] == ["7"]
    assert kept.fields["do"] == ["create"]
    assert kept.fields["before.token"] == ["1"]
    assert "hunter22" not in page.text


def test_a_secret_that_is_not_kept_is_asked_for_again(reader: Reader, client: InProcessClient, form: Form) -> None:
    page = reader.post(NEW, form.with_(before__token="1", do="create"))
    assert page.status_code == 400
    assert any("type it again" in said for said in form_to(page.text, NEW).errors)
    assert "shop-1" not in names(client)


def test_a_form_of_another_session_is_shown_again(reader: Reader, client: InProcessClient, form: Form) -> None:
    page = reader.post(NEW, form.with_(secret__token="hunter22", do="create"), form_token="0" * 64)
    assert page.status_code == 403
    assert form_to(page.text, NEW).fields["name"] == ["shop-1"]
    assert "shop-1" not in names(client)


def test_the_check_says_what_is_wrong_and_creates_nothing(reader: Reader, client: InProcessClient, form: Form) -> None:
    before = names(client)
    said = reader.post(f"{NEW}/check", form.with_(p__count="50", name="checkout-fix"))
    assert said.status_code == 200
    assert "50 is greater than the maximum of 20." in text_of(said)
    assert "missing" not in text_of(said)  # the secret isn't typed yet
    said = reader.post(f"{NEW}/check", form.with_(secret__token="hunter22", name="checkout-fix"))
    assert "'checkout-fix'" in text_of(said)
    assert names(client) == before


def test_whoever_may_not_create_is_told_why(client: InProcessClient, tmp_path: Path, form: Form) -> None:
    keep_people(client, "ada", "linus")
    client.set_creator("store", CreatorRequest(subject="ada"))
    with reader_as(client, "linus", tmp_path) as linus:
        assert "Create from store" not in linus.get(NEW).text
        assert "Only the people whom an admin has named" in text_of(linus.get(NEW)) or "may" in text_of(linus.get(NEW))
        page = linus.post(NEW, form.with_(secret__token="hunter22", do="create"))
        assert page.status_code == 403
        assert form_to(page.text, NEW).fields["name"] == ["shop-1"]
    assert "shop-1" not in names(client)


def test_a_service_that_is_away_loses_nothing_that_was_typed(
    reader: Reader, client: InProcessClient, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ServiceUnavailable("The service can't be reached.")

    monkeypatch.setattr(Client, "template", away)
    page = reader.post(NEW, form.with_(p__count="7", do="create"))
    assert page.status_code == 503
    assert form_to(page.text, NEW).fields["p.count"] == ["7"]


def test_what_may_have_been_done_is_said_so_and_is_not_done_twice(
    reader: Reader, client: InProcessClient, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = client._http._transport
    answer_of = transport.handle_request

    def lost(request: httpx2.Request) -> httpx2.Response:
        answer = answer_of(request)
        if request.method == "GET":
            return answer
        answer.close()
        raise httpx2.ReadTimeout("too slow")

    sent = form.with_(secret__token="hunter22")
    with monkeypatch.context() as losing:
        losing.setattr(transport, "handle_request", lost)
        page = reader.post(NEW, sent)
        told = reader.post("/environments/checkout-fix/stop", {"reason": "lunch"})
    assert page.status_code == 503
    assert "It may have been done" in text_of(page)
    assert 'value="shop-1"' in page.text
    assert "shop-1" in names(client)  # the page was right
    assert "What was asked for may have been done." in text_of(told)
    assert "Nothing was done" not in text_of(page) + text_of(told)
    assert reader.post(NEW, sent).status_code == 303


def test_what_never_reached_the_service_was_not_done(
    reader: Reader, client: InProcessClient, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    monkeypatch.setattr(client._http._transport, "handle_request", refused)
    page = reader.post(NEW, form.with_())
    assert (page.status_code, "Nothing was done yet" in text_of(page)) == (503, True)
