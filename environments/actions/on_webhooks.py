"""What an admin can do with webhooks."""

from environments.actions.action import Action, Risk

WEBHOOK_ACTIONS: tuple[Action, ...] = (
    Action(
        id="webhook.create",
        title="Create webhook",
        help="Create a webhook: an address that takes what a forge or a program tells of.",
        risk=Risk.CHANGE,
        command=("webhook", "create"),
        admins=True,
    ),
    Action(
        id="webhook.set",
        title="Set who uses webhook",
        help="Say who may use a webhook in triggers, and for which repositories.",
        risk=Risk.CHANGE,
        command=("webhook", "set"),
        admins=True,
    ),
    Action(
        id="webhook.list",
        title="List webhooks",
        help="List webhooks, who may use each, and when it last took a delivery.",
        risk=Risk.READ,
        command=("webhook", "list"),
        admins=True,
    ),
    Action(
        id="webhook.show",
        title="Show webhook",
        help="Show a webhook, and what was refused or left of its deliveries, with the reasons.",
        risk=Risk.READ,
        command=("webhook", "show"),
        admins=True,
    ),
    Action(
        id="webhook.rotate",
        title="Replace secret of webhook",
        help="Give a webhook a new secret; the old one stays valid for a while.",
        risk=Risk.CHANGE,
        command=("webhook", "rotate"),
        admins=True,
    ),
    Action(
        id="webhook.token",
        title="Replace token for forge",
        help="Give a webhook another token, with which the service asks its forge.",
        risk=Risk.CHANGE,
        command=("webhook", "token"),
        admins=True,
    ),
    Action(
        id="webhook.check",
        title="Check webhook",
        help="Ask the forge of a webhook whether its token is good.",
        risk=Risk.READ,
        command=("webhook", "check"),
        admins=True,
    ),
    Action(
        id="webhook.delete",
        title="Delete webhook",
        help="Delete a webhook: its deliveries are refused at once, and its triggers hear nothing more.",
        risk=Risk.DESTRUCTIVE,
        command=("webhook", "delete"),
        admins=True,
    ),
)
