"""Groups and their members, service accounts, and roles on the service."""

from starlette.responses import Response

from environments.ui import rooms
from environments.ui.asking import Ask, Field, pages_of, shown_once
from environments.ui.listing import Button, Column, Facts, Link, Table, active, place, sign, table, told
from environments.ui.settings_page import SCOPE_FIELDS, TOKENS, scope_of
from environments.ui.visit import Visit
from environments.wire.access import RoleRequest, RoleView
from environments.wire.people import GroupRequest, GroupView, MembershipView
from environments.wire.service_accounts import AccountTokenRequest, ServiceAccountRequest, ServiceAccountView

_GROUPS: tuple[Column[GroupView], ...] = (
    Column("Group", lambda one: Link(one.name, place("groups", one.name))),
    Column("From", lambda one: one.provider or "local"),
    Column("Members", lambda one: one.members),
    Column("What it is", lambda one: one.description),
)
_MEMBERS: tuple[Column[MembershipView], ...] = (
    Column("Person", lambda one: Link(one.person, place("people", one.person))),
    Column("Because of", lambda one: "a local choice" if one.source == "local" else "a claim of their provider"),
    Column("Since", lambda one: one.since),
    Column(
        "",
        lambda one: (
            Link("Take out", place("groups", one.group, "members", one.person, "remove"))
            if one.source == "local"
            else None
        ),
    ),
)


_ACCOUNTS: tuple[Column[ServiceAccountView], ...] = (
    Column("Account", lambda one: Link(one.name, place("accounts", one.name))),
    Column("State", lambda one: active(one.disabled_at is None)),
    Column("Responsible", lambda one: one.responsible),
    Column("Valid tokens", lambda one: one.tokens),
    Column("What it is", lambda one: one.description),
)
_ROLES: tuple[Column[RoleView], ...] = (
    Column("Who", lambda one: one.subject),
    Column("Role", lambda one: one.role),
    Column("State", lambda one: sign("ended", "gone", "○") if one.ended else sign("has it", "good", "●")),
    Column("Until", lambda one: one.until),
    Column("Given by", lambda one: f"a rule of {one.rule}" if one.rule else one.by),
    Column("", lambda one: _end_of(one)),
)


def _end_of(one: RoleView) -> Link | None:
    return None if one.rule or one.ended else Link("Take away", place("roles", "revoke", subject=one.subject))


def groups(visit: Visit) -> Response:
    """Those that one may see."""
    return told(
        visit,
        "Groups",
        [table(_GROUPS, visit.client.groups(), "There are no groups that you may see.")],
        beside=rooms.PEOPLE,
        buttons=[Button("Make a group", "/groups/new")],
    )


def group(visit: Visit) -> Response:
    """One with its members."""
    one = visit.client.group(visit.params["name"])
    path = place("groups", one.name)
    outside = f"it is a group of {one.provider}" if one.provider else ""
    return told(
        visit,
        one.name,
        [
            Facts([("What it is", one.description), ("From", one.provider or "local"), ("Made by", one.created_by)]),
            table(_MEMBERS, visit.client.members(one.name), "It has no members.", "Members"),
        ],
        up=Link("Groups", "/groups"),
        buttons=[
            Button("Add somebody", f"{path}/members/new", outside),
            Button("Describe", f"{path}/describe", outside),
            Button("Delete", f"{path}/delete", outside, danger=True),
        ],
    )


def _making(visit: Visit) -> Ask:
    fields = [Field("name", "Name", required=True), Field("description", "What it is")]
    says = ["Environments can be shared with it, and can belong to it."]
    return Ask("group.create", "Make a group", says, "/groups", fields, "Make it")


def _make(visit: Visit) -> str:
    asked = GroupRequest(name=visit.typed("name").strip(), description=visit.typed("description"))
    return place("groups", visit.client.create_group(asked).name)


def _describing(visit: Visit) -> Ask:
    one = visit.client.group(visit.params["name"])
    fields = [Field("description", "What it is", value=one.description)]
    return Ask("group.describe", f"Describe {one.name}", [], place("groups", one.name), fields, "Keep it")


def _describe(visit: Visit) -> None:
    visit.client.describe_group(visit.params["name"], visit.typed("description"))


def _adding(visit: Visit) -> Ask:
    name = visit.params["name"]
    says = ["They get everything that the group has."]
    return Ask(
        "group.add", f"Add to {name}", says, place("groups", name), [Field("person", "User name", required=True)], "Add"
    )


def _add(visit: Visit) -> None:
    visit.client.add_member(visit.params["name"], visit.typed("person").strip())


def _taking(visit: Visit) -> Ask:
    name, person = visit.params["name"], visit.params["person"]
    says = ["They lose what only the group gives them."]
    return Ask("group.remove", f"Take {person} out of {name}", says, place("groups", name), danger=True)


def _take(visit: Visit) -> None:
    visit.client.remove_member(visit.params["name"], visit.params["person"])


def _deleting(visit: Visit) -> Ask:
    name = visit.params["name"]
    found = visit.client.delete_group(name, dry_run=True)
    takes = [[kind, str(count)] for kind, count in found.takes_away.items()]
    return Ask(
        "group.delete",
        f"Delete {name}",
        ["What its members have by it alone is taken away."],
        place("groups", name),
        [Field("name", "The name of the group", typed=name)],
        danger=True,
        sections=[Table(["What", "How many"], takes, "That takes nothing away.", "That takes away")],
    )


def _delete(visit: Visit) -> str:
    visit.client.delete_group(visit.params["name"])
    return "/groups"


# --- service accounts ------------------------------------------------------------------------------------------------


def accounts(visit: Visit) -> Response:
    """Those for which one is responsible; to admins and auditors all."""
    return told(
        visit,
        "Service accounts",
        [table(_ACCOUNTS, visit.client.service_accounts(), "There are none that you are responsible for.")],
        intro="A service account is a name for a program; a person or a group answers for it.",
        beside=rooms.PEOPLE,
        buttons=[Button("Create an account", "/accounts/new")],
    )


def account(visit: Visit) -> Response:
    """One with its tokens."""
    one = visit.client.service_account(visit.params["name"])
    path = place("accounts", one.name)
    off = bool(one.disabled_at)
    return told(
        visit,
        one.name,
        [
            Facts(
                [
                    ("State", active(not off)),
                    ("What it is", one.description),
                    ("Responsible", one.responsible),
                    ("Made by", one.created_by),
                    ("Disabled by", one.disabled_by),
                ]
            ),
            table(TOKENS, visit.client.account_tokens(one.name), "It has no tokens.", "Tokens"),
        ],
        up=Link("Service accounts", "/accounts"),
        buttons=[
            Button("Create a token", f"{path}/token", "it is disabled" if off else ""),
            Button("Enable", f"{path}/enable") if off else Button("Disable", f"{path}/disable", danger=True),
        ],
    )


def _creating(visit: Visit) -> Ask:
    return Ask(
        "account.create",
        "Create a service account",
        ["Its name can't be given to anybody else afterwards."],
        "/accounts",
        [
            Field("name", "Name", required=True),
            Field("description", "What it is"),
            Field("responsible", "Who answers for it", help="A user name or group:NAME; empty: you."),
        ],
        "Create",
    )


def _create(visit: Visit) -> str:
    given = {name: visit.typed(name).strip() for name in ("name", "description", "responsible")}
    made = visit.client.create_service_account(ServiceAccountRequest.model_validate(given))
    return place("accounts", made.name)


def _giving(visit: Visit) -> Ask:
    name = visit.params["name"]
    fields = [Field("note", "What it is for"), Field("ttl", "Ends after", value="30d"), *SCOPE_FIELDS]
    return Ask("account.token", f"A token for {name}", ["It is shown once."], place("accounts", name), fields, "Create")


def _give(visit: Visit) -> Response:
    name = visit.params["name"]
    given = {"note": visit.typed("note"), "ttl": visit.typed("ttl").strip() or None, **scope_of(visit)}
    made = visit.client.create_account_token(name, AccountTokenRequest.model_validate(given))
    return shown_once(visit, f"A new token of {name}", [], made.secret, place("accounts", name))


def _disabling(visit: Visit) -> Ask:
    name = visit.params["name"]
    says = ["All of its tokens are revoked, and it gets no others."]
    return Ask("account.disable", f"Disable {name}", says, place("accounts", name), danger=True)


def _disable(visit: Visit) -> None:
    visit.client.disable_service_account(visit.params["name"])


def _enabling(visit: Visit) -> Ask:
    name = visit.params["name"]
    return Ask("account.enable", f"Enable {name}", ["It may have tokens again."], place("accounts", name))


def _enable(visit: Visit) -> None:
    visit.client.enable_service_account(visit.params["name"])


# --- roles on the service --------------------------------------------------------------------------------------------


def roles(visit: Visit) -> Response:
    """Who has one."""
    return told(
        visit,
        "Roles on the service",
        [table(_ROLES, visit.client.roles(), "Nobody has a role.")],
        beside=rooms.PEOPLE,
        buttons=[Button("Give a role", "/roles/grant")],
    )


def _granting(visit: Visit) -> Ask:
    return Ask(
        "role.grant",
        "Give a role",
        ["An admin may do everything; an auditor sees everything."],
        "/roles",
        [
            Field("subject", "Who", help="A user name or group:NAME.", required=True),
            Field("role", "Role", "choice", "auditor", options=[("auditor", "auditor"), ("admin", "admin")]),
            Field("ttl", "For how long", help="A duration such as 8h; empty: without an end."),
        ],
        "Give it",
    )


def _grant(visit: Visit) -> None:
    given = {"subject": visit.typed("subject").strip(), "role": visit.typed("role")}
    visit.client.grant_role(RoleRequest.model_validate({**given, "ttl": visit.typed("ttl").strip() or None}))


def _revoking(visit: Visit) -> Ask:
    who = visit.asked("subject")
    says = [f"{who} has no role on the service any more."]
    fields = [Field("subject", "Who", value=who, required=True)]
    return Ask("role.revoke", "Take a role away", says, "/roles", fields, "Take it away", danger=True)


def _revoke(visit: Visit) -> None:
    visit.client.revoke_role(visit.typed("subject").strip())


PAGES = (
    ("GET", "/groups", groups),
    *pages_of("/groups/new", _making, _make),
    ("GET", "/groups/{name}", group),
    *pages_of("/groups/{name}/describe", _describing, _describe),
    *pages_of("/groups/{name}/delete", _deleting, _delete),
    *pages_of("/groups/{name}/members/new", _adding, _add),
    *pages_of("/groups/{name}/members/{person}/remove", _taking, _take),
    ("GET", "/accounts", accounts),
    *pages_of("/accounts/new", _creating, _create),
    ("GET", "/accounts/{name}", account),
    *pages_of("/accounts/{name}/token", _giving, _give),
    *pages_of("/accounts/{name}/disable", _disabling, _disable),
    *pages_of("/accounts/{name}/enable", _enabling, _enable),
    ("GET", "/roles", roles),
    *pages_of("/roles/grant", _granting, _grant),
    *pages_of("/roles/revoke", _revoking, _revoke),
)
