"""What a person can do with contexts: which service the clients of this machine talk to."""

from environments.actions.action import Action, Risk

CONTEXT_ACTIONS: tuple[Action, ...] = (
    Action(
        id="context.add",
        title="Add context",
        help="Store the address of a service and a token for it, under a name.",
        risk=Risk.CHANGE,
        command=("context", "add"),
    ),
    Action(
        id="context.use",
        title="Use context",
        help="Make a context the current one: commands and the terminal UI use it unless another one is given.",
        risk=Risk.CHANGE,
        command=("context", "use"),
    ),
    Action(
        id="context.list",
        title="List contexts",
        help="List the contexts of this machine, with the one that commands use marked.",
        risk=Risk.READ,
        command=("context", "list"),
    ),
    Action(
        id="context.show",
        title="Show context",
        help="Show a context: its address, its token file and the authority that it pins.",
        risk=Risk.READ,
        command=("context", "show"),
    ),
    Action(
        id="context.export",
        title="Export context",
        help="Write a context as one file, from which another machine adds it.",
        risk=Risk.READ,
        command=("context", "export"),
    ),
    Action(
        id="context.remove",
        title="Remove context",
        help="Remove a context and its token from this machine.",
        detail="The token stays valid until it expires or is revoked.",
        risk=Risk.DESTRUCTIVE,
        command=("context", "remove"),
    ),
)
