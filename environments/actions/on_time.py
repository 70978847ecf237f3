"""What a person can do with policies and holiday calendars."""

from environments.actions.action import Action, Risk

TIME_ACTIONS: tuple[Action, ...] = (
    Action(
        id="policy.list",
        title="List policies",
        help="List the policies: calendar rules and maximum lifetimes for all environments of an owner or a template.",
        risk=Risk.READ,
        command=("policy", "list"),
    ),
    Action(
        id="policy.set",
        title="Set policy",
        help="Set the policy for all environments of an owner or of a template, in place of an earlier one.",
        detail="Shows first which deadlines, stops and starts move, and asks. Admins only.",
        risk=Risk.DESTRUCTIVE,
        command=("policy", "set"),
    ),
    Action(
        id="policy.remove",
        title="Remove policy",
        help="Remove the policy for an owner or a template.",
        detail="Shows first which deadlines, stops and starts move, and asks. Admins only.",
        risk=Risk.DESTRUCTIVE,
        command=("policy", "remove"),
    ),
    Action(
        id="calendar.list",
        title="List holiday calendars",
        help="List the holiday calendars, whose days rules can leave out.",
        risk=Risk.READ,
        command=("calendar", "list"),
    ),
    Action(
        id="calendar.show",
        title="Show holiday calendar",
        help="Show the days of a holiday calendar.",
        risk=Risk.READ,
        command=("calendar", "show"),
    ),
    Action(
        id="calendar.set",
        title="Set holiday calendar",
        help="Set the days of a holiday calendar, from an iCalendar file or a list, in place of earlier ones.",
        detail="Shows which deadlines, stops and starts move. Admins only.",
        risk=Risk.CHANGE,
        command=("calendar", "set"),
    ),
    Action(
        id="calendar.remove",
        title="Remove holiday calendar",
        help="Remove a holiday calendar that no rule refers to.",
        detail="Admins only.",
        risk=Risk.CHANGE,
        command=("calendar", "remove"),
    ),
)
