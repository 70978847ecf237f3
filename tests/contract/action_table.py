"""What each command and each key takes: a row for each action of the registry. Data only; the docs and a test read it.

Add an action: give it a row in `ROWS`, with who may (a line of `WHO` in `access_table`, or `NOTHING`), the route that
decides, and what to type. The test `test_access_by_command` types it as everybody and compares; then run
`python -c "from tests.unit.test_actions import write; write()"` for the page. The table says what is wanted: it isn't
made from the code that it is compared with.
"""

from dataclasses import dataclass

NOTHING = "nothing"
"""The service isn't asked, or only whether it answers."""

TUI = "in the terminal UI"

WORDS = {
    NOTHING: "",
    "open": "",
    "link": "",
    "known": "a token",
    "unlimited": "a token without limits",
    "audits": "owner or auditor",
    "insider": "member or auditor",
    "responsible": "who answers for it, or admin",
}
"""What the page says for lines of `WHO` that are no roles."""


@dataclass(frozen=True)
class Row:
    """What an action takes.

    `asks` is the route whose answer decides, as `access_table` has it. `typed` are the command's arguments, with fields
    that the route's `given` has; None: it isn't typed, because it takes more than a service, or has no command. `how`
    is empty for the action as such, an option of the command, or `TUI`, if that asks something else.
    """

    id: str
    takes: str
    asks: str = ""
    typed: str | None = None
    how: str = ""


E, P = "/v1/environments/{name}", "/v1/plans/{plan_id}"
T = "/v1/triggers/{trigger_id}"
_HOLD = "--reason test"
_QUIET = "--yes --no-wait"

ON_ENVIRONMENTS = (
    Row("environment.list", "known", "GET /v1/environments", ""),
    Row(
        "environment.create",
        "unlimited",
        "POST /v1/environments",
        "{new} --template {template} --parameter branch=main --no-wait",
    ),
    Row("environment.show", "viewer", f"GET {E}", "{name} --resources"),
    Row("environment.outputs", "viewer", f"GET {E}/outputs", "{name}"),
    Row("environment.outputs", "owner", f"GET {E}/outputs?reveal=true", "{name} --reveal", "--reveal"),
    Row("environment.outputs", "owner", f"GET {E}/outputs?reveal=true", how=TUI),
    Row("environment.logs", "viewer", f"GET {E}/events", "{name}"),
    Row("environment.logs", "operator", f"GET {E}/containers", "{name} --containers", "--containers"),
    Row("environment.logs", "operator", f"GET {E}/containers/log", "{name} --task app", "--task"),
    Row("environment.container_logs", "operator", f"GET {E}/containers"),
    Row("environment.watch", "viewer", f"GET {E}", "{name}"),
    Row("environment.update", "operator", f"PUT {E}", "{name} --parameter message=other --no-wait"),
    Row("environment.update", "planner", f"POST {E}/plan", "{name} --parameter message=other --plan", "--plan"),
    Row("environment.extend", "operator", f"POST {E}/extend", "{name} 4h"),
    Row("environment.schedule", "operator", f"POST {E}/extend"),
    Row("environment.stop", "operator", f"POST {E}/stop", "{name} --no-wait"),
    Row("environment.start", "operator", f"POST {E}/start", "{name} --no-wait"),
    Row("environment.heartbeat", "operator", f"POST {E}/heartbeat", "{name}"),
    Row("environment.retry", "operator", f"POST {E}/retry", "{name} --no-wait"),
    Row("environment.drift", "viewer", f"GET {E}/drift", "{name}"),
    Row("environment.drift", "planner", f"POST {E}/observe", "{name} --observe", "--observe"),
    Row("environment.drift", "planner", f"POST {E}/observe", how=TUI),
    Row("environment.explain", "viewer", f"GET {E}/explain", "{name}"),
    Row("environment.rules", "viewer", f"GET {E}/rules", "{name}"),
    Row("environment.add_rule", "operator", f"POST {E}/rules", "{name} '0 4 * * *'"),
    Row("environment.remove_rule", "operator", f"DELETE {E}/rules?rule=0+5+*+*+*", "{name} '0 5 * * *'"),
    Row("environment.pin", "operator", f"PUT {E}/pin", "{name} --reason test --ttl 2h"),
    Row("environment.unpin", "operator", f"DELETE {E}/pin", "{name}"),
    Row("environment.repair", "operator", f"POST {E}/repair", "{name} --no-wait"),
    Row("environment.repair", "planner", f"POST {E}/plan", "{name} --plan", "--plan"),
    Row("environment.promote", "operator", f"POST {E}/promote", "{name} --no-wait"),
    Row("environment.promote", "planner", f"POST {E}/plan", None, "--plan"),
    Row("environment.rollback", "operator", f"POST {E}/rollback", "{name} --no-wait"),
    Row("environment.rollback", "planner", f"POST {E}/plan", None, "--plan"),
    Row("environment.cancel", "operator", f"POST {E}/cancel", "{name} --no-wait"),
    Row("environment.why", "viewer", f"GET {E}", "{name}"),
    Row("environment.history", "viewer", f"GET {E}/deployments", "{name}"),
    Row("environment.destroy", "owner", f"POST {E}/destroy", f"{{name}} {_QUIET}"),
    Row("environment.destroy", "planner", f"POST {E}/plan", "{name} --plan", "--plan"),
    Row("environment.abandon", "owner", f"POST {E}/abandon", "{name} --reason test --yes"),
    Row("environment.share", "owner", f"PUT {E}/shares", "{name} {other}"),
    Row("environment.unshare", "owner", f"DELETE {E}/shares?subject={{other}}", "{name} {other}"),
    Row("environment.unshare", "viewer", f"GET {E}/access", how=TUI),
    Row("environment.access", "viewer", f"GET {E}/access", "{name}"),
    Row("environment.transfer", "owner", f"POST {E}/transfer", "{name} {other} --yes"),
    Row("environment.triggers", "viewer", f"GET {E}/triggers"),
    Row("trigger.show", "viewer", f"GET {T}", "{trigger_id}"),
    Row(
        "trigger.add",
        "operator",
        f"POST {E}/triggers",
        "{name} rest --on idle --for 2h --cpu 20 --action notify --message idle",
    ),
    Row("trigger.remove", "operator", f"DELETE {T}", "{trigger_id}"),
    Row("trigger.pause", "operator", f"PUT {T}", "{trigger_id}"),
    Row("trigger.resume", "operator", f"PUT {T}"),
    Row("event.show", "viewer", "GET /v1/received-events/{event_id}", "{event_id}"),
    Row("plan.show", "viewer", f"GET {P}", "{plan_id}"),
    Row("plan.apply", "operator", f"POST {P}/apply", f"{{plan_id}} {_QUIET}"),
    Row("audit.list", "audits", "GET /v1/audit?environment={name}", "--env {name}", "--env"),
    Row("access.why", "viewer", "GET /v1/access/why?action=environment:read&environment={name}", "me read {name}"),
    Row(
        "access.why",
        "auditor",
        "GET /v1/access/why?action=token:create&person={other}",
        "{other} token:create",
        "of others",
    ),
)
"""The actions on environments, and what is read of them."""

_ON_THE_REST = (
    Row("hold.list", "known", "GET /v1/holds", ""),
    Row("hold.release", "admin", "POST /v1/holds/{hold_id}/release", f"{{hold_id}} {_HOLD} --yes"),
    Row("hold.cancel", "admin", "POST /v1/holds/{hold_id}/cancel", f"{{hold_id}} {_HOLD}"),
    Row("trigger.list", "known", "GET /v1/triggers", ""),
    Row("trigger.set", "unlimited", "POST /v1/triggers"),
    Row("trigger.test", "known", "POST /v1/triggers/test"),
    Row("event.list", "known", "GET /v1/received-events", ""),
    Row("event.filter", "known", "GET /v1/received-events"),
    Row("event.replay", "admin", "POST /v1/received-events/{event_id}/replay", "{event_id}"),
    Row("template.list", "known", "GET /v1/templates", ""),
    Row("template.show", "known", "GET /v1/templates/{name}", "{name}"),
    Row("template.validate", NOTHING),
    Row("template.new", NOTHING),
    Row("template.push", "admin", "POST /v1/templates"),
    Row("template.delete", "admin", "DELETE /v1/templates/{name}", "{name} --yes"),
    Row("template.creators", "auditor", "GET /v1/creators", ""),
    Row("template.set_creator", "admin", "PUT /v1/templates/{name}/creators", "{name} {other}"),
    Row("template.remove_creator", "admin", "DELETE /v1/templates/{name}/creators?subject={other}", "{name} {other}"),
    *(Row(f"image.{name}", NOTHING) for name in ("list", "show", "diff", "promote", "push", "verify", "sign", "prune")),
    Row("image.publish", "admin", "PUT /v1/images/{name}"),
    Row("image.withdraw", "admin", "DELETE /v1/images/{name}", "{name} --yes"),
    Row("image.published", "known", "GET /v1/images", ""),
    Row("token.create", "unlimited", "POST /v1/tokens", "--owner {caller}"),
    Row("token.list", "known", "GET /v1/tokens", ""),
    Row("token.revoke", "unlimited", "DELETE /v1/tokens/{token_id}", "{token_id} --yes"),
    Row("preview.list", "known", "GET /v1/previews", ""),
    Row("worker.list", "known", "GET /v1/workers", ""),
    Row("warning.channels", "admin", "GET /v1/warnings/channels", ""),
    Row("warning.test", "admin", "POST /v1/warnings/test", ""),
    Row("service.ca", "known", "GET /v1/ca", ""),
    Row("service.doctor", NOTHING),
    Row("service.serve", NOTHING),
    Row("service.tui", "known", "GET /v1/environments"),
    Row("access.table", "known", "GET /v1/access/table", ""),
    Row("role.list", "auditor", "GET /v1/roles", ""),
    Row("role.grant", "admin", "PUT /v1/roles", "{other} auditor"),
    Row("role.revoke", "admin", "DELETE /v1/roles?subject={other}", "{other} --yes"),
    Row("account.create", "unlimited", "POST /v1/service-accounts", "svc-{new}"),
    Row("account.list", "known", "GET /v1/service-accounts", ""),
    Row("account.show", "insider", "GET /v1/service-accounts/{name}", "{name}"),
    Row("account.change", "responsible", "PATCH /v1/service-accounts/{name}", "{name} --description ours"),
    Row("account.disable", "responsible", "POST /v1/service-accounts/{name}/disable", "{name} --yes"),
    Row("account.enable", "responsible", "POST /v1/service-accounts/{name}/enable", "{name}"),
    Row("account.token", "responsible", "POST /v1/service-accounts/{name}/tokens", "{name}"),
    Row(
        "account.revoke",
        "responsible",
        "DELETE /v1/service-accounts/{name}/tokens/{token_id}",
        "{name} {token_id} --yes",
    ),
    Row("webhook.create", "admin", "POST /v1/webhooks", "{new} --kind generic"),
    Row("webhook.set", "admin", "PATCH /v1/webhooks/{webhook}", "{webhook} --for everyone"),
    Row("webhook.list", "admin", "GET /v1/webhooks", ""),
    Row("webhook.show", "admin", "GET /v1/webhooks/{webhook}", "{webhook}"),
    Row("webhook.rotate", "admin", "POST /v1/webhooks/{webhook}/rotate", "{webhook}"),
    Row("webhook.token", "admin", "PUT /v1/webhooks/{webhook}/token"),
    Row("webhook.check", "admin", "POST /v1/webhooks/{webhook}/check"),
    Row("webhook.delete", "admin", "DELETE /v1/webhooks/{webhook}", "{webhook} --yes"),
    Row("policy.list", "known", "GET /v1/policies", ""),
    Row("policy.set", "admin", "PUT /v1/policies/{scope}/{name}", "--owner {name} --maximum 30d --yes"),
    Row("policy.change", "admin", "PUT /v1/policies/{scope}/{name}"),
    Row("policy.remove", "admin", "DELETE /v1/policies/{scope}/{name}", "--owner {name} --yes"),
    Row("calendar.list", "known", "GET /v1/calendars", ""),
    Row("calendar.show", "known", "GET /v1/calendars/{name}", "{name}"),
    Row("calendar.set", "admin", "PUT /v1/calendars/{name}", "{name} {days}"),
    Row("calendar.remove", "admin", "DELETE /v1/calendars/{name}", "{name}"),
    Row("user.list", "auditor", "GET /v1/people", ""),
    Row("user.show", "auditor", "GET /v1/people/{person}", "{person}"),
    Row("user.disable", "admin", "POST /v1/people/{person}/disable", "{person} --yes"),
    Row("user.enable", "admin", "POST /v1/people/{person}/enable", "{person}"),
    Row("user.successor", "admin", "PUT /v1/people/{person}/successor", "{person} {other}"),
    Row("user.assign", "admin", "POST /v1/people/{person}/assign", "{person} {other} --yes"),
    Row("user.local", "auditor", "GET /v1/local-people", ""),
    Row("user.create", "admin", "POST /v1/local-people", "{new}"),
    Row("user.reset", "admin", "POST /v1/local-people/{user_name}/reset", "{user_name} --yes"),
    Row("user.groups", "admin", "PUT /v1/local-people/{user_name}/groups", "{user_name}"),
    Row("user.issuers", "auditor", "GET /v1/issuers", ""),
    Row(
        "user.move_issuer",
        "admin",
        "POST /v1/issuers/move",
        "https://{issuer}.example.net https://new-{issuer}.example.net --yes",
    ),
    Row("group.list", "known", "GET /v1/groups", ""),
    Row("group.show", "insider", "GET /v1/groups/{group}", "{group}"),
    Row("group.create", "admin", "POST /v1/groups", "{new}"),
    Row("group.describe", "admin", "PUT /v1/groups/{group}", "{group} ours"),
    Row("group.add", "admin", "PUT /v1/groups/{group}/members/{person}", "{group} {person}"),
    Row("group.remove", "admin", "DELETE /v1/groups/{group}/members/{person}", "{group} {person}"),
    Row("group.delete", "admin", "DELETE /v1/groups/{group}", "{group} --yes"),
    Row("audit.list", "auditor", "GET /v1/audit", ""),
    Row("audit.show", "auditor", "GET /v1/audit/entries/{entry_id}", "{entry_id}"),
    Row("audit.export", "auditor", "GET /v1/audit/export", ""),
    Row("audit.head", "auditor", "GET /v1/audit/head", ""),
    Row("audit.verify", "auditor", "GET /v1/audit/verify"),
    *(Row(f"context.{name}", NOTHING) for name in ("add", "use", "list", "show", "export", "remove")),
    Row("session.login", "link", "POST /v1/auth/exchange"),
    Row("session.logout", "known", "POST /v1/auth/sign-out"),
    Row("session.whoami", "known", "GET /v1/auth/whoami", ""),
    Row("session.list", "known", "GET /v1/auth/sessions", ""),
    Row("session.end", "unlimited", "DELETE /v1/auth/sessions/{token_id}", "{token_id}"),
)

_VIEWS = ("filter", "sort", "reverse", "ended", "follow", "copy", "reload", "palette", "help", "back", "quit")

ROWS = (*ON_ENVIRONMENTS, *_ON_THE_REST, *(Row(f"view.{name}", NOTHING) for name in _VIEWS))
"""Every action of the registry, with its options that take something else."""


def takes(id: str) -> str:
    """What the page says of an action: `viewer; --reveal and in the terminal UI: owner`."""
    found: dict[str, list[str]] = {}
    for row in sorted((row for row in ROWS if row.id == id), key=lambda row: row.how != ""):
        found.setdefault(WORDS.get(row.takes, row.takes), []).append(f"`{row.how}`" if row.how[:1] == "-" else row.how)
    told = [f"{' and '.join(hows)}: {what}" if all(hows) else what for what, hows in found.items()]
    return "; ".join(told)
