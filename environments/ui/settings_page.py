"""What somebody chooses for this browser, and their tokens."""

from functools import cache
from zoneinfo import available_timezones

from starlette.responses import Response

from environments.domain.errors import InvalidInput
from environments.pages.requests import set_cookie
from environments.ui import rooms
from environments.ui.answers import go
from environments.ui.asking import Ask, Field, pages_of, shown_once
from environments.ui.listing import Button, Code, Column, Facts, Link, Table, sign, table, told
from environments.ui.visit import THEME_COOKIE, THEMES, ZONE_COOKIE, Visit
from environments.wire.tokens import TokenRequest, TokenView
from environments.words import Sign

_YEAR = 365 * 24 * 3600

_zones = cache(available_timezones)
"""Names of all zones: finding them reads hundreds of files."""


def show(visit: Visit) -> Response:
    """Who one is, and what one has chosen."""
    me = visit.me
    groups = [[one.name, one.source] for one in me.groups]
    return told(
        visit,
        me.display_name or me.user_name,
        [
            Facts(
                [
                    ("User name", Code(me.user_name)),
                    ("E-mail", me.email),
                    ("Role on the service", me.role),
                    ("Signed in with", me.provider),
                    ("Signed in", me.signed_in_at),
                    ("This session ends", me.ends_at),
                    ("Time zone of pages", str(visit.zone)),
                    ("Theme", visit.theme or "as the browser says"),
                ]
            ),
            Table(["Group", "From"], groups, "You are in no group.", "Groups"),
        ],
        beside=rooms.OWN,
        buttons=[Button("Change zone and theme", "/settings/change")],
    )


def _changing(visit: Visit) -> Ask:
    zones = [("", "UTC"), *((name, name) for name in sorted(_zones()) if "/" in name)]
    themes = [("", "as the browser says"), *((name, name) for name in THEMES)]
    return Ask(
        "session.whoami",
        "Zone and theme",
        ["They are kept in this browser."],
        "/settings",
        [
            Field("zone", "Time zone", "choice", getattr(visit.zone, "key", ""), options=zones),
            Field("theme", "Theme", "choice", visit.theme, options=themes),
        ],
        "Keep them",
    )


def _change(visit: Visit) -> Response:
    zone, theme = visit.typed("zone"), visit.typed("theme")
    if (zone and zone not in _zones()) or (theme and theme not in THEMES):
        raise InvalidInput("There is no such zone or theme.", hint="Choose one of the list.")
    answer = go("/settings")
    for name, value in ((ZONE_COOKIE, zone.replace("/", "%2F")), (THEME_COOKIE, theme)):
        answer.headers.append("Set-Cookie", set_cookie(name, value, _YEAR if value else 0))
    return answer


# --- tokens ----------------------------------------------------------------------------------------------------------


def _state(one: TokenView) -> Sign:
    return sign("revoked", "gone", "○") if one.revoked_at else sign("valid", "good", "●")


TOKENS: tuple[Column[TokenView], ...] = (
    Column(
        "Token", lambda one: Link(one.note or one.id, f"/tokens/{one.id}/revoke") if not one.revoked_at else one.note
    ),
    Column("State", _state),
    Column("Kind", lambda one: one.kind.replace("_", " ")),
    Column("Owner", lambda one: one.owner),
    Column("Role", lambda one: one.role),
    Column("Limited to", lambda one: limits(one)),
    Column("Made", lambda one: one.created_at),
    Column("Ends", lambda one: one.expires_at),
    Column("Last used", lambda one: one.last_used_at),
)
"""A token in a list; it leads to its end."""


def limits(one: TokenView) -> str:
    """What it is limited to, in words; empty: to nothing."""
    if one.scope is None:
        return ""
    parts = {"actions": one.scope.actions, "templates": one.scope.templates, "environments": one.scope.environments}
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in parts.items() if values is not None)


def tokens(visit: Visit) -> Response:
    """One's own; an admin sees all."""
    return told(
        visit,
        "Tokens",
        [table(TOKENS, visit.client.tokens(), "There are no tokens.")],
        intro="Programs use tokens. A name leads to the page where the token is revoked.",
        beside=rooms.OWN,
        buttons=[Button("Create a token", "/tokens/new")],
    )


SCOPE_FIELDS = (
    Field("actions", "Only these actions", help="With commas between; empty: all that the owner may."),
    Field("templates", "Only for these templates", help="With commas between."),
    Field("environments", "Only for these environments", help="With commas between."),
)


def scope_of(visit: Visit) -> dict[str, list[str] | None]:
    """What a new token is limited to."""
    return {one.name: visit.listed(one.name) or None for one in SCOPE_FIELDS}


def _creating(visit: Visit) -> Ask:
    return Ask(
        "token.create",
        "Create a token",
        ["A program that has it may do what its owner may, within its limits. It is shown once."],
        "/tokens",
        [
            Field("owner", "Owner", value=visit.me.user_name, required=True),
            Field("role", "Role", "choice", "user", options=[(role, role) for role in ("user", "auditor", "admin")]),
            Field("note", "What it is for"),
            Field("ttl", "Ends after", value="30d", help="A duration such as 12h or 30d; empty: never."),
            *SCOPE_FIELDS,
        ],
        "Create",
    )


def _create(visit: Visit) -> Response:
    given = {"owner": visit.typed("owner").strip(), "role": visit.typed("role"), "note": visit.typed("note")}
    asked = TokenRequest.model_validate({**given, "ttl": visit.typed("ttl").strip() or None, **scope_of(visit)})
    made = visit.client.create_token(asked)
    return shown_once(visit, "Your new token", [f"It belongs to {made.token.owner}."], made.secret, "/tokens")


def _revoking(visit: Visit) -> Ask:
    token = visit.params["id"]
    return Ask("token.revoke", f"Revoke {token}", ["Whatever uses it can't from now on."], "/tokens", danger=True)


def _revoke(visit: Visit) -> None:
    visit.client.revoke_token(visit.params["id"])


PAGES = (
    ("GET", "/settings", show),
    *pages_of("/settings/change", _changing, _change),
    ("GET", "/tokens", tokens),
    *pages_of("/tokens/new", _creating, _create),
    *pages_of("/tokens/{id}/revoke", _revoking, _revoke),
)
