"""What a person can do with holds of destroys by the clock."""

from environments.actions.action import EVERYWHERE, HOLDS, Action, Risk

HOLD_ACTIONS: tuple[Action, ...] = (
    Action(
        id="hold.list",
        title="List holds",
        help="List holds: environments that the clock would destroy, and that wait for an admin's decision.",
        risk=Risk.READ,
        command=("hold", "list"),
        keys=("h",),
        places=EVERYWHERE,
    ),
    Action(
        id="hold.release",
        title="Release hold",
        help="Release a hold: the environments that it holds are destroyed.",
        detail="Admins only.",
        risk=Risk.DESTRUCTIVE,
        command=("hold", "release"),
        keys=("R",),
        places=HOLDS,
        admins=True,
        footer="Release",
    ),
    Action(
        id="hold.cancel",
        title="Cancel held destroys",
        help="Cancel the destroys that a hold holds: the deadlines of its environments move.",
        detail="Admins only.",
        risk=Risk.CHANGE,
        command=("hold", "cancel"),
        keys=("X",),
        places=HOLDS,
        admins=True,
        footer="Cancel",
    ),
)
