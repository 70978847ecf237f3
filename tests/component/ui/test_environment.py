"""The page of one environment: what it is now, and what can be done."""

import pytest

from environments.domain.environment import DegradedReason
from environments.domain.lifecycle import DeploymentKind, DeploymentState, StepState
from environments.domain.timing import Because, Source
from environments.wire.access import ShareRequest
from environments.wire.deployments import DeploymentView, StepView
from tests.fakes.plans import NOW
from tests.support.hostile_texts import HOSTILE
from tests.support.in_process.client import InProcessClient
from tests.support.tui_scenes import drift_away, ready
from tests.support.ui_harness import Reader, text_of
from tests.support.ui_people import keep_people, reader_as


def test_an_environment_of_each_state_has_a_page(reader: Reader, client: InProcessClient) -> None:
    for view in client.views.values():
        answer = reader.get(f"/environments/{view.name}")
        assert answer.status_code == 200, view.name
        said = text_of(answer)
        assert view.state.value.replace("_", " ") in said
        assert view.owner in said
        assert view.template in said


def test_what_failed_stands_first_with_what_to_do(reader: Reader) -> None:
    said = text_of(reader.get("/environments/shop"))
    assert said.index("isn't healthy") < said.index("Facts")
    assert "fix the cause, then retry" in said


def test_an_action_that_is_not_possible_is_disabled_and_says_why(reader: Reader) -> None:
    answer = reader.get("/environments/checkout-fix")
    assert "checkout-fix is ready: start isn't possible now." in text_of(answer)
    assert "/environments/checkout-fix/start" not in answer.text
    assert 'href="/environments/checkout-fix/stop"' in answer.text


def test_secrets_are_masked_until_they_are_revealed(reader: Reader) -> None:
    page = reader.get("/environments/checkout-fix")
    assert "correct horse" not in page.text
    revealed = reader.post("/environments/checkout-fix/reveal", {})
    assert revealed.status_code == 200
    assert "correct horse" in revealed.text
    assert revealed.headers["Cache-Control"] == "no-store"
    assert "correct horse" not in reader.get("/environments/checkout-fix").text


def test_a_viewer_cannot_reveal(
    client: InProcessClient, reader: Reader, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keep_people(client, "mary")
    client.share("checkout-fix", ShareRequest(subject="mary"))
    with reader_as(client, "mary", tmp_path_factory.mktemp("mary")) as mary:
        page = mary.get("/environments/checkout-fix")
        assert "you are viewer of checkout-fix" in text_of(page)
        assert 'href="/environments/checkout-fix/stop"' not in page.text
        refused = mary.post("/environments/checkout-fix/reveal", {})
    assert refused.status_code == 403
    assert "correct horse" not in refused.text


def test_somebody_else_sees_no_trace(client: InProcessClient, tmp_path_factory: pytest.TempPathFactory) -> None:
    with reader_as(client, "mary", tmp_path_factory.mktemp("mary")) as mary:
        other, nothing = mary.get("/environments/checkout-fix"), mary.get("/environments/checkout-fax")
        assert mary.post("/environments/checkout-fix/reveal", {}).status_code == 404
    assert other.status_code == nothing.status_code == 404
    assert text_of(other).replace("checkout-fix", "") == text_of(nothing).replace("checkout-fax", "")


def test_the_deadline_says_why(client: InProcessClient, reader: Reader) -> None:
    because = Because(source=Source.ENVIRONMENT, rule="0 19 * * 1-5 Europe/Berlin", by="ada")
    client.put(ready().model_copy(update={"deadline_because": because}))
    said = text_of(reader.get("/environments/checkout-fix"))
    assert "in 5h55m" in said
    assert "rule '0 19 * * 1-5 Europe/Berlin', set by ada" in said


def test_reasons_and_drift_are_told(client: InProcessClient, reader: Reader) -> None:
    drift_away(client)
    reason = DegradedReason(since=NOW, step="app", kind="nomad.job", address="x/web", reason="Its job has no instance.")
    client.put(client.environment("checkout-fix").model_copy(update={"degraded": (reason,)}))
    answer = reader.get("/environments/checkout-fix")
    assert "app: Its job has no instance." in text_of(answer)
    assert "≠ drifted" in text_of(answer)
    assert 'href="/environments/checkout-fix/drift"' in answer.text


def test_the_steps_are_a_table_and_a_graph(client: InProcessClient, reader: Reader) -> None:
    steps = (
        StepView(name="settings", uses="consul.kv", state=StepState.DONE, started_at=NOW, ended_at=NOW, attempts=1),
        StepView(
            name="app", uses="nomad.job", state=StepState.RUNNING, needs=("settings",), started_at=NOW, attempts=2
        ),
    )
    made = DeploymentView(
        id="dep-1",
        kind=DeploymentKind.CREATE,
        state=DeploymentState.RUNNING,
        reason="created",
        requested_by="ada",
        requested_at=NOW,
        steps=steps,
    )
    client.put(ready().model_copy(update={"deployment": made}))
    answer = reader.get("/environments/checkout-fix")
    assert "app (running) after settings" in text_of(answer)
    assert answer.text.count("<rect") == 2
    assert "attempt 2" in text_of(answer)
    assert "style=" not in answer.text


@pytest.mark.parametrize("text", HOSTILE[::6])
def test_texts_of_strangers_stay_texts(client: InProcessClient, reader: Reader, text: str) -> None:
    text = text.replace("\x00", "").encode("utf-8", "replace").decode()
    failure = client.environment("shop").failure
    assert failure is not None
    view = client.environment("shop").model_copy(
        update={
            "failure": failure.model_copy(update={"message": text, "hint": text}),
            "parameters": {"message": text},
            "outputs": {"url": ready().outputs["url"].model_copy(update={"value": text, "description": text})},
        }
    )
    client.put(view)
    answer = reader.get("/environments/shop")
    assert answer.status_code == 200
    _harmless(answer.text)


def _harmless(page: str) -> None:
    assert "<script>" not in page
    assert "<img" not in page
    assert 'href="javascript' not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
