"""Who has access to an environment, as styled text, without widgets."""

from textual.content import Content

from environments.domain.access import EnvironmentRole
from environments.wire.access import AccessView, ShareView
from environments.wire.environments import EnvironmentView
from environments.words import clean
from tui.clock import Clock
from tui.rows import fit

_LONGEST = 30
"""Maximum width in cells of a subject's name."""


def access_title(view: EnvironmentView) -> str:
    """With how many it is shared: `Access — shared with 2`."""
    return f"Access — shared with {view.shared}" if view.shared else "Access"


def access(view: EnvironmentView, found: AccessView | None, clock: Clock) -> Content:
    """The owner, and each share with its role, whether it reveals, its end, and who gave it.

    `found` None: the service hasn't told the shares.
    """
    shares = found.shares if found is not None else ()
    width = min(max(len(name) for name in (view.owner, *(share.subject for share in shares))), _LONGEST)
    lines = [_line(view.owner, width, "owner", "")]
    lines += [_share(share, width, clock) for share in shares]
    if found is not None and not shares:
        lines.append(
            Content.assemble(("Shared with nobody: ", "$faint"), ("S", "bold $accent"), (" shares it.", "$faint"))
        )
    return Content("\n").join(lines)


def _share(share: ShareView, width: int, clock: Clock) -> Content:
    ended = share.until is not None and share.until <= clock.now()
    end = f", until {clock.moment(share.until)}" if share.until is not None else ""
    reveals = ", reveals secrets" if share.reveal and share.role is not EnvironmentRole.OWNER else ""
    more = f"{reveals}{', ended ' + clock.moment(share.until) if ended and share.until is not None else end}"
    line = _line(share.subject, width, share.role.value, f"{more}, by {clean(share.by)}")
    return line.stylize("$faint") if ended else line


def _line(subject: str, width: int, role: str, more: str) -> Content:
    return Content.assemble((f"{fit(clean(subject), width)}  ", "bold"), role, (more, "$faint"))
