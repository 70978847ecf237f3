"""Access as tables and sentences."""

from collections.abc import Iterable, Iterator
from datetime import tzinfo

from environments.cli.tables import pairs, section, table
from environments.domain.access import TokenScope
from environments.moments import moment
from environments.wire.access import AccessView, CreatorView, RoleView, ShareView, WhyView

BY_ROLE = "Admins may do everything with it, and auditors see it: `calvinverse role list`."


def access_lines(view: AccessView, zone: tzinfo) -> Iterator[str]:
    """The owner, the shares, and what the caller is for an environment."""
    role = f"{view.role.value}{', may reveal' if view.reveal else ''}" if view.role is not None else "none"
    yield from pairs((("owner", view.owner), ("your role", role), ("because", "\n".join(view.reasons))))
    yield from section("Shared with", share_lines(view.shares, zone))


def limits(scope: TokenScope | None) -> str:
    """What a token is limited to, in words; empty: to nothing."""
    given = {} if scope is None else scope.model_dump()
    return "; ".join(f"{kind} {', '.join(some) or 'none'}" for kind, some in given.items() if some is not None)


def share_lines(shares: Iterable[ShareView], zone: tzinfo) -> Iterator[str]:
    """A table of shares; nothing without any."""
    rows = [
        (
            share.subject,
            share.role.value,
            "yes" if share.reveal or share.role.value == "owner" else "no",
            _until(share, zone),
            share.by,
            moment(share.at, zone),
        )
        for share in shares
    ]
    return table(("WHO", "ROLE", "REVEALS", "UNTIL", "BY", "SINCE"), rows) if rows else iter(())


def _until(share: ShareView, zone: tzinfo) -> str:
    if share.until is None:
        return "-"
    return f"{moment(share.until, zone)}{', ended' if share.ended else ''}"


def creator_lines(rules: Iterable[CreatorView], zone: tzinfo) -> Iterator[str]:
    """A table of who may create."""
    rows = (
        (rule.template, rule.subject, "any" if rule.most is None else str(rule.most), rule.by, moment(rule.at, zone))
        for rule in rules
    )
    return table(("TEMPLATE", "WHO", "AT ONCE", "BY", "SINCE"), rows)


def role_lines(roles: Iterable[RoleView], zone: tzinfo) -> Iterator[str]:
    """A table of roles on the service, with what gave them."""
    rows = (
        (
            role.subject,
            role.role,
            "-" if role.until is None else f"{moment(role.until, zone)}{', ended' if role.ended else ''}",
            f"a rule of {role.rule}" if role.rule else role.by,
            "" if role.at is None else moment(role.at, zone),
        )
        for role in roles
    )
    return table(("WHO", "ROLE", "UNTIL", "BY", "SINCE"), rows)


def why_lines(view: WhyView) -> Iterator[str]:
    """The answer, first of all whether they can."""
    on = f" {view.environment}" if view.environment else f" from the template {view.template}" if view.template else ""
    verb = "can" if view.allowed else "can't"
    yield f"{view.person} {verb} {view.action}{on}."
    yield from section("Needs", [view.needs])
    has = [f"Role on the service: {view.service_role.value}."]
    if view.environment is not None:
        has.insert(0, f"Role on {view.environment}: {view.role.value if view.role is not None else 'none'}.")
    yield from section(f"{view.person} has", [*has, *view.has])
    yield from section("Missing", view.missing)
    yield from section("Who can give it", view.givers)


def until_line(name: str, share: ShareView, zone: tzinfo) -> str:
    """With whom it is shared now, as a sentence."""
    end = f" until {moment(share.until, zone)}" if share.until is not None else ""
    secrets = ", with its secrets" if share.reveal else ""
    return f"{name} is shared with {share.subject} as {share.role.value}{secrets}{end}."
