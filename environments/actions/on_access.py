"""What a person can do about access: share, say who may create, ask why."""

from environments.actions.action import Action, Risk

ACCESS_ACTIONS: tuple[Action, ...] = (
    Action(
        id="environment.share",
        title="Share",
        help="Share an environment with a person, a group or everyone, in a role, maybe until a moment.",
        detail="It takes the role owner.",
        risk=Risk.CHANGE,
        command=("env", "share"),
    ),
    Action(
        id="environment.unshare",
        title="Unshare",
        help="End a share of an environment, at once.",
        detail="It takes the role owner; everybody can end their own.",
        risk=Risk.CHANGE,
        command=("env", "unshare"),
    ),
    Action(
        id="environment.access",
        title="Access",
        help="Show who has access to an environment: its owner and with whom it is shared, in which role, until when.",
        risk=Risk.READ,
        command=("env", "access"),
    ),
    Action(
        id="access.why",
        title="Why access",
        help="Explain why somebody can or can't do something, what is missing, and who can give it.",
        detail="Admins and auditors can ask about anybody, others about themselves.",
        risk=Risk.READ,
        command=("access", "why"),
    ),
    Action(
        id="access.table",
        title="Table of access",
        help="List all actions with the role that each takes.",
        risk=Risk.READ,
        command=("access", "table"),
    ),
    Action(
        id="role.list",
        title="List roles",
        help="List who is an admin or an auditor of the service, until when, and because of what.",
        detail="Admins and auditors only.",
        risk=Risk.READ,
        command=("role", "list"),
    ),
    Action(
        id="role.grant",
        title="Grant role",
        help="Make a person, a service account or a group admin or auditor, maybe until a moment.",
        detail="Admins only.",
        risk=Risk.CHANGE,
        command=("role", "grant"),
    ),
    Action(
        id="role.revoke",
        title="Revoke role",
        help="Take a role on the service away, at once.",
        detail="Admins only.",
        risk=Risk.CHANGE,
        command=("role", "revoke"),
    ),
    Action(
        id="template.creators",
        title="List creators",
        help="List who may create environments from templates, and how many each person may have at once.",
        detail="Everybody may create from a template without such a rule. Admins and auditors only.",
        risk=Risk.READ,
        command=("template", "creators", "list"),
    ),
    Action(
        id="template.set_creator",
        title="Set creator",
        help="Let a person, a group or everyone create environments from a template.",
        detail="Once a template has such a rule, only admins and those whom a rule names may create from it. Admins "
        "only.",
        risk=Risk.CHANGE,
        command=("template", "creators", "set"),
    ),
    Action(
        id="template.remove_creator",
        title="Remove creator",
        help="Remove a rule about who may create environments from a template.",
        detail="Without any rule everybody may create from it. Admins only.",
        risk=Risk.CHANGE,
        command=("template", "creators", "remove"),
    ),
)
