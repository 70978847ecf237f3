"""People: who there is, what they have, and how they are let in and out (admins and auditors)."""

from starlette.responses import Response

from environments.domain.errors import CalvinverseError, NotFound
from environments.ui import rooms
from environments.ui.asking import Ask, Field, pages_of, shown_once
from environments.ui.listing import Button, Column, Facts, Link, Section, Table, active, place, sign, table, told
from environments.ui.visit import Visit
from environments.wire.people import PersonView
from environments.wire.people_local import LocalGroupsRequest, LocalPersonRequest, LocalPersonView, OneTimePasswordView
from environments.words import Sign


def _state(one: PersonView) -> Sign:
    if one.became:
        return sign(f"is {one.became} now", "gone", "○")
    return active(one.disabled_at is None)


_COLUMNS: tuple[Column[PersonView], ...] = (
    Column("User name", lambda one: Link(one.name, place("people", one.name))),
    Column("Name", lambda one: one.display_name),
    Column("Kind", lambda one: one.kind.value.replace("_", " ")),
    Column("State", _state),
    Column("Role", lambda one: one.role.value),
    Column("Environments", lambda one: one.environments),
    Column("Last signed in", lambda one: one.signed_in_at),
)
_LOCAL: tuple[Column[LocalPersonView], ...] = (
    Column("User name", lambda one: Link(one.user_name, place("local-people", one.user_name))),
    Column("Name", lambda one: one.display_name),
    Column("E-mail", lambda one: one.email),
    Column("State", lambda one: active(not one.disabled)),
    Column("Password", lambda one: "for one time" if one.must_change else "chosen"),
)


def show(visit: Visit) -> Response:
    """Everybody who is known, and those of the built-in provider."""
    sections: list[Section] = [table(_COLUMNS, visit.client.people(), "Nobody is known yet.")]
    try:
        local = visit.client.local_people()
    except CalvinverseError as error:  # the provider may be away, or there is none
        sections.append(Facts([("The built-in provider", error.message)]))
    else:
        sections.append(table(_LOCAL, local, "It has no people.", "People of the built-in provider"))
    return told(
        visit,
        "People",
        sections,
        beside=rooms.PEOPLE,
        buttons=[Button("Add a person", "/local-people/new")],
    )


def show_one(visit: Visit) -> Response:
    """Somebody, with what they have and why."""
    one = visit.client.person(visit.params["name"])
    path = place("people", one.name)
    return told(
        visit,
        one.display_name or one.name,
        [
            Facts(
                [
                    ("User name", one.name),
                    ("Kind", one.kind.value.replace("_", " ")),
                    ("State", _state(one)),
                    ("E-mail", one.email),
                    ("Provider", one.issuer),
                    ("Role on the service", one.role.value),
                    ("Because", "; ".join(one.reasons)),
                    ("Environments", one.environments),
                    ("Tokens", one.tokens),
                    ("Sessions", one.sessions),
                    ("Successor", one.successor),
                    ("Responsible", one.responsible),
                    ("Note", one.note),
                    ("Known since", one.created_at),
                    ("Last signed in", one.signed_in_at),
                    ("Disabled", one.disabled_at),
                    ("Disabled by", one.disabled_by),
                ]
            ),
            Table(
                ["Group", "From", "Since"],
                [[Link(group.group, place("groups", group.group)), group.source, group.since] for group in one.groups],
                "They are in no group.",
                "Groups",
            ),
        ],
        up=Link("People", "/people"),
        buttons=[
            *([Button("Enable", f"{path}/enable")] if one.disabled_at else []),
            *([] if one.disabled_at else [Button("Disable", f"{path}/disable", danger=True)]),
            Button("Set the successor", f"{path}/successor"),
        ],
    )


def _disabling(visit: Visit) -> Ask:
    one = visit.client.person(visit.params["name"])
    return Ask(
        "user.disable",
        f"Disable {one.name}",
        [
            f"Their {one.sessions} sessions and {one.tokens} tokens end now. Their {one.environments} environments get "
            "another owner."
        ],
        place("people", one.name),
        [
            Field("successor", "Who gets the environments", value=one.successor, help="Empty: the rule decides."),
            Field("name", "The user name", typed=one.name),
        ],
        danger=True,
    )


def _disable(visit: Visit) -> Response:
    name = visit.params["name"]
    found = visit.client.disable_person(name, visit.typed("successor").strip())
    return told(
        visit,
        f"{name} is disabled",
        [
            Facts(
                [
                    ("Environments go to", found.heir or "nobody: they stay theirs"),
                    ("Because", found.why),
                    ("Environments that moved", found.moved),
                    ("Sessions and tokens that ended", found.ended),
                    ("Service accounts that moved", ", ".join(found.accounts)),
                ]
            )
        ],
        up=Link(name, place("people", name)),
    )


def _enabling(visit: Visit) -> Ask:
    name = visit.params["name"]
    return Ask("user.enable", f"Enable {name}", ["They may sign in again."], place("people", name))


def _enable(visit: Visit) -> None:
    visit.client.enable_person(visit.params["name"])


def _succeeding(visit: Visit) -> Ask:
    one = visit.client.person(visit.params["name"])
    return Ask(
        "user.successor",
        f"The successor of {one.name}",
        ["They get the environments when this person is disabled."],
        place("people", one.name),
        [Field("successor", "Successor", value=one.successor, help="A user name; empty: the rule decides.")],
        "Keep it",
    )


def _succeed(visit: Visit) -> None:
    visit.client.set_successor(visit.params["name"], visit.typed("successor").strip())


# --- people of the built-in provider ---------------------------------------------------------------------------------


def local(visit: Visit) -> Response:
    """One of the built-in provider."""
    one = _local(visit)
    path = place("local-people", one.user_name)
    return told(
        visit,
        one.display_name or one.user_name,
        [
            Facts(
                [
                    ("User name", one.user_name),
                    ("E-mail", one.email),
                    ("State", active(not one.disabled)),
                    ("Groups of the provider", ", ".join(one.groups)),
                    ("The one-time password ends", one.password_until),
                    ("Made", one.created_at),
                ]
            )
        ],
        up=Link("People", "/people"),
        buttons=[Button("Reset the password", f"{path}/reset"), Button("Set groups", f"{path}/groups")],
    )


def _local(visit: Visit) -> LocalPersonView:
    for one in visit.client.local_people():
        if one.user_name == visit.params["name"]:
            return one
    raise NotFound(f"The built-in provider has nobody called {visit.params['name']}.", hint="See the list of people.")


def _creating(visit: Visit) -> Ask:
    return Ask(
        "user.create",
        "Add a person",
        ["They are made in the built-in provider, with a one-time password that you hand to them."],
        "/people",
        [
            Field("user_name", "User name", required=True),
            Field("display_name", "Name"),
            Field("email", "E-mail"),
            Field("groups", "Groups", help="With commas between."),
        ],
        "Add",
    )


def _create(visit: Visit) -> Response:
    given = {name: visit.typed(name).strip() for name in ("user_name", "display_name", "email")}
    asked = LocalPersonRequest.model_validate({**given, "groups": tuple(visit.listed("groups"))})
    return _once(visit, visit.client.create_local_person(asked))


def _once(visit: Visit, made: OneTimePasswordView) -> Response:
    name = made.person.user_name
    says = [
        f"{name} signs in with it at {made.address}, and chooses another one.",
        f"It ends at {made.until:%Y-%m-%d %H:%M} UTC.",
    ]
    return shown_once(visit, f"The one-time password of {name}", says, made.password, "/people")


def _resetting(visit: Visit) -> Ask:
    one = _local(visit)
    says = ["Their password is replaced by a one-time password, which is shown once."]
    return Ask("user.reset", f"Reset the password of {one.user_name}", says, place("local-people", one.user_name))


def _reset(visit: Visit) -> Response:
    return _once(visit, visit.client.reset_local_person(visit.params["name"]))


def _grouping(visit: Visit) -> Ask:
    one = _local(visit)
    return Ask(
        "user.groups",
        f"Groups of {one.user_name}",
        ["Those of the provider, which it tells at the next sign-in."],
        place("local-people", one.user_name),
        [Field("groups", "Groups", value=", ".join(one.groups), help="All of them, with commas between.")],
        "Keep them",
    )


def _group(visit: Visit) -> None:
    visit.client.set_local_groups(visit.params["name"], LocalGroupsRequest(groups=tuple(visit.listed("groups"))))


PAGES = (
    ("GET", "/people", show),
    ("GET", "/people/{name}", show_one),
    *pages_of("/people/{name}/disable", _disabling, _disable),
    *pages_of("/people/{name}/enable", _enabling, _enable),
    *pages_of("/people/{name}/successor", _succeeding, _succeed),
    *pages_of("/local-people/new", _creating, _create),
    ("GET", "/local-people/{name}", local),
    *pages_of("/local-people/{name}/reset", _resetting, _reset),
    *pages_of("/local-people/{name}/groups", _grouping, _group),
)
