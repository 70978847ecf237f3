"""Situations of triggers, received events and previews, on the environment `checkout-fix`."""

from datetime import datetime, timedelta
from typing import Any

from environments.domain.lifecycle import State
from environments.domain.preview import Preview, Wanted
from environments.domain.received_event import NewReceivedEvent, Source
from environments.domain.trigger import Firing, FiringState, TriggerAction
from environments.service.storage.webhooks import Webhook
from tests.fakes.plans import NOW
from tests.support.in_process.client import InProcessClient
from tests.support.tui_scenes import ready
from tests.support.views import WEB, environment_id, environment_view

CHECKOUT = ready().id
HOSTILE = "[bold red]pay[/] \x1b[31m${secret} \N{RIGHT-TO-LEFT OVERRIDE}gnp.exe"
"""What a stranger calls a pull request."""

REST = {"name": "rest", "on": "idle", "for": "2h", "cpu": 20, "action": "stop"}
CLOSED: dict[str, Any] = {
    "name": "end-with-pr",
    "on": "git.pull_request",
    "kinds": ["closed", "merged"],
    "webhook": "forge",
    "repository": "acme/shop",
    "when": {"number": 12},
    "action": "destroy",
}
ALONE = {
    "name": "nightly",
    "on": "environment",
    "kinds": ["failed"],
    "action": "notify",
    "message": "{{ environment.name }} failed",
    "template": "web",
}
OF_TEMPLATE = """
[[triggers]]
name = "over-budget"
on = "cost"
over = 20
action = "notify"
message = "It costs more than 20."
"""


def put_triggers(client: InProcessClient) -> None:
    """Two triggers on the environment, one in its template, and one that stands alone and is paused."""
    with client.service.database.write() as tx:
        tx.webhooks.add(Webhook("forge", "gitea", "", (), "ada", NOW), ["everyone"])
    digest = client.push_template(WEB.replace('version = "1"', 'version = "2"') + OF_TEMPLATE)
    view = client.environment(CHECKOUT)
    client.put(view.model_copy(update={"bundle": digest, "template_version": "2"}))
    for definition in (REST, CLOSED):
        client.set_trigger(definition, CHECKOUT)
    client.change_trigger(client.set_trigger(ALONE).id, paused=True)


def put_events(client: InProcessClient) -> None:
    """A pull request that was opened, and closed; one trigger destroyed the environment, another one waits."""
    put_triggers(client)
    ids = {one.name: one.id for one in client.environment_triggers(CHECKOUT)}
    fields: dict[str, Any] = {"repository": "acme/shop", "number": 12, "title": HOSTILE, "fork": True}
    receive(client, "opened", fields, at=NOW - timedelta(hours=3))
    receive(client, "closed", fields, at=NOW - timedelta(minutes=4))
    receive(client, "labelled", fields, at=NOW - timedelta(minutes=1), hops=6)
    with client.service.database.write() as tx:
        tx.firings.add(
            [
                fired("closed", ids["end-with-pr"], "end-with-pr", TriggerAction.DESTROY, FiringState.DONE),
                fired(
                    "closed",
                    ids["rest"],
                    "rest",
                    TriggerAction.STOP,
                    FiringState.LEFT_OUT,
                    reason="destroyed by the same event",
                ),
            ]
        )


def put_previews(client: InProcessClient) -> None:
    """A preview that is ready and ends soon, one that can't be made, and one that has ended."""
    definition = {
        "name": "previews",
        "on": "git.pull_request",
        "webhook": "forge",
        "repository": "acme/shop",
        "action": "preview",
        "template": "web",
    }
    with client.service.database.write() as tx:
        if tx.webhooks.get("forge") is None:
            tx.webhooks.add(Webhook("forge", "gitea", "", (), "ada", NOW), ["everyone"])
    trigger = client.set_trigger(definition).id
    gone = environment_view("shop-pr-3", State.DESTROYED, destroyed_at=NOW)
    for view in (environment_view("shop-pr-12", State.READY), gone):
        client.put(view)
    with client.service.database.write() as tx:
        for preview in (
            _preview(
                trigger,
                12,
                environment_id=environment_id("shop-pr-12"),
                wanted=Wanted.ALIVE,
                applied_sha="0123456789abcdef",
                because="pull request acme/shop#12 was closed",
                end_at=NOW + timedelta(minutes=50),
                looked_at=NOW - timedelta(minutes=2),
                look_at=NOW + timedelta(minutes=8),
            ),
            _preview(
                trigger,
                31,
                wanted=Wanted.ALIVE,
                because="pull request acme/shop#31 is open",
                fault="The template [web] needs a value for branch.",
            ),
            _preview(trigger, 3, environment_id=gone.id, because="it was merged", closed_at=NOW - timedelta(days=1)),
        ):
            tx.previews.add(preview)


def _preview(trigger_id: str, number: int, **values: Any) -> Preview:
    return Preview(
        id=f"prv-{number}",
        trigger_id=trigger_id,
        webhook="forge",
        repository="acme/shop",
        number=number,
        environment=f"shop-pr-{number}",
        **values,
    )


def receive(
    client: InProcessClient, kind: str, fields: dict[str, Any], *, at: datetime, hops: int = 0, number: int = 12
) -> None:
    """A pull request's event `evt-<kind>`, which was matched; one after too many firings was refused."""
    event = NewReceivedEvent(
        source=Source.PULL_REQUEST,
        kind=kind,
        origin="forge",
        delivery=f"delivery-{kind}",
        subject=f"acme/shop#{number}",
        fields=fields,
        at=at,
        hops=hops,
    )
    reason = "more than 5 firings led to it" if hops else ""
    with client.service.database.write() as tx:
        tx.received.add(event, f"evt-{kind}", at, refused=reason)
        if not hops:
            tx.received.finish([f"evt-{kind}"], at)


def fired(
    kind: str, trigger_id: str, trigger: str, action: TriggerAction, state: FiringState, *, reason: str = ""
) -> Firing:
    """What a trigger did because of the event `evt-<kind>`."""
    return Firing(
        id=f"fir-{kind}-{trigger}",
        event_id=f"evt-{kind}",
        trigger_id=trigger_id,
        trigger_name=trigger,
        owner="ada",
        environment_id=CHECKOUT,
        environment="checkout-fix",
        action=action,
        state=state,
        reason=reason,
        created_at=NOW - timedelta(minutes=4),
        done_at=NOW - timedelta(minutes=4),
    )
