"""Stop, start, retry, cancel, destroy and abandon an environment: each a page that says what will happen, and asks."""

from environments.domain.lifecycle import ResourceStatus
from environments.domain.timing import TimedAction
from environments.moments import moment
from environments.ui.asking import Ask, Field, pages_of
from environments.ui.environment.common import asks, found, meant
from environments.ui.listing import Code, Column, table
from environments.ui.visit import Visit
from environments.wire.deployments import CancelRequest
from environments.wire.environments import AbandonRequest, EnvironmentView, ResourceView
from environments.words import RESOURCES, STATES

_REASON = Field("reason", "Why, for the history")


def _stopping(visit: Visit) -> Ask:
    view = found(visit)
    says = [f"The jobs of {view.name} will be stopped; its data is kept, and its deadline stays.", _until(visit, view)]
    return asks(visit, view, "environment.stop", f"Stop {view.name}", says, [_REASON], button="Stop it")


def _until(visit: Visit, view: EnvironmentView) -> str:
    in_time = view.deadline is None or view.switch_at is None or view.switch_at <= view.deadline
    if view.switch_at is not None and view.switch_action is TimedAction.START and in_time:
        return f"The calendar starts it at {moment(view.switch_at, visit.zone)}, if nobody does before."
    return "It stays stopped until somebody or its calendar starts it."


def _stop(visit: Visit) -> None:
    visit.client.stop(meant(visit).id, visit.typed("reason").strip())


def _starting(visit: Visit) -> Ask:
    view = found(visit)
    says = ["It will be started as it ran before, and its checks will run."]
    return asks(visit, view, "environment.start", f"Start {view.name}", says, [_REASON], button="Start it")


def _start(visit: Visit) -> None:
    visit.client.start(meant(visit).id, visit.typed("reason").strip())


def _retrying(visit: Visit) -> Ask:
    view = found(visit)
    says = ["Its failed deployment will run again; finished steps are kept."]
    return asks(visit, view, "environment.retry", f"Retry {view.name}", says, button="Retry")


def _retry(visit: Visit) -> None:
    visit.client.retry(meant(visit).id)


def _cancelling(visit: Visit) -> Ask:
    view = found(visit)
    newest = view.deployment
    again = newest is not None and newest.cancel_requested_at is not None
    says = [
        f"{view.name} is {STATES[view.state].word}.{' Cancellation was requested before.' if again else ''}",
        "Running steps may finish cleanly. Then it is failed, and can be retried, repaired, updated or destroyed. What "
        "was made by then stays, and is listed.",
    ]
    force = Field("force", "With force: running steps are stopped at once", "check", "yes" if again else "")
    title = f"Cancel the deployment of {view.name}"
    return asks(visit, view, "environment.cancel", title, says, [force], button="Cancel it")


def _cancel(visit: Visit) -> None:
    visit.client.cancel(meant(visit).id, CancelRequest(force=visit.typed("force") == "yes"))


def _destroying(visit: Visit) -> Ask:
    view = found(visit)
    says = [
        f"{view.name} of {view.owner}, made from {view.template}, will be destroyed now, with everything that belongs "
        "to it: services, configuration, secrets, certificates.",
        "This can't be undone.",
    ]
    named = Field("name", "Name of the environment", typed=view.name)
    fields = [named, _REASON]
    return asks(visit, view, "environment.destroy", f"Destroy {view.name}", says, fields, button="Destroy", danger=True)


def _destroy(visit: Visit) -> None:
    visit.client.destroy(meant(visit).id, visit.typed("reason").strip())


_LEFT: tuple[Column[ResourceView], ...] = (
    Column("Address", lambda one: Code(one.address)),
    Column("Kind", lambda one: one.kind),
    Column("State", lambda one: RESOURCES[one.status]),
)


def _abandoning(visit: Visit) -> Ask:
    view = found(visit)
    left = [one for one in visit.client.resources(view.id) if one.status is not ResourceStatus.GONE]
    left.sort(key=lambda one: one.status is not ResourceStatus.STUCK)
    says = [
        f"{view.name} can't be destroyed, and won't be tried again. Its name stays reserved until nothing of it is "
        "found. What may be left of it is recorded and still observed, but you have to remove it by hand.",
    ]
    reason = Field("reason", "Why, for the history", required=True)
    return asks(
        visit,
        view,
        "environment.abandon",
        f"Abandon {view.name}",
        says,
        [reason, Field("name", "Name of the environment", typed=view.name)],
        button="Abandon",
        danger=True,
        sections=[table(_LEFT, left, "Nothing is known that may be left.", "This may be left")],
    )


def _abandon(visit: Visit) -> None:
    visit.client.abandon(meant(visit).id, AbandonRequest(reason=visit.typed("reason").strip()))


PAGES = (
    *pages_of("/environments/{name}/stop", _stopping, _stop),
    *pages_of("/environments/{name}/start", _starting, _start),
    *pages_of("/environments/{name}/retry", _retrying, _retry),
    *pages_of("/environments/{name}/cancel", _cancelling, _cancel),
    *pages_of("/environments/{name}/destroy", _destroying, _destroy),
    *pages_of("/environments/{name}/abandon", _abandoning, _abandon),
)
