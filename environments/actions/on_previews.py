"""What a person can do with previews of pull requests."""

from environments.actions.action import EVERYWHERE, Action, Risk

PREVIEW_ACTIONS: tuple[Action, ...] = (
    Action(
        id="preview.list",
        title="List previews",
        help="List previews: the environments of pull requests, their state, and why they are as they are.",
        risk=Risk.READ,
        command=("preview", "list"),
        keys=("V",),
        places=EVERYWHERE,
    ),
)
