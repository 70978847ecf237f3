"""People and groups as tables."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo

from environments.cli.tables import pairs, section, table
from environments.moments import coarse, moment
from environments.wire.people import (
    AssignmentView,
    DepartureView,
    GroupDeletionView,
    GroupView,
    MembershipView,
    PersonView,
)

_NOUNS = {
    "environments": ("environment", "environments"),
    "tokens": ("token", "tokens"),
    "policies": ("policy", "policies"),
    "triggers": ("trigger", "triggers"),
    "groups": ("group", "groups"),
    "members": ("member", "members"),
    "shares": ("share", "shares"),
    "roles": ("service role", "service roles"),
    "creators": ("rule about who may create", "rules about who may create"),
    "webhooks": ("webhook to use", "webhooks to use"),
    "accounts": ("service account", "service accounts"),
}


def people_lines(found: Sequence[PersonView], now: datetime) -> Iterator[str]:
    """A line for each."""
    rows = [
        (
            one.name,
            one.kind.value.replace("_", " "),
            state(one),
            one.role.value,
            ", ".join(group.group for group in one.groups),
            str(one.environments),
            str(one.sessions),
            f"{coarse(now - one.signed_in_at)} ago" if one.signed_in_at else "never",
        )
        for one in found
    ]
    yield from table(("NAME", "KIND", "STATE", "ROLE", "GROUPS", "ENVIRONMENTS", "SESSIONS", "SIGNED IN"), rows)


def state(person: PersonView) -> str:
    """Whether somebody can get in; of a name that was given up, whose it has become."""
    if person.became:
        return f"→ {person.became}"
    return "✗ disabled" if person.disabled_at is not None else "● enabled"


def person_lines(one: PersonView, zone: tzinfo) -> Iterator[str]:
    """Everything about somebody."""
    disabled = f" since {moment(one.disabled_at, zone)}, by {one.disabled_by}" if one.disabled_at else ""
    yield from pairs(
        [
            ("name", one.name),
            ("called", one.display_name),
            ("kind", one.kind.value.replace("_", " ")),
            ("state", f"{state(one)}{disabled}"),
            ("e-mail", one.email),
            ("provider", one.issuer or ""),
            ("role", one.role.value),
            ("signed in", moment(one.signed_in_at, zone) if one.signed_in_at else ""),
            ("owns", _counted({"environments": one.environments, "tokens": one.tokens})),
            ("sessions", str(one.sessions)),
            ("successor", one.successor),
            ("responsible", one.responsible),
            ("note", one.note),
        ]
    )
    yield from section("Why this role:", one.reasons)
    yield from section("Groups:", (f"{group.group} ({group.source})" for group in one.groups))


def departure_lines(done: DepartureView) -> Iterator[str]:
    """What disabling somebody did."""
    name = done.person.name
    yield f"{name} is disabled; {done.ended} sessions and tokens ended."
    if not done.heir:
        left = f"{name} still owns {_counted({'environments': done.person.environments})}" if _has(done) else ""
        yield from filter(None, [f"{left}: {done.why}." if left else ""])
        return
    if done.moved:
        shown = ", ".join(done.environments)
        more = f" and {done.moved - len(done.environments)} more" if done.moved > len(done.environments) else ""
        yield f"{done.heir} owns {shown}{more} now: {done.why}."
    if done.accounts:
        yield f"{done.heir} is responsible for {', '.join(done.accounts)} now."


def _has(done: DepartureView) -> bool:
    return done.person.environments > 0


def assignment_lines(found: AssignmentView) -> Iterator[str]:
    """What moves, or moved."""
    verb = "belongs" if found.applied else "would belong"
    yield f"What {found.given_up} has {verb} to {found.name}: {_counted(found.moved) or 'nothing so far'}."
    yield f"The name {found.given_up} {'stays' if found.applied else 'would stay'} reserved."


def group_lines(group: GroupView, members: Sequence[MembershipView], zone: tzinfo) -> Iterator[str]:
    """A group and its members."""
    made = f"{moment(group.created_at, zone)}{f' by {group.created_by}' if group.created_by else ''}"
    origin = f"a claim of {group.provider}" if group.provider else "local"
    yield from pairs([("name", group.name), ("from", origin), ("description", group.description), ("created", made)])
    yield from section("Members:", (f"{one.person} since {moment(one.since, zone)}" for one in members))


def deletion_lines(found: GroupDeletionView) -> Iterator[str]:
    """What deleting a group takes away."""
    verb = "is deleted" if found.applied else "would be deleted"
    counted = _counted(found.takes_away)
    yield f"The group {found.group} {verb}{f', with {counted}' if counted else ''}."


def _counted(counts: Mapping[str, int]) -> str:
    told = [f"{count} {_NOUNS.get(kind, (kind, kind))[count != 1]}" for kind, count in counts.items() if count]
    return ", ".join(told)
