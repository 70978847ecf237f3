"""Who has access to an environment: sharing, ending a share, and giving it to somebody else."""

from pydantic import ValidationError
from starlette.responses import Response

from environments.domain.access import EnvironmentRole
from environments.domain.deadline import parse_lifetime
from environments.domain.errors import InvalidInput, NotFound
from environments.moments import zone_name
from environments.ui.asking import Ask, Field, pages_of
from environments.ui.environment.common import asks, buttons, found, meant, path_of, told
from environments.ui.listing import Cell, Facts, Link, Table
from environments.ui.visit import Visit
from environments.wire.access import ShareRequest

ROLES = {
    EnvironmentRole.VIEWER: "viewer: sees all but secrets",
    EnvironmentRole.PLANNER: "planner: also plans, observes",
    EnvironmentRole.OPERATOR: "operator: also changes it",
    EnvironmentRole.OWNER: "owner: everything",
}


def show(visit: Visit) -> Response:
    """The owner, each share, and what the reader is."""
    view = found(visit)
    access = visit.client.access(view.id)
    ends = "share" in view.may or view.role is None
    rows: list[list[Cell]] = []
    for share in access.shares:
        reveals = "yes" if share.reveal or share.role is EnvironmentRole.OWNER else "no"
        mine = ends or share.subject == visit.me.user_name
        path = visit.link(path_of(visit, view, "unshare"), subject=share.subject)
        end: Cell = Link("End it", path) if mine and not share.ended else ("ended" if share.ended else None)
        rows.append([share.subject, share.role.value, reveals, share.until, share.by, share.at, end])
    reasons: list[list[Cell]] = [[reason] for reason in access.reasons]
    titles = ["With", "Role", "Reveals secrets", "Until", "By", "Since", "End"]
    return told(
        visit,
        view,
        "access",
        "Access",
        [
            Facts([("Owner", access.owner), ("Your role", access.role.value if access.role is not None else None)]),
            Table(titles, rows, "It is shared with nobody.", "Shared"),
            Table(["Because"], reasons, "Nothing is told.", "Why you have access"),
        ],
        intro="Admins may do everything with it, and auditors see it.",
        buttons=buttons(visit, view, "environment.share", "environment.unshare", "environment.transfer"),
    )


def _sharing(visit: Visit) -> Ask:
    view = found(visit)
    zone = zone_name(visit.zone, visit.now)
    roles = [(role.value, words) for role, words in ROLES.items()]
    return asks(
        visit,
        view,
        "environment.share",
        f"Share {view.name}",
        ["They see it at once. Sharing with somebody again replaces the role."],
        [
            Field(
                "subject", "With whom", help="A user name, a service account, group:NAME, or everyone.", required=True
            ),
            Field("role", "Role", "choice", EnvironmentRole.VIEWER.value, options=roles),
            Field("reveal", "They may reveal its secrets", "check"),
            Field("until", "Until", help=f"8h, 7d, or 2026-12-01T18:00 ({zone}); empty: without an end."),
        ],
        button="Share",
        back="access",
    )


def _share(visit: Visit) -> None:
    view = meant(visit)
    ttl, until = parse_lifetime(visit.typed("until"), visit.zone)
    try:
        request = ShareRequest(
            subject=visit.typed("subject").strip(),
            role=EnvironmentRole(visit.typed("role", EnvironmentRole.VIEWER.value)),
            reveal=visit.typed("reveal") == "yes",
            ttl=ttl,
            until=until,
        )
    except (ValidationError, ValueError) as error:
        raise InvalidInput("This can't be shared with.", hint="Give a user name, group:NAME, or everyone.") from error
    visit.client.share(view.id, request)


def _unsharing(visit: Visit) -> Ask:
    view = found(visit)
    me = visit.me.user_name
    owns = "share" in view.may or view.role is None
    shares = [one for one in visit.client.access(view.id).shares if owns or one.subject == me]
    options = [(one.subject, f"{one.subject}, {one.role.value}") for one in shares]
    says = ["They lose the role at once; nothing else changes."]
    if any(one.subject == me for one in shares):
        says.append("If you end your own share, you may not see it any more.")
    if options:
        field = Field("subject", "With whom", "choice", options[0][0], options=options)
    else:
        says = [f"It isn't shared with you yourself. Ask {view.owner}, who can end what lets you see it."]
        field = Field("subject", "With whom", required=True)
    title = f"Stop sharing {view.name}"
    return asks(visit, view, "environment.unshare", title, says, [field], button="End the share", back="access")


def _unshare(visit: Visit) -> str | None:
    view = meant(visit)
    left = visit.client.unshare(view.id, visit.typed("subject").strip())
    return None if left is not None else "/"


def _transferring(visit: Visit) -> Ask:
    view = found(visit)
    says = [
        f"It belongs to {view.owner} now. Its new owner may do everything with it; you only what a share or your role "
        "on the service lets you do.",
    ]
    fields = [
        Field("to", "To whom", help="A person, a service account, or group:NAME.", required=True),
        Field("name", "Name of the environment", typed=view.name),
    ]
    title = f"Transfer {view.name}"
    return asks(visit, view, "environment.transfer", title, says, fields, button="Transfer", danger=True, back="access")


def _transfer(visit: Visit) -> str | None:
    view = meant(visit)
    try:
        visit.client.transfer(view.id, visit.typed("to").strip())
    except ValidationError as error:
        raise InvalidInput("Nobody has such a name.", hint="Give a user name, or group:NAME.") from error
    try:
        visit.client.environment(view.id)
    except NotFound:
        return "/"  # it is gone from the sight of whoever gave it away
    return None


PAGES = (
    ("GET", "/environments/{name}/access", show),
    *pages_of("/environments/{name}/share", _sharing, _share),
    *pages_of("/environments/{name}/unshare", _unsharing, _unshare),
    *pages_of("/environments/{name}/transfer", _transferring, _transfer),
)
