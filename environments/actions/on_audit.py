"""What a person can do with the audit log."""

from environments.actions.action import Action, Risk

AUDIT_ACTIONS: tuple[Action, ...] = (
    Action(
        id="audit.list",
        title="List the audit log",
        help="List entries of the audit log: who did what, on what, from where, with which outcome.",
        detail="Auditors and admins; owners with --env, for their environments.",
        risk=Risk.READ,
        command=("audit", "list"),
    ),
    Action(
        id="audit.show",
        title="Show an audit entry",
        help="Show one entry of the audit log, with what changed.",
        detail="Auditors and admins.",
        risk=Risk.READ,
        command=("audit", "show"),
    ),
    Action(
        id="audit.export",
        title="Export the audit log",
        help="Write entries of the audit log as JSON lines, oldest first.",
        detail="Auditors and admins.",
        risk=Risk.READ,
        command=("audit", "export"),
    ),
    Action(
        id="audit.head",
        title="Show the audit log's head",
        help="Show the end of the chain of the audit log.",
        detail="Auditors and admins.",
        risk=Risk.READ,
        command=("audit", "head"),
    ),
    Action(
        id="audit.verify",
        title="Verify the audit log",
        help="Verify the audit log: find entries that were removed, changed, added or moved.",
        detail="Auditors and admins.",
        risk=Risk.READ,
        command=("audit", "verify"),
    ),
)
