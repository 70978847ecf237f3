"""What a person can do with triggers and received events."""

from environments.actions.action import Action, Risk

EVENT_ACTIONS: tuple[Action, ...] = (
    Action(
        id="trigger.list",
        title="List triggers",
        help="List triggers: rules that turn what happens elsewhere into actions.",
        risk=Risk.READ,
        command=("trigger", "list"),
    ),
    Action(
        id="trigger.show",
        title="Show trigger",
        help="Show a trigger, its definition, and what it did last.",
        risk=Risk.READ,
        command=("trigger", "show"),
    ),
    Action(
        id="trigger.set",
        title="Set trigger",
        help="Set a trigger from a file, alone or on an environment.",
        risk=Risk.CHANGE,
        command=("trigger", "set"),
    ),
    Action(
        id="trigger.add",
        title="Add trigger",
        help="Add a trigger to an environment.",
        risk=Risk.CHANGE,
        command=("trigger", "add"),
    ),
    Action(
        id="trigger.remove",
        title="Remove trigger",
        help="Remove a trigger.",
        risk=Risk.CHANGE,
        command=("trigger", "remove"),
    ),
    Action(
        id="trigger.pause",
        title="Pause trigger",
        help="Let a trigger do nothing until it is resumed.",
        risk=Risk.CHANGE,
        command=("trigger", "pause"),
    ),
    Action(
        id="trigger.resume",
        title="Resume trigger",
        help="Let a paused or stopped trigger act again.",
        risk=Risk.CHANGE,
        command=("trigger", "resume"),
    ),
    Action(
        id="trigger.test",
        title="Test triggers",
        help="Tell what an event would do: which environments it would hit, and why not the others.",
        risk=Risk.READ,
        command=("trigger", "test"),
    ),
    Action(
        id="event.list",
        title="List received events",
        help="List received events: what happened elsewhere, and triggers were matched with.",
        risk=Risk.READ,
        command=("event", "list"),
    ),
    Action(
        id="event.show",
        title="Show received event",
        help="Show a received event, and what triggers did because of it.",
        risk=Risk.READ,
        command=("event", "show"),
    ),
    Action(
        id="event.replay",
        title="Replay received event",
        help="Receive an event again: triggers act on it as they are now.",
        detail="Admins only.",
        risk=Risk.CHANGE,
        command=("event", "replay"),
        admins=True,
    ),
)
