"""Who gets which answer: a row for each route of the API. Data only; the docs and a test read it.

Add a route: give it a row in `ROWS`, with what a request needs that only rights could refuse, and the line of `WHO`
that says who may. The test `test_access_by_route` makes the requests; `python -m tests.support.docs_reference` writes
the page. The table says what is wanted: it isn't made from the code that it is compared with.
"""

from dataclasses import dataclass, field
from typing import Any

COLUMNS = {
    "nobody": "no token, or one that isn't known, was revoked, has expired, is a session that wasn't used for too "
    "long, or whose owner is disabled",
    "stranger": "nothing of the environment is theirs; a share that has ended counts like none",
    "viewer": "by a share with them, with a group of theirs or with everyone",
    "planner": "likewise",
    "operator": "likewise",
    "owner": "it is theirs or their group's, or it is shared with them as owner; also a service account's, with a "
    "token that is for this environment, this template or this action",
    "auditor": "the service role, without a share",
    "admin": "the service role",
    "elsewhere": "an owner's or an admin's token that is limited to another template or environment",
    "not for it": "an owner's or an admin's token that is limited to reading environments",
}
"""Callers of the table → who they are."""

WHO = """
line           nobody stranger viewer planner operator owner auditor admin elsewhere not_for_it
open             ok     ok       ok     ok      ok      ok     ok      ok     ok        ok
known           401     ok       ok     ok      ok      ok     ok      ok     ok        ok
unlimited       401     ok       ok     ok      ok      ok     ok      ok    403       403
viewer          401    404       ok     ok      ok      ok     ok      ok    404        ok
planner         401    404      403     ok      ok      ok    403      ok    404       403
operator        401    404      403    403      ok      ok    403      ok    404       403
owner           401    404      403    403     403      ok    403      ok    404       403
auditor         401    403      403    403     403     403     ok      ok    403       403
admin           401    403      403    403     403     403    403      ok    403       403
audits          401    404      403    403     403      ok     ok      ok    404       403
insider         401    404      404    404     404     404     ok      ok    404       404
responsible     401    404      404    404     404     404    403      ok    404       404
link             ok     ok       ok     ok      ok      ok     ok      ok     ok        ok
other           401    401      401    401     401     401    401     401    401       401
"""
"""What each line of callers gets. `ok` is the status of the row; `link` and `other` have credentials of their own."""


@dataclass(frozen=True)
class Row:
    """A request that would succeed if only rights decided.

    `route` is the method and the path's template, with a query if it needs one. `who` is a line of `WHO`. `given` names
    what there has to be (`tests.support.access.world`). `action` is what the route does, for tokens that are limited to
    it; empty: nothing that is limited. `audited` False: it changes nothing.
    """

    route: str
    who: str
    ok: int = 200
    action: str = ""
    given: str = "ready"
    body: dict[str, Any] | None = None
    audited: bool = False
    note: str = ""
    alone: int = 0
    """The status for an owner's token that is for the action alone, if that isn't enough."""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def plain(self) -> str:
        """The route without the query."""
        return self.route.partition("?")[0]


def _reads(route: str, who: str = "viewer", **more: Any) -> Row:
    return Row(f"GET {route}", who, **more)


def _does(route: str, who: str, action: str, **more: Any) -> Row:
    return Row(route, who, action=action, audited=True, **more)


_STATE = "/v1/modules/{environment_id}/{step}/state"
E, P = "/v1/environments/{name}", "/v1/plans/{plan_id}"
_ANSWER = "and to whoever is responsible for it"
_IDENTITY = {"provider": "none", "identity_token": "a.b.c"}
_NOTIFY = {"name": "rest", "on": "idle", "for": "2h", "cpu": 20, "action": "notify", "message": "It is idle."}
_NOTIFY_ALL = _NOTIFY | {"template": "web"}
_IDLE = {"event": {"source": "idle", "kind": "idle"}}
_PAUSE = {"paused": True}
_TRIGGERS = "environment:triggers"
_ALONE = "one that stands alone: its owner, or an admin"
_ALONE_DEFINED = f"{_ALONE}; only its owner says what it does"
_AS_ACTION = "and what its action takes"
_REASON = {"reason": "for a test"}

ROWS = (
    # Environments.
    _reads("/v1/environments", "known", note="only those that the caller sees"),
    _reads("/v1/overview", "known", note="counts of those that the caller sees"),
    _does(
        "POST /v1/environments",
        "unlimited",
        "environment:create",
        given="new",
        ok=202,
        body={"name": "{new}", "template": "{template}", "parameters": {"branch": "main"}},
        note="from templates that the caller may create from",
    ),
    Row(
        "POST /v1/environments/check",
        "unlimited",
        action="environment:create",
        given="new",
        body={"name": "{new}", "template": "{template}", "parameters": {"branch": "main"}},
        note="it creates nothing",
    ),
    _does("PUT /v1/mirror/{name}", "admin", "environment:mirror", given="mirrored"),
    _reads(E),
    _does(f"PUT {E}", "operator", "environment:update", ok=202, body={"parameters": {"message": "other"}}),
    _does(f"POST {E}/retry", "operator", "environment:retry", given="failed", ok=202),
    _does(f"POST {E}/extend", "operator", "environment:extend", body={"ttl": "4h"}),
    _reads(f"{E}/explain"),
    _does(f"POST {E}/destroy", "owner", "environment:destroy", ok=202),
    _reads(f"{E}/outputs"),
    _does(f"GET {E}/outputs?reveal=true", "owner", "environment:reveal", note="also whoever has the right to reveal"),
    _reads(f"{E}/deployments"),
    _reads(f"{E}/resources"),
    _reads(f"{E}/events"),
    _reads(f"{E}/containers", "operator", action="environment:read_container_logs", given="running"),
    _reads(f"{E}/containers/log", "operator", action="environment:read_container_logs", given="running"),
    Row(f"POST {E}/plan", "planner", ok=201, action="environment:plan", body={"kind": "destroy"}),
    _reads(P, given="planned"),
    _does(f"POST {P}/apply", "operator", "environment:update", given="planned", ok=202, note="as what it does"),
    _does(f"POST {E}/repair", "operator", "environment:repair", ok=202),
    _does(f"POST {E}/promote", "operator", "environment:promote", given="awaiting", ok=202),
    _does(f"POST {E}/rollback", "operator", "environment:roll_back", given="failed", ok=202),
    _does(f"POST {E}/abandon", "owner", "environment:abandon", given="destroy_failed", body=_REASON),
    _does(f"POST {E}/stop", "operator", "environment:stop", ok=202),
    _does(f"POST {E}/start", "operator", "environment:start", given="stopped", ok=202),
    _reads(f"{E}/drift", given="observed"),
    Row(f"POST {E}/observe", "planner", action="environment:observe"),
    Row(f"POST {E}/heartbeat", "operator", action="environment:heartbeat"),
    _reads("/v1/deployments/{deployment_id}"),
    _reads("/v1/deployments/{deployment_id}/why"),
    _does(f"POST {E}/cancel", "operator", "environment:cancel", given="queued"),
    _reads(f"{E}/rules"),
    _does(f"POST {E}/rules", "operator", "environment:rules", body={"rule": "0 4 * * *"}),
    _does(f"DELETE {E}/rules?rule=0+5+*+*+*", "operator", "environment:rules", given="ruled"),
    _does(f"PUT {E}/pin", "operator", "environment:pin", body={"reason": "a test", "ttl": "2h"}),
    _does(f"DELETE {E}/pin", "operator", "environment:pin", given="pinned"),
    _reads("/v1/events?environment={name}"),
    _reads("/v1/events", "known", note="only of those that the caller sees"),
    # Templates, images, policies, calendars, holds.
    _reads("/v1/templates", "known"),
    _does("POST /v1/templates", "admin", "template:push", given="bundle"),
    Row(
        "POST /v1/templates/from-git",
        "admin",
        action="template:push",
        ok=422,
        body={"url": "ftp://git.example.net/web"},
        note="422: the test asks for an address that nobody may use",
    ),
    Row("POST /v1/templates/validate", "admin", action="template:validate", given="bundle"),
    _reads("/v1/templates/{name}", "known", given="template"),
    _does("DELETE /v1/templates/{name}", "admin", "template:delete", given="template"),
    _reads("/v1/templates/{name}/bundle", "known", given="template"),
    _reads("/v1/templates/{name}/versions", "known", given="template"),
    _reads("/v1/images", "known"),
    _reads("/v1/images/{name}", "known", given="image"),
    _reads("/v1/images/{name}/history", "known", given="image"),
    _does(
        "PUT /v1/images/{name}",
        "admin",
        "image:publish",
        given="image",
        body={"reference": "sha256:" + "a" * 64, "channel": "production"},
    ),
    _does("DELETE /v1/images/{name}", "admin", "image:withdraw", given="image"),
    Row("POST /v1/rules/check", "known", body={"rules": [{"rule": "0 4 * * *"}]}, note="it sets nothing"),
    _reads("/v1/policies", "known", note="those for owners only to themselves, auditors and admins"),
    _does("PUT /v1/policies/{scope}/{name}", "admin", "policy:set", given="policy", body={"maximum": "30d"}),
    _does("DELETE /v1/policies/{scope}/{name}", "admin", "policy:set", given="policy"),
    _reads("/v1/calendars", "known"),
    _reads("/v1/calendars/{name}", "known", given="calendar"),
    _does(
        "PUT /v1/calendars/{name}",
        "admin",
        "calendar:set",
        given="calendar",
        body={"days": [{"day": "2031-12-25", "title": "Christmas"}]},
    ),
    _does("DELETE /v1/calendars/{name}", "admin", "calendar:set", given="calendar"),
    _reads("/v1/holds", "known", note="names only of environments that the caller sees"),
    _does("POST /v1/holds/{hold_id}/release", "admin", "hold:release", given="held", body=_REASON),
    _does("POST /v1/holds/{hold_id}/cancel", "admin", "hold:cancel", given="held", body=_REASON),
    # Triggers and received events.
    _reads("/v1/triggers", "known", note="those that act for the caller; to admins and auditors all"),
    _does("POST /v1/triggers", "unlimited", "trigger:manage", given="new", ok=201, body={"definition": _NOTIFY_ALL}),
    Row("POST /v1/triggers/test", "known", body=_IDLE, note="tells of triggers and environments that the caller sees"),
    _reads("/v1/triggers/{trigger_id}", given="triggered", note=_ALONE),
    _does("PUT /v1/triggers/{trigger_id}", "operator", _TRIGGERS, given="triggered", body=_PAUSE, note=_ALONE_DEFINED),
    _does("DELETE /v1/triggers/{trigger_id}", "operator", _TRIGGERS, given="triggered", note=_ALONE),
    _reads(f"{E}/triggers", given="triggered"),
    _does(f"POST {E}/triggers", "operator", _TRIGGERS, ok=201, body={"definition": _NOTIFY}, note=_AS_ACTION),
    _reads(
        "/v1/received-events",
        "known",
        note="with a firing that the caller sees, of webhooks that they may use",
    ),
    _reads("/v1/received-events/{event_id}", given="received", note="whoever sees a firing, and may use the webhook"),
    _does("POST /v1/received-events/{event_id}/replay", "admin", "event:replay", given="received", ok=202),
    # Tokens.
    _reads("/v1/tokens", "known", note="one's own; all to admins"),
    _does("POST /v1/tokens", "unlimited", "token:create", ok=201, body={"owner": "{caller}"}),
    _does("DELETE /v1/tokens/{token_id}", "unlimited", "token:revoke", given="token"),
    # Shares, roles, and who may create.
    _reads(f"{E}/access"),
    _does(f"PUT {E}/shares", "owner", "environment:share", given="heir", body={"subject": "{other}"}, alone=403),
    _does(
        f"DELETE {E}/shares?subject={{other}}",
        "owner",
        "environment:share",
        given="shared",
        note="one's own share to everybody",
    ),
    _reads("/v1/access/table", "known"),
    _reads("/v1/access/why?action=environment:read&environment={name}", note="why oneself may"),
    _reads(
        "/v1/access/why?action=token:create&person={other}",
        "auditor",
        given="person",
        action="access:explain",
        note="why somebody else may",
    ),
    _reads("/v1/roles", "auditor", action="person:list"),
    _does("PUT /v1/roles", "admin", "role:grant", given="person", body={"subject": "{other}", "role": "auditor"}),
    _does("DELETE /v1/roles?subject={other}", "admin", "role:grant", given="granted"),
    _reads("/v1/creators", "auditor", action="person:list"),
    _does("PUT /v1/templates/{name}/creators", "admin", "creator:set", given="creatable", body={"subject": "{other}"}),
    _does("DELETE /v1/templates/{name}/creators?subject={other}", "admin", "creator:set", given="creator"),
    # Signing in.
    _reads("/v1/auth/providers", "link"),
    Row("POST /v1/auth/exchange", "link", ok=404, body=_IDENTITY, note="404: the credential is the identity token"),
    Row("POST /v1/auth/claims", "link", ok=404, body=_IDENTITY, note="404: likewise"),
    Row(
        "POST /v1/auth/exchange/ci",
        "link",
        ok=401,
        body={"rule": "none", "identity_token": "a.b.c"},
        note="401: the credential is the CI system's identity token",
    ),
    Row("POST /v1/auth/device", "link", body={"machine": "build"}),
    Row(
        "POST /v1/auth/device/token",
        "link",
        ok=400,
        body={"device_code": "none"},
        note="400: the code is the credential",
    ),
    _reads("/v1/auth/whoami", "known"),
    Row("POST /v1/auth/sign-out", "known", ok=404, note="404: the test's tokens are no sessions"),
    _reads("/v1/auth/sessions", "known", note="one's own; an admin everybody's"),
    _does("DELETE /v1/auth/sessions", "unlimited", "session:end", note="one's own"),
    _does("DELETE /v1/auth/sessions/{token_id}", "unlimited", "session:end", given="session"),
    # People, groups, service accounts.
    _reads("/v1/people", "auditor", action="person:list"),
    _reads("/v1/people/{person}", "auditor", action="person:list", given="person", note="and to oneself"),
    _does(
        "PUT /v1/people/{person}/successor",
        "admin",
        "person:manage",
        given="person",
        body={"successor": "{other}"},
        note="and to oneself",
    ),
    _does("POST /v1/people/{person}/disable", "admin", "person:manage", given="person", body={}),
    _does("POST /v1/people/{person}/enable", "admin", "person:manage", given="person"),
    _does("POST /v1/people/{person}/assign", "admin", "person:manage", given="unclaimed", body={"to": "{other}"}),
    _does(f"POST {E}/transfer", "owner", "environment:transfer", given="heir", body={"to": "{other}"}),
    _reads("/v1/groups", "known", note="to others than admins and auditors those that they are in"),
    _does("POST /v1/groups", "admin", "group:manage", given="new", ok=201, body={"name": "{new}"}),
    _reads("/v1/groups/{group}", "insider", given="group", note="and to its members"),
    _does("PUT /v1/groups/{group}", "admin", "group:manage", given="group", body={"description": "ours"}),
    _does("DELETE /v1/groups/{group}", "admin", "group:manage", given="group"),
    _reads("/v1/memberships?group={group}", "insider", given="group", note="and to its members"),
    _does("PUT /v1/groups/{group}/members/{person}", "admin", "group:manage", given="group"),
    _does("DELETE /v1/groups/{group}/members/{person}", "admin", "group:manage", given="member"),
    _reads("/v1/service-accounts", "known", note="to others than admins and auditors those that they answer for"),
    _does(
        "POST /v1/service-accounts",
        "unlimited",
        "account:manage",
        given="new",
        ok=201,
        body={"name": "svc-{new}"},
        note="not with a service account's token",
    ),
    _reads("/v1/service-accounts/{name}", "insider", given="account", note=_ANSWER),
    _reads("/v1/service-accounts/{name}/tokens", "insider", given="account", note=_ANSWER),
    _does(
        "PATCH /v1/service-accounts/{name}",
        "responsible",
        "account:manage",
        given="account",
        body={"description": "ours"},
        note=_ANSWER,
    ),
    _does("POST /v1/service-accounts/{name}/disable", "responsible", "account:manage", given="account", note=_ANSWER),
    _does("POST /v1/service-accounts/{name}/enable", "responsible", "account:manage", given="account", note=_ANSWER),
    _does(
        "POST /v1/service-accounts/{name}/tokens",
        "responsible",
        "account:manage",
        given="account",
        ok=201,
        body={},
        note=_ANSWER,
    ),
    _does(
        "DELETE /v1/service-accounts/{name}/tokens/{token_id}",
        "responsible",
        "account:manage",
        given="account",
        note=_ANSWER,
    ),
    _reads("/v1/local-people", "auditor", action="person:list"),
    _does(
        "POST /v1/local-people",
        "admin",
        "person:manage",
        given="new",
        ok=201,
        body={"user_name": "{new}", "groups": []},
    ),
    _does("POST /v1/local-people/{user_name}/disable", "admin", "person:manage", given="local"),
    _does("POST /v1/local-people/{user_name}/enable", "admin", "person:manage", given="local"),
    _does("POST /v1/local-people/{user_name}/reset", "admin", "person:manage", given="local"),
    _does("PUT /v1/local-people/{user_name}/groups", "admin", "person:manage", given="local", body={"groups": []}),
    _reads("/v1/issuers", "auditor", action="person:list"),
    _does(
        "POST /v1/issuers/move",
        "admin",
        "person:manage",
        given="issuer",
        body={"old": "https://{issuer}.example.net", "new": "https://new-{issuer}.example.net"},
    ),
    # The audit log.
    _reads("/v1/audit", "auditor", action="audit:read"),
    _reads("/v1/audit?environment={name}", "audits", action="environment:audit"),
    _reads("/v1/audit/entries/{entry_id}", "auditor", action="audit:read", given="entry"),
    _reads("/v1/audit/export", "auditor", action="audit:read"),
    _reads("/v1/audit/head", "auditor", action="audit:read"),
    _reads("/v1/audit/verify", "auditor", action="audit:read"),
    # Webhooks.
    _reads("/v1/webhooks", "admin", action="webhook:manage"),
    _does(
        "POST /v1/webhooks", "admin", "webhook:manage", given="new", ok=201, body={"name": "{new}", "kind": "generic"}
    ),
    _reads("/v1/webhooks/{webhook}", "admin", action="webhook:manage", given="webhook"),
    _does("PATCH /v1/webhooks/{webhook}", "admin", "webhook:manage", given="webhook", body={"users": ["everyone"]}),
    _does("DELETE /v1/webhooks/{webhook}", "admin", "webhook:manage", given="webhook"),
    _does("POST /v1/webhooks/{webhook}/rotate", "admin", "webhook:manage", given="webhook", body={}),
    _does("PUT /v1/webhooks/{webhook}/token", "admin", "webhook:manage", given="webhook", body={"token": "other"}),
    Row(
        "POST /v1/webhooks/{webhook}/check",
        "admin",
        ok=502,
        action="webhook:manage",
        given="webhook",
        note="502: the test's webhook has no token for a forge",
    ),
    Row(
        "POST /v1/webhooks/{webhook}/deliveries",
        "link",
        ok=401,
        given="webhook",
        body={},
        note="401: the credential is the signature",
    ),
    # The service.
    _reads(
        "/v1/previews",
        "known",
        note="those with environments that the caller sees, and those of triggers that act for the caller",
    ),
    _reads("/v1/workers", "known", note="with the deployments that the caller sees"),
    _reads("/v1/warnings/channels", "admin", action="warning:channels"),
    _does("POST /v1/warnings/test", "admin", "warning:test"),
    _reads("/v1/ca", "known"),
    _reads("/metrics", "auditor", action="metrics:read"),
    _reads("/self/info", "known"),
    _reads("/self/started", "known"),
    _reads("/self/liveness", "open"),
    _reads("/self/readiness", "open", note="the reasons only to callers with a token"),
    _reads("/openapi.json", "known"),
    # Those that have other credentials than a person's token.
    _reads("/extend", "link", given="nothing", ok=404, note="404: the credential is the link in the address"),
    Row("POST /extend", "link", given="nothing", ok=404, note="404: likewise"),
    Row("POST /v1/edge/routes", "other", note="the edge's credential"),
    Row("POST /v1/edge/certificates", "other", note="the edge's credential"),
    *(
        Row(f"{method} {_STATE}", "other", given="nothing", note="the credential of the step's run")
        for method in ("GET", "POST", "DELETE", "LOCK", "UNLOCK")
    ),
)
"""Every route."""


def expected(row: Row, column: str) -> int:
    """The status that callers of a column get."""
    cell = _LINES[row.who][column]
    return row.ok if cell == "ok" else int(cell)


def _lines() -> dict[str, dict[str, str]]:
    head, *lines = (line.split() for line in WHO.strip().splitlines())
    columns = [name.replace("_", " ") for name in head[1:]]
    return {line[0]: dict(zip(columns, line[1:], strict=True)) for line in lines}


_LINES = _lines()
