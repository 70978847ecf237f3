"""Webhooks: where forges and others deliver events to (admins)."""

from starlette.responses import Response

from environments.ui import rooms
from environments.ui.asking import Ask, Field, pages_of, shown_once
from environments.ui.listing import Button, Code, Column, Facts, Link, place, sign, table, told
from environments.ui.visit import Visit
from environments.wire.webhooks import (
    KINDS,
    ForgeTokenRequest,
    NewWebhookSecret,
    RefusedView,
    RotateRequest,
    WebhookView,
)
from environments.wire.webhooks import WebhookRequest as Asked

_COLUMNS: tuple[Column[WebhookView], ...] = (
    Column("Name", lambda one: Link(one.name, place("webhooks", one.name))),
    Column("Kind", lambda one: one.kind),
    Column("Forge", lambda one: one.address),
    Column("Last delivery", lambda one: one.last_at),
    Column("Made by", lambda one: one.created_by),
)
_REFUSED: tuple[Column[RefusedView], ...] = (
    Column("Why", lambda one: one.said),
    Column("How often", lambda one: one.count),
    Column("Last", lambda one: one.last_at),
    Column("From", lambda one: one.last_address),
)


def show(visit: Visit) -> Response:
    """All of them."""
    return told(
        visit,
        "Webhooks",
        [table(_COLUMNS, visit.client.webhooks(), "There are no webhooks.")],
        intro="A webhook takes deliveries of a forge, or of anything else that can send a signed request.",
        beside=rooms.EVENTS,
        buttons=[Button("Create a webhook", "/webhooks/new")],
    )


def show_one(visit: Visit) -> Response:
    """One, and what was refused of its deliveries."""
    one = visit.client.webhook(visit.params["name"])
    path = place("webhooks", one.name)
    asks_forge = "" if one.kind != "generic" else "it has no forge"
    return told(
        visit,
        one.name,
        [
            Facts(
                [
                    ("Kind", one.kind),
                    ("Deliveries go to", Code(one.deliveries)),
                    ("Forge", one.address),
                    ("May call", ", ".join(one.allowed)),
                    ("Made by", one.created_by),
                    ("Made", one.created_at),
                    ("New secret since", one.rotated_at),
                    ("Last delivery", one.last_at or sign("none yet", "warn")),
                ]
            ),
            table(_REFUSED, one.refused, "Nothing was refused.", "Refused deliveries, by hour"),
            table(_REFUSED, one.unknown, "Nothing came for unknown webhooks.", "For webhooks that there aren't"),
        ],
        up=Link("Webhooks", "/webhooks"),
        buttons=[
            Button("New secret", f"{path}/rotate"),
            Button("Ask the forge", f"{path}/check", asks_forge),
            Button("Set the forge's token", f"{path}/token", asks_forge),
            Button("Delete", f"{path}/delete", danger=True),
        ],
    )


def _creating(visit: Visit) -> Ask:
    return Ask(
        "webhook.create",
        "Create a webhook",
        ["You get its address and its secret; the secret is shown once."],
        "/webhooks",
        [
            Field("name", "Name", required=True),
            Field("kind", "Kind", "choice", "github", options=[(kind, kind) for kind in KINDS]),
            Field("address", "Address of the forge", help="Such as https://forge.example; empty: the public one."),
            Field(
                "secret.token", "Token of the forge", "secret", help="With it the service asks the forge, and comments."
            ),
            Field("allowed", "Near addresses that it may call", help="host:port, with commas between."),
        ],
        "Create",
    )


def _create(visit: Visit) -> Response:
    asked = Asked.model_validate(
        {
            "name": visit.typed("name").strip(),
            "kind": visit.typed("kind"),
            "address": visit.typed("address").strip(),
            "token": visit.typed("secret.token"),
            "allowed": visit.listed("allowed"),
        }
    )
    return _once(visit, visit.client.create_webhook(asked))


def _once(visit: Visit, made: NewWebhookSecret) -> Response:
    says = [f"Let the deliveries go to {made.webhook.deliveries}, signed with this secret."]
    if made.previous_until is not None:
        says.append(f"The one before is valid until {made.previous_until:%Y-%m-%d %H:%M} UTC.")
    name = made.webhook.name
    return shown_once(visit, f"The secret of {name}", says, made.secret, place("webhooks", name))


def _rotating(visit: Visit) -> Ask:
    name = visit.params["name"]
    return Ask(
        "webhook.rotate",
        f"A new secret for {name}",
        ["The one before stays valid for a while, so that the forge can be told in time."],
        place("webhooks", name),
        [Field("overlap", "For how long", value="1d", help="A duration such as 2h or 1d; 0s: not at all.")],
        "Make it",
    )


def _rotate(visit: Visit) -> Response:
    asked = RotateRequest(overlap=visit.typed("overlap").strip() or None)
    return _once(visit, visit.client.rotate_webhook(visit.params["name"], asked))


def _checking(visit: Visit) -> Ask:
    name = visit.params["name"]
    return Ask("webhook.check", f"Ask the forge of {name}", ["Whether its token is good."], place("webhooks", name))


def _check(visit: Visit) -> Response:
    name = visit.params["name"]
    found = visit.client.check_webhook(name)
    facts = Facts([("The token is of", found.account or "an account that the forge doesn't tell")])
    return told(visit, "The forge answers", [facts], up=Link(name, place("webhooks", name)))


def _setting(visit: Visit) -> Ask:
    name = visit.params["name"]
    fields = [Field("secret.token", "Token of the forge", "secret", help="Empty: none.")]
    says = ["It replaces the one before."]
    return Ask("webhook.token", f"The forge's token of {name}", says, place("webhooks", name), fields)


def _set(visit: Visit) -> None:
    visit.client.set_webhook_token(visit.params["name"], ForgeTokenRequest(token=visit.typed("secret.token")).token)


def _deleting(visit: Visit) -> Ask:
    name = visit.params["name"]
    says = ["Deliveries to it are refused from now on, and triggers that wait for them hear nothing more."]
    fields = [Field("name", "The name of the webhook", typed=name)]
    return Ask("webhook.delete", f"Delete {name}", says, place("webhooks", name), fields, danger=True)


def _delete(visit: Visit) -> str:
    visit.client.delete_webhook(visit.params["name"])
    return "/webhooks"


PAGES = (
    ("GET", "/webhooks", show),
    *pages_of("/webhooks/new", _creating, _create),
    ("GET", "/webhooks/{name}", show_one),
    *pages_of("/webhooks/{name}/rotate", _rotating, _rotate),
    *pages_of("/webhooks/{name}/check", _checking, _check),
    *pages_of("/webhooks/{name}/token", _setting, _set),
    *pages_of("/webhooks/{name}/delete", _deleting, _delete),
)
