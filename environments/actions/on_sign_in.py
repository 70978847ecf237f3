"""What a person can do about signing in, and about their sessions."""

from environments.actions.action import EVERYWHERE, Action, Risk

SIGN_IN_ACTIONS: tuple[Action, ...] = (
    Action(
        id="session.login",
        title="Sign in",
        help="Sign in with a provider, in a browser on this machine or on another one.",
        risk=Risk.CHANGE,
        command=("login",),
    ),
    Action(
        id="session.logout",
        title="Sign out",
        help="End the session of this machine.",
        detail="The provider's own session, in the browser, stays.",
        risk=Risk.CHANGE,
        command=("logout",),
    ),
    Action(
        id="session.whoami",
        title="Who am I",
        help="Show who you are for the service: your user name, groups and role.",
        risk=Risk.READ,
        command=("whoami",),
        places=EVERYWHERE,
    ),
    Action(
        id="session.list",
        title="List sessions",
        help="List the sessions that haven't ended: where they began, and when they end.",
        risk=Risk.READ,
        command=("session", "list"),
    ),
    Action(
        id="session.end",
        title="End session",
        help="End a session, on whatever machine it is.",
        risk=Risk.CHANGE,
        command=("session", "end"),
    ),
)
