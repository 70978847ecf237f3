"""Which next steps are offered: those that the role and the token of whoever reads them allow."""

from environments.cli.session import Session
from environments.domain.errors import CalvinverseError
from environments.wire.environments import EnvironmentView


def allows(view: EnvironmentView | None, *actions: str) -> bool:
    """Whether the reader may do all of these to it, such as `update`; also if nothing tells."""
    return view is None or view.role is None or set(actions) <= set(view.may)


def offer(view: EnvironmentView, action: str, step: str, does: str) -> str:
    """`Next: STEP.` if the action is allowed, else who does it: `ada, who owns it, can repair it.`"""
    return f"Next: {step}." if allows(view, action) else f"{view.owner}, who owns it, can {does}."


def known(session: Session, name: str) -> EnvironmentView | None:
    """The environment as the reader sees it; None if it is gone, or can't be had now."""
    try:
        return session.client.environment(name)
    except CalvinverseError:
        return None
