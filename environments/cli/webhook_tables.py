"""What is printed of webhooks."""

from collections.abc import Iterable
from datetime import tzinfo

from environments.cli.tables import table
from environments.domain.webhook_use import WebhookUse
from environments.moments import moment
from environments.wire.webhooks import RefusedView, WebhookDetails, WebhookView

_HEAD = ("LAST", "NUMBER", "FROM", "WHY")


def webhook_lines(found: WebhookDetails, zone: tzinfo) -> list[str]:
    """A webhook, and what was refused."""
    shown = [
        f"{found.name}  {found.kind}",
        f"  deliveries   {found.deliveries}",
        *([f"  forge        {found.address}"] if found.address else []),
        f"  for          {who_uses(found)}",
        *([f"  allowed      {', '.join(found.allowed)}"] if found.allowed else []),
        f"  created      {moment(found.created_at, zone)} by {found.created_by}",
        *([f"  secret of    {moment(found.rotated_at, zone)}"] if found.rotated_at else []),
        f"  last taken   {moment(found.last_at, zone) if found.last_at else 'never'}",
    ]
    if found.refused:
        shown += ["", "Refused or left:", *table(_HEAD, _rows(found.refused, zone))]
    if found.unknown:
        shown += ["", "Sent to names that no webhook has:", *table(_HEAD, _rows(found.unknown, zone))]
    return shown


def who_uses(one: WebhookView, *, short: bool = False) -> str:
    """Who may use it, and for what; `short`: of several only the first."""
    if WebhookUse(users=one.users, repositories=one.repositories).open:
        return "open to everyone"
    who, where = (_named(names, short) for names in (one.users, one.repositories))
    return f"{who or 'admins only'}{f'; {where}' if where else ''}"


def _named(names: tuple[str, ...], short: bool) -> str:
    more = f" and {len(names) - 1} more" if short and len(names) > 1 else ""
    return f"{names[0]}{more}" if more else ", ".join(names)


def _rows(counts: Iterable[RefusedView], zone: tzinfo) -> list[tuple[str, ...]]:
    return [(moment(one.last_at, zone), str(one.count), one.last_address, one.said) for one in counts]
