"""Who may what, said a second time: from what the manual promises, and not from the code that decides it.

Plain records and loops. `tests.component.service.test_access_stateful` compares it with the use cases after each step.
"""

from dataclasses import dataclass, field
from datetime import datetime

ROLES = ("viewer", "planner", "operator", "owner")
SERVICE_ROLES = ("user", "auditor", "admin")

ALLOWED = {
    "viewer": ["read"],
    "planner": ["plan", "observe"],
    "operator": [
        *("update", "roll_back", "repair", "promote", "stop", "start", "retry", "cancel", "extend", "rules", "pin"),
    ],
    "owner": ["destroy", "abandon", "share", "transfer", "reveal"],
}
"""Role → what it may do beside what the roles before it may."""

ON_SERVICE = {"policy:set": "admin", "person:manage": "admin", "audit:read": "auditor", "token:create": "user"}


@dataclass
class Share:
    role: str
    reveal: bool
    until: datetime | None


@dataclass
class Environment:
    owner: str
    template: str
    shares: dict[str, Share] = field(default_factory=dict)


@dataclass
class Token:
    owner: str
    most: str = "admin"
    """The most that it may on the service."""
    parent: str = ""
    expires: datetime | None = None
    revoked: bool = False
    actions: set[str] | None = None
    templates: set[str] | None = None
    environments: set[str] | None = None


@dataclass
class Model:
    """Everything that decides; `now` is the virtual moment."""

    now: datetime
    local: dict[str, set[str]] = field(default_factory=dict)
    """Person → local groups."""
    claimed: dict[str, set[str]] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    grants: dict[str, tuple[str, datetime | None]] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)

    def subjects(self, person: str) -> set[str]:
        """What is given to these is given to the person."""
        groups = self.local.get(person, set()) | self.claimed.get(person, set())
        return {person, "everyone"} | {f"group:{name}" for name in groups}

    def line(self, token: str) -> list[Token]:
        """The token and those that it came of."""
        found = self.tokens[token]
        return [found, *(self.line(found.parent) if found.parent else [])]

    def good(self, token: str) -> bool:
        """Whether it lets anybody in."""
        return not any(
            one.revoked or one.owner in self.disabled or (one.expires is not None and one.expires <= self.now)
            for one in self.line(token)
        )

    def service_role(self, token: str) -> str:
        """The least of what each token of the line stands for."""
        return min((self._of_one(one) for one in self.line(token)), key=SERVICE_ROLES.index)

    def _of_one(self, token: Token) -> str:
        given = [
            role
            for subject, (role, until) in self.grants.items()
            if subject in self.subjects(token.owner) and (until is None or self.now < until)
        ]
        best = max(["user", *given], key=SERVICE_ROLES.index)
        return min(best, token.most, key=SERVICE_ROLES.index)

    def role(self, token: str, environment_id: str) -> str | None:
        """What the bearer is for the environment; None: they don't see it."""
        bearer, found = self.tokens[token], self.environments[environment_id]
        if bearer.templates is not None and found.template not in bearer.templates:
            return None
        if bearer.environments is not None and environment_id not in bearer.environments:
            return None
        subjects, service = self.subjects(bearer.owner), self.service_role(token)
        if service == "admin" or found.owner in subjects:
            return "owner"
        roles = [share.role for share in self._shares(found, subjects)]
        roles += ["viewer"] if service == "auditor" else []
        return max(roles, key=ROLES.index) if roles else None

    def may(self, token: str, verb: str, environment_id: str) -> bool:
        """Whether the bearer may do it to an environment that they see."""
        role = self.role(token, environment_id)
        if role is None:
            return False
        bearer = self.tokens[token]
        if verb != "read" and bearer.actions is not None and f"environment:{verb}" not in bearer.actions:
            return False
        shares = self._shares(self.environments[environment_id], self.subjects(bearer.owner))
        if verb == "reveal" and any(share.reveal for share in shares):
            return True
        return any(verb in ALLOWED[each] for each in ROLES[: ROLES.index(role) + 1])

    def may_on_service(self, token: str, action: str) -> bool:
        """Whether the bearer may do what concerns no environment."""
        bearer = self.tokens[token]
        if bearer.actions is not None:
            limited = action not in bearer.actions
        else:
            limited = bearer.templates is not None or bearer.environments is not None
        enough = SERVICE_ROLES.index(self.service_role(token)) >= SERVICE_ROLES.index(ON_SERVICE[action])
        return enough and not limited

    def seen(self, token: str) -> set[str]:
        """The environments that the bearer sees."""
        return {each for each in self.environments if self.role(token, each) is not None}

    def _shares(self, found: Environment, subjects: set[str]) -> list[Share]:
        return [
            share
            for subject, share in found.shares.items()
            if subject in subjects and (share.until is None or self.now < share.until)
        ]
