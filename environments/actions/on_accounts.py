"""What a person can do with service accounts."""

from environments.actions.action import Action, Risk

ACCOUNT_ACTIONS: tuple[Action, ...] = (
    Action(
        id="account.create",
        title="Create service account",
        help="Create a service account: a name for a program, such as a CI system, which never signs in.",
        risk=Risk.CHANGE,
        command=("account", "create"),
    ),
    Action(
        id="account.list",
        title="List service accounts",
        help="List service accounts: those that you are responsible for; admins and auditors see all.",
        risk=Risk.READ,
        command=("account", "list"),
    ),
    Action(
        id="account.show",
        title="Show service account",
        help="Show a service account and its tokens: what each is limited to, and until when.",
        risk=Risk.READ,
        command=("account", "show"),
    ),
    Action(
        id="account.change",
        title="Change service account",
        help="Change the description of a service account, or who is responsible for it.",
        risk=Risk.CHANGE,
        command=("account", "change"),
    ),
    Action(
        id="account.disable",
        title="Disable service account",
        help="Disable a service account: its tokens are revoked at once, and it gets no others.",
        risk=Risk.DESTRUCTIVE,
        command=("account", "disable"),
    ),
    Action(
        id="account.enable",
        title="Enable service account",
        help="Let a disabled service account have tokens again.",
        risk=Risk.CHANGE,
        command=("account", "enable"),
    ),
    Action(
        id="account.token",
        title="Create token of service account",
        help="Create a token of a service account, with limits and an end; it is shown only once.",
        risk=Risk.CHANGE,
        command=("account", "token"),
    ),
    Action(
        id="account.revoke",
        title="Revoke token of service account",
        help="Revoke a token of a service account, at once and for good.",
        risk=Risk.DESTRUCTIVE,
        command=("account", "revoke"),
    ),
)
