"""Plans, drift, cancelling, giving up and the queue in the TUI."""

from datetime import timedelta

from textual.widgets import Button, Checkbox, Input

from environments.domain.environment import Drift, EventType, Incident, Unexpected
from environments.domain.errors import BackendUnavailable
from environments.domain.lifecycle import DeploymentKind, DeploymentState
from environments.domain.plan import StepPlan
from environments.wire.deployments import CancelRequest, PendingView
from environments.wire.environments import AbandonRequest
from environments.wire.plans import PlanRequest
from tests.fakes.plans import NOW, plan_steps
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import deploying, everything, failed, queued, ready
from tests.support.views import environment_id
from tui.environment_detail import DetailScreen
from tui.environment_list import ListScreen
from tui.plan_dialog import PlanDialog
from tui.recovery_dialogs import AbandonDialog, CancelDialog


async def _open(driver: Driver, name: str) -> None:
    driver.app.open_detail(next(view for view in driver.app.known.values() if view.name == name))
    await driver.until_screen(DetailScreen)


def _calls(driver: Driver, name: str) -> list[tuple[object, ...]]:
    return [call for call in driver.client.calls if call[0] == name]


def _go(driver: Driver) -> Button:
    return driver.screen.query_one("#go", Button)


def test_repair_shows_what_it_would_do_and_enter_alone_takes_nothing_away() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        await driver.press("R")
        await driver.until_screen(PlanDialog)
        await driver.until(lambda: not _go(driver).disabled, "the plan")
        shown = driver.static("#plan-steps")
        assert "± replace  opentofu.resource  restapi_object.disk" in shown
        assert "will be checked: answers" in shown
        assert "token  vault.secret  no longer in the template" in shown
        assert "1 to create, 2 to change, 1 to replace, 1 to destroy." in driver.static("#plan-sum")
        await driver.press("enter")
        await driver.until_screen(DetailScreen)
        assert _calls(driver, "plan") == [
            ("plan", environment_id("checkout-fix"), PlanRequest(kind=DeploymentKind.REPAIR))
        ]
        assert not _calls(driver, "apply_plan")

    drive(script, everything(), size=(120, 40))


def test_a_plan_that_takes_nothing_away_is_applied_with_enter() -> None:
    client = everything()
    client.plan_steps = plan_steps()[:1]

    async def script(driver: Driver) -> None:
        await driver.press("down", "R")
        await driver.until_screen(PlanDialog)
        await driver.until(lambda: not _go(driver).disabled, "the plan")
        await driver.press("enter")
        await driver.until_screen(ListScreen)
        assert _calls(driver, "apply_plan") == [("apply_plan", "plan-1")]
        await driver.until_text("◒ updating")

    drive(script, client)


def test_a_stale_plan_says_what_moved_and_is_made_again() -> None:
    client = everything()
    client.plan_steps = plan_steps()[:1]

    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        await driver.press("R")
        await driver.until_screen(PlanDialog)
        await driver.until(lambda: not _go(driver).disabled, "the plan")
        client.moved = ["the job web was changed by somebody"]
        await driver.press("enter")
        await driver.until(lambda: str(_go(driver).label) == "Plan again", "the other verb")
        await driver.until(lambda: not _go(driver).has_class("-active"), "the button to spring back")
        assert driver.static("#problem").count("the job web was changed by somebody") == 1
        client.moved = []
        await driver.press("enter")
        await driver.until(lambda: len(_calls(driver, "plan")) == 2 and not _go(driver).disabled, "the next plan")
        await driver.until(lambda: not _go(driver).has_class("-active"), "the button to spring back")
        assert not driver.screen.query_one("#problem").display
        await driver.press("enter")
        await driver.until_screen(DetailScreen)
        assert _calls(driver, "apply_plan") == [("apply_plan", "plan-1"), ("apply_plan", "plan-2")]

    drive(script, client, size=(120, 40))


def test_a_plan_that_cannot_be_made_says_why_and_is_tried_again() -> None:
    client = everything()

    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        client.refuse = BackendUnavailable("Nomad has no leader.")
        await driver.press("R")
        await driver.until_screen(PlanDialog)
        await driver.until(lambda: "Nomad has no leader." in driver.static("#problem"), "the reason")
        assert str(_go(driver).label) == "Plan again"
        await driver.press("shift+tab", "enter")
        await driver.until(lambda: str(_go(driver).label) == "Apply", "the plan")

    drive(script, client, size=(120, 40))


def test_a_dialog_that_is_left_while_it_plans_takes_nothing_with_it() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("down")
        for _ in range(5):
            await driver.press("R")
            await driver.until_screen(PlanDialog)
            await driver.press("escape")
            await driver.until_screen(ListScreen)

    drive(script, everything())


def test_a_failed_environment_is_rolled_back_if_it_was_ever_good() -> None:
    client = everything()

    async def script(driver: Driver) -> None:
        await _open(driver, "shop")
        assert "r retries, R repairs, D destroys" in driver.static("#header")
        await driver.press("b")
        await driver.until(lambda: driver.said(), "the refusal")
        assert driver.said() == ["shop was never ready: there is nothing to roll back to."]
        client.put(failed().model_copy(update={"last_good": "dep-0"}))
        client.tell(EventType.ENVIRONMENT_STATE, "shop", data={"state": "failed"})
        await driver.until(lambda: "b rolls back" in driver.static("#header"), "the key")
        await driver.press("b")
        await driver.until_screen(PlanDialog)
        await driver.until(lambda: _calls(driver, "plan"), "the plan")
        request = PlanRequest(kind=DeploymentKind.UPDATE, rollback_to="last-good")
        assert _calls(driver, "plan") == [("plan", environment_id("shop"), request)]

    drive(script, client, size=(120, 40))


def test_cancel_asks_and_can_be_forced() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "branch-418")
        await driver.until(lambda: driver.app.screen._view.deployment, "the deployment")  # type: ignore[attr-defined]
        await driver.press("X")
        await driver.until_screen(CancelDialog)
        await driver.press("enter")  # the careful answer has the focus
        await driver.until_screen(DetailScreen)
        assert not _calls(driver, "cancel")
        await driver.press("X")
        await driver.until_screen(CancelDialog)
        await driver.press("shift+tab", "enter")
        await driver.until_screen(DetailScreen)
        assert _calls(driver, "cancel") == [("cancel", environment_id("branch-418"), CancelRequest(force=False))]
        await driver.until(lambda: "cancellation requested by ada; X forces it" in driver.static("#header"), "it")
        await driver.press("X")
        await driver.until_screen(CancelDialog)
        assert driver.screen.query_one("#force", Checkbox).value
        assert str(_go(driver).label) == "Force it"
        await driver.press("shift+tab", "enter")
        await driver.until_screen(DetailScreen)
        assert _calls(driver, "cancel")[1:] == [("cancel", environment_id("branch-418"), CancelRequest(force=True))]

    drive(script, everything(), size=(120, 40))


def test_what_does_not_run_is_not_cancelled_and_what_can_be_destroyed_not_abandoned() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        await driver.until(lambda: driver.app.screen._view.deployment, "the deployment")  # type: ignore[attr-defined]
        await driver.press("X")
        await driver.press("A")
        await driver.until(lambda: len(driver.said()) == 2, "both refusals")
        assert driver.said() == [
            "No deployment of checkout-fix is queued or running.",
            "checkout-fix is ready: abandon isn't possible now.",
        ]

    drive(script, everything())


def test_abandon_wants_the_very_name_and_a_reason_and_lists_what_may_be_left() -> None:
    client = everything()
    client.inventory["stuck"] = list(client.inventory["checkout-fix"])

    async def script(driver: Driver) -> None:
        await _open(driver, "stuck")
        await driver.press("A")
        await driver.until_screen(AbandonDialog)
        await driver.until(lambda: "vault.role  pki/roles/checkout-fix" in driver.static("#left"), "the inventory")
        await driver.press("enter")
        await driver.write("stuck")
        assert _go(driver).disabled
        driver.screen.query_one("#reason", Input).value = "the cluster was scrapped"
        await driver.until(lambda: not _go(driver).disabled, "the button")
        await driver.press("enter")
        await driver.until_screen(DetailScreen)
        request = AbandonRequest(reason="the cluster was scrapped")
        assert _calls(driver, "abandon") == [("abandon", environment_id("stuck"), request)]
        await driver.until_text("∅ abandoned")

    drive(script, client)


def test_the_detail_says_what_drifted_and_what_is_unexpected() -> None:
    client = everything()
    client.observed["checkout-fix"] = Drift(
        observed_at=NOW - timedelta(minutes=3),
        steps=plan_steps()[:2],
        unexpected=(Unexpected(kind="nomad.job", address="stranger", detail="running"),),
        troubles={"token": "OpenBao is sealed."},
        incidents=(Incident(at=NOW, kind="nomad.job", address="demo/web", detail="its container was killed."),),
    )

    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        title = "Drift — 1 to create, 1 to change, 1 unexpected, 1 from outside, 1 not seen, observed 3m ago"
        await driver.until(lambda: driver.static("#drift-title") == title, "the drift")
        line = "~ change   consul.kv  …vironments/checkout-fix/message"
        await driver.until(lambda: line in driver.static("#drift"), "a line as wide as its place")
        body = driver.static("#drift")
        assert "? unexpected  nomad.job  stranger  running" in body
        assert "! from outside  demo/web: its container was killed." in body
        assert "✗ not seen  token: OpenBao is sealed." in body

    drive(script, client, size=(120, 50))


def test_looking_now_marks_it_in_the_list_with_a_sign_and_a_word() -> None:
    client = everything()

    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        title = "Drift — not observed since its last deployment, i observes"
        await driver.until(lambda: driver.static("#drift-title") == title, "the title")
        client.observed["checkout-fix"] = Drift(observed_at=NOW, steps=plan_steps()[:1])
        # Once for what the list knows of it, once more when its deployment is known.
        await driver.until(lambda: len(_calls(driver, "drift")) == 2, "both questions")
        await driver.press("i")
        await driver.until(lambda: "checkout-fix has drifted: 1 to create, 1 to change." in driver.said(), "the word")
        await driver.until(lambda: "≠ drifted" in driver.static("#header"), "the sign")
        assert "R repairs, i observes again" in driver.static("#header")
        assert driver.static("#drift-title") == "Drift — 1 to create, 1 to change, observed 0s ago"
        assert len(_calls(driver, "drift")) == 2, "the look was the answer"
        await driver.press("escape")
        await driver.until_screen(ListScreen)
        await driver.until_text("≠ drifted")
        await driver.press("slash")
        await driver.write("drifted")
        assert [view.name for view in driver.screen.table.views] == ["checkout-fix"]  # type: ignore[attr-defined]

    drive(script, client)


def test_looking_finds_nothing_or_is_refused() -> None:
    client = everything()
    client.observed["checkout-fix"] = Drift(observed_at=NOW, steps=(StepPlan(step="a", uses="consul.kv"),))

    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        await driver.press("i")
        await driver.until(lambda: "checkout-fix is as its steps made it." in driver.said(), "the word")
        assert not driver.screen.query_one("#drift").display
        client.refuse = BackendUnavailable("Nomad has no leader.")
        await driver.press("i")
        await driver.until(lambda: any("Nomad has no leader." in word for word in driver.said()), "the reason")

    drive(script, client)


def test_drift_is_asked_anew_after_a_deployment_and_not_with_each_event() -> None:
    client = everything()
    client.observed["checkout-fix"] = Drift(observed_at=NOW, steps=plan_steps()[:1])

    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        await driver.until(lambda: driver.screen.query_one("#drift").display, "the drift")
        for number in range(5):
            client.tell(EventType.LOG, "checkout-fix", f"line {number}")
        asked = len(_calls(driver, "drift"))
        del client.observed["checkout-fix"]
        client.put(ready().model_copy(update={"state_since": NOW}))
        client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", data={"state": "ready"})
        await driver.until(lambda: "not observed" in driver.static("#drift-title"), "the other observation")
        assert len(_calls(driver, "drift")) == asked + 1

    drive(script, client, size=(120, 40))


def test_a_queued_deployment_says_why_it_waits_until_it_runs() -> None:
    client = InProcessClient(queued())
    client.pending["dep-9"] = PendingView(
        deployment_id="dep-9",
        state=DeploymentState.QUEUED,
        lane="deploy",
        position=2,
        waiting=5,
        reasons=("All 8 slots of the lane are taken.",),
    )

    async def script(driver: Driver) -> None:
        await _open(driver, "patient")
        await driver.until(lambda: driver.screen.query_one("#why").display, "why")
        assert driver.static("#why") == "◌ Waits, 2 of 5 in the lane deploy. All 8 slots of the lane are taken."
        client.put(deploying().model_copy(update={"id": environment_id("patient"), "name": "patient"}))
        client.tell(EventType.ENVIRONMENT_STATE, "patient", data={"state": "deploying"})
        await driver.until(lambda: not driver.screen.query_one("#why").display, "the end of waiting")

    drive(script, client, size=(120, 40))


def test_a_version_that_awaits_promotion_is_shown_and_promoted_by_a_plan() -> None:
    client = InProcessClient(ready().model_copy(update={"awaiting_promotion": ("app",), "last_good": "dep-0"}))

    async def script(driver: Driver) -> None:
        await driver.until_text("↥ awaiting")
        await _open(driver, "checkout-fix")
        assert "app: a new version awaits promotion" in driver.static("#header")
        await driver.press("p")
        await driver.until_screen(PlanDialog)
        await driver.until(lambda: not _go(driver).disabled, "the plan")
        assert client.calls[-1][2].kind is DeploymentKind.PROMOTE
        _go(driver).press()
        await driver.until(lambda: any(call[0] == "apply_plan" for call in client.calls), "its being applied")

    drive(script, client, size=(80, 24))


def test_nothing_is_promoted_where_nothing_waits() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("p")
        await driver.until(lambda: "Nothing of checkout-fix awaits promotion." in driver.said(), "the refusal")

    drive(script, InProcessClient(ready()))
