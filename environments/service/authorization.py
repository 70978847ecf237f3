"""Who may do what: the one place that decides.

Code that queues a deployment, changes an environment or reads a secret calls `may` first, with the principal, the
action, the environment and the template that will be applied. `environments.service.enqueue` queues a deployment only
with the `Allowed` that `may` returns. What each action takes is in the table `environments.service.roles`. This module
also resolves the name or id that a person typed, so that nobody learns of an environment that they may not see.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from environments.domain.access import (
    EVERYONE,
    Access,
    Creator,
    EnvironmentRole,
    ServiceRole,
    Share,
    Sight,
    TokenScope,
    group_subject,
)
from environments.domain.counting import counted
from environments.domain.environment import Environment
from environments.domain.errors import Forbidden, ManagedOutside, UnknownEnvironment
from environments.domain.lifecycle import DeploymentKind
from environments.domain.names import BY_ID, BY_NAME, META, is_id
from environments.domain.suggesting import MOST_SUGGESTED_FROM, suggestion
from environments.domain.template import Bundle
from environments.domain.template_parts import Template
from environments.service.auditing import attempted, on_environment
from environments.service.auditing import entry_of as entry_of  # exported from here
from environments.service.roles import APPLIES, ON_ENVIRONMENTS, ON_SERVICE, QUEUES, READS, WHY_ADMINS
from environments.service.roles import Action as Action  # exported from here
from environments.service.storage.transaction import Transaction

Role = Literal["admin", "auditor", "user"]
ROLES: dict[ServiceRole, Role] = {
    ServiceRole.USER: "user",
    ServiceRole.AUDITOR: "auditor",
    ServiceRole.ADMIN: "admin",
}
"""The roles of principals that have a service role."""


@dataclass(frozen=True)
class Principal:
    """The caller, as they stood at the moment `at`: the owner of the token, their service role and groups.

    `kind` says what speaks: `token`, `session`, `local_admin`, or a part of the service. `address`: where from.
    """

    owner: str
    role: Role
    token_id: str
    groups: frozenset[str] = frozenset()
    scope: TokenScope | None = None
    kind: str = "token"
    address: str = ""
    request: str = ""
    """The method and route that it asks by."""
    at: datetime | None = None

    @property
    def subjects(self) -> frozenset[str]:
        """What is given to these is given to them."""
        return frozenset({self.owner, EVERYONE, *map(group_subject, self.groups)})

    @property
    def limited(self) -> bool:
        """Whether their token's scope keeps some environments out of reach."""
        return self.scope is not None and self.scope.limits_environments

    @property
    def sees_all(self) -> bool:
        """Whether their role lets them see everybody's environments; their token's scope may still limit that."""
        return self.role != "user"

    @property
    def sight(self) -> Sight:
        """What they see."""
        return Sight.of(None if self.sees_all else self.subjects, self.scope, self.at)

    @property
    def theirs_only(self) -> str | None:
        """The owner whose tokens this principal may manage; None: everybody's."""
        return None if self.role == "admin" and self.scope is None else self.owner


ENGINE = Principal("calvinverse", "admin", "engine", kind="engine")
"""Requests the rollback when a deployment fails and its template asks for one."""

CLOCK = Principal("clock", "admin", "clock", kind="clock")
"""Requests what the calendar does: destroys of environments whose deadline has passed, stops and starts."""

LINK = Principal("extend link", "admin", "link", kind="link")
"""Extends environments for those who were sent a link."""

CHANGED_OUTSIDE = "`doit deploy`, on the machine that deployed it, changes and repairs it."
REMOVED_OUTSIDE = "`doit undeploy`, on the machine that deployed it, removes it."
NO_DEADLINE = "It has no deadline: it stays until `doit undeploy`, on the machine that deployed it, removes it."
STOPPED_OUTSIDE = (
    "Only `doit deploy` and `doit undeploy` work on it: stop these commands on the machine that deployed it."
)
"""Hints of `ManagedOutside`: what to do instead."""

_OTHER_TOKEN = "Use a token that is for it, or one without limits."

_MAKER = object()


@dataclass(frozen=True)
class Allowed:
    """Proof that an action on an environment with `bundle` (a digest) is authorized. Only `may` creates it."""

    action: Action
    environment_id: str
    bundle: str
    _maker: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._maker is not _MAKER:
            raise TypeError("only environments.service.authorization allows something")

    def covers(self, environment: Environment, kind: DeploymentKind) -> bool:
        """Whether it authorizes a deployment of this kind of the environment as its record says."""
        same = (self.environment_id, self.bundle) == (environment.id, environment.bundle)
        return same and kind in QUEUES.get(self.action, frozenset())


def may(
    tx: Transaction,
    principal: Principal,
    action: Action,
    environment: Environment | None = None,
    *,
    becomes: Bundle | None = None,
) -> Allowed:
    """Authorizes an action, or raises `UnknownEnvironment` (the principal may not see it) or `Forbidden`.

    `environment` is None only for actions that concern no environment. `becomes` is the content of the template that
    the action applies: create, update and roll back need it, a plan takes it, others don't.
    """
    if environment is not None:
        check_role(tx, principal, action, environment)
    else:
        attempted(action.value, None)
    check_service(principal, action, on_environment=environment is not None)
    if (becomes is not None) != (action in APPLIES) and action is not Action.ENVIRONMENT_PLAN:
        raise TypeError(f"{action.value} has to say which template it applies, and only what applies one")
    if becomes is not None:
        _check_template(principal, action, becomes.template())
    if action is Action.ENVIRONMENT_CREATE and environment is not None:
        check_creator(tx, principal, environment.template)
    if tx.writes and action not in READS:
        _note(tx, principal, action, environment)
    bundle = becomes.digest if becomes is not None else environment.bundle if environment is not None else ""
    return Allowed(action, environment.id if environment is not None else "", bundle, _MAKER)


def check_role(tx: Transaction, principal: Principal, action: Action, environment: Environment) -> None:
    """Refuses as `may` does for the role on the environment, before the state could refuse. It authorizes nothing."""
    attempted(action.value, environment)
    _check_on_environment(tx, principal, action, environment)


def _note(tx: Transaction, principal: Principal, action: Action, environment: Environment | None) -> None:
    """Writes the action to the audit log, in the transaction that does it."""
    entry = entry_of(principal, action)
    if environment is None:
        tx.audit.add(entry)
        return
    entry = on_environment(entry, environment)
    tx.audit.add(entry, None if action is Action.ENVIRONMENT_CREATE else environment)


def access_of(tx: Transaction, principal: Principal, environment: Environment) -> Access:
    """What the principal is for an environment, and why; without a role it isn't visible."""
    if principal.scope is not None and not principal.scope.reaches(environment.id, environment.template):
        return Access(reasons=("The token isn't for this environment.",))
    if principal.role == "admin":
        return Access(role=EnvironmentRole.OWNER, reveal=True, reasons=(f"{principal.owner} is an admin.",))
    if environment.owner == principal.owner:
        return Access(role=EnvironmentRole.OWNER, reveal=True, reasons=(f"{principal.owner} owns it.",))
    if environment.owner in principal.subjects:
        return Access(role=EnvironmentRole.OWNER, reveal=True, reasons=(f"{environment.owner} owns it.",))
    shares = [share for share in tx.shares.of(environment.id, principal.subjects) if share.holds(principal.at)]
    roles = [share.role for share in shares]
    reasons = [_told(share) for share in shares]
    if principal.sees_all:
        roles.append(EnvironmentRole.VIEWER)
        reasons.append(f"{principal.owner} is an auditor, and sees every environment.")
    if not roles:
        return Access(reasons=("It isn't shared with them.",))
    best = max(roles, key=lambda role: role.rank)
    reveal = any(share.reveal or share.role is EnvironmentRole.OWNER for share in shares)
    return Access(role=best, reveal=reveal, reasons=tuple(reasons))


def _told(share: Share) -> str:
    end = f" until {share.until:%Y-%m-%d %H:%M} UTC" if share.until is not None else ""
    secrets = ", with its secrets" if share.reveal else ""
    return f"{share.by} shared it with {share.subject} as {share.role.value}{secrets}{end}."


def _check_on_environment(tx: Transaction, principal: Principal, action: Action, environment: Environment) -> None:
    found = access_of(tx, principal, environment)
    if action is Action.ENVIRONMENT_CREATE:
        _check_creates(principal, environment.template)
    if found.role is None:
        raise UnknownEnvironment(f"There is no environment {environment.id!r}.")
    needed = ON_ENVIRONMENTS.get(action, EnvironmentRole.VIEWER)
    if action is Action.ENVIRONMENT_REVEAL and found.reveal:
        needed = EnvironmentRole.VIEWER
    if not found.role.covers(needed):
        verb = action.value.partition(":")[2].replace("_", " ")
        right = "the right to reveal, or the role owner" if action is Action.ENVIRONMENT_REVEAL else needed.value
        least = f"--role {needed.value}"
        if action is Action.ENVIRONMENT_REVEAL:
            least = f"--role {_own_share(tx, principal, environment).value} --reveal"
        raise Forbidden(
            f"You are {found.role.value} of {environment.name!r}; to {verb} takes {right}.",
            hint=f"Ask {environment.owner}, who owns it, to share it with you: `calvinverse env share "
            f"{environment.name} {shlex.quote(principal.owner)} {least}`.",
            details={"needs": needed.value, "has": found.role.value},
        )


def _own_share(tx: Transaction, principal: Principal, environment: Environment) -> EnvironmentRole:
    """The role of the share with themselves, which a new one takes the place of; without one, viewer."""
    shares = tx.shares.of(environment.id, frozenset({principal.owner}))
    return next((share.role for share in shares if share.holds(principal.at)), EnvironmentRole.VIEWER)


def _check_creates(principal: Principal, template: str) -> None:
    """Raises `Forbidden` unless the token may create environments, and from that template."""
    check_service(principal, Action.ENVIRONMENT_CREATE, on_environment=True)
    scope = principal.scope
    if scope is not None and scope.environments is not None:
        raise Forbidden("The token is for some environments alone, and creates none.", hint=_OTHER_TOKEN)
    if scope is not None and not scope.reaches("", template):
        raise Forbidden(f"The token isn't for creating environments from the template {template!r}.", hint=_OTHER_TOKEN)


def check_service(principal: Principal, action: Action, *, on_environment: bool = False) -> None:
    """Raises `Forbidden` unless the principal's service role, and the scope of their token, allow the action."""
    needed = ON_SERVICE.get(action, ServiceRole.USER)
    if ServiceRole(principal.role).rank < needed.rank:
        raise Forbidden(WHY_ADMINS[action], details={"needs": needed.value, "has": principal.role})
    if not within_scope(principal.scope, action, on_environment=on_environment):
        raise Forbidden(
            f"The token isn't for the action {action.value}.",
            hint=_OTHER_TOKEN,
            details={"actions": list((principal.scope and principal.scope.actions) or ())},
        )


def within_scope(scope: TokenScope | None, action: Action, *, on_environment: bool) -> bool:
    """Whether a token of that scope is for the action."""
    if scope is None or action is Action.ENVIRONMENT_READ:  # what one may do something to, one may see
        return True
    if scope.actions is not None:
        return action.value in scope.actions
    return on_environment or not scope.limits_environments


def sees(tx: Transaction, principal: Principal, environment: Environment) -> bool:
    """Whether the principal may see an environment."""
    return access_of(tx, principal, environment).role is not None


def names_owner(principal: Principal, owner: str) -> bool:
    """Whether the principal may be told this owner's name beside an environment that isn't named."""
    return (principal.sees_all and principal.scope is None) or owner in principal.subjects


def check_creator(tx: Transaction, principal: Principal, template: str) -> None:
    """Raises `Forbidden` unless the principal may create (one more) from the template."""
    if principal.role == "admin":
        return
    rules = tx.creators.of(template)
    mine = [rule for rule in rules if rule.subject in principal.subjects]
    if rules and not mine:
        raise Forbidden(
            f"You may not create environments from the template {template!r}.",
            hint="An admin says who may: `calvinverse template creators set`.",
        )
    most = most_of(mine)
    if most is None:
        return
    have = tx.environments.count_unended(principal.owner, template)
    if have >= most:
        raise Forbidden(
            f"You have {counted(have, 'environment')} from the template {template!r}, and may have {most} at once.",
            hint="Destroy one first, or ask an admin for more: `calvinverse template creators set`.",
            details={"most": most, "have": have},
        )


def most_of(rules: Sequence[Creator]) -> int | None:
    """How many environments somebody to whom these rules apply may have at once; None: any number."""
    limits = [rule.most for rule in rules]
    return None if not limits or None in limits else max(most for most in limits if most is not None)


def check_create(tx: Transaction, principal: Principal, template: Template) -> None:
    """Raises `Forbidden` unless the principal may create an environment from a template now."""
    _check_creates(principal, template.name)
    _check_template(principal, Action.ENVIRONMENT_CREATE, template)
    check_creator(tx, principal, template.name)


def check_template_name(principal: Principal, template: str) -> None:
    """Raises `Forbidden` for a template that only admins may use, whether it exists or not."""
    if template == META and principal.role != "admin":
        raise Forbidden("Only an admin can create the meta environment.")


def check_new_token(principal: Principal, owner: str, role: str) -> None:
    """Raises `Forbidden` unless the principal may make a token for that owner with that role."""
    if principal.role == "admin":
        return
    if owner != principal.owner:
        raise Forbidden("Only an admin can create tokens for others.")
    if role not in ("user", principal.role):
        yours = "" if principal.role == "user" else f" or {principal.role}"
        raise Forbidden(
            f"Only an admin can create tokens with the role {role}: a token can't do more than yours.",
            hint=f"Ask for the role user{yours}.",
        )


def _check_template(principal: Principal, action: Action, template: Template) -> None:
    if action is Action.ENVIRONMENT_CREATE:
        check_template_name(principal, template.name)
    taken = [*template.host_volumes, *(["the network"] if template.network == "host" else [])]
    if taken and principal.role != "admin":
        raise Forbidden(
            f"Only an admin can create, update or roll back environments with version {template.version} of "
            "the template "
            f"{template.name!r}: its jobs get {', '.join(taken)} of their node."
        )


def environment_to_read(tx: Transaction, principal: Principal, said: str) -> Environment:
    """The environment whose name or id a person typed, if they may see it. Raises `UnknownEnvironment`.

    `id:…` is an id and `name:…` a name. Anything else that looks like an id is taken as an id if the principal sees an
    environment with that id, else as a name: early versions allowed such names. The rest are names.

    In a writing transaction the environment can't change until the transaction ends.
    """
    environment = _find(tx, principal, said)
    if environment is None:
        raise UnknownEnvironment(f"There is no environment {said!r}.{_did_you_mean(tx, principal, said)}")
    return environment


def environment_to_change(
    tx: Transaction, principal: Principal, said: str, instead: str = CHANGED_OUTSIDE
) -> Environment:
    """The environment whose name or id a person typed, if they may see it and this service manages it.

    Raises `UnknownEnvironment`, and `ManagedOutside` with the hint `instead`. The action still needs its own `may`.
    """
    environment = environment_to_read(tx, principal, said)
    if environment.managed_by is not None:
        raise ManagedOutside(
            f"Environment {environment.name!r} is managed by {environment.managed_by}, and only shown here.",
            hint=instead,
        )
    return environment


def _did_you_mean(tx: Transaction, principal: Principal, said: str) -> str:
    """A sentence with a similar name, or nothing; only names of environments that the principal may see."""
    typed = said.removeprefix(BY_NAME)
    if said.startswith(BY_ID) or is_id(typed):
        return ""
    found = suggestion(typed, tx.environments.names(sight=principal.sight, limit=MOST_SUGGESTED_FROM))
    return f" {found}" if found else ""


def _find(tx: Transaction, principal: Principal, said: str) -> Environment | None:
    if said.startswith(BY_ID):
        return _seen(tx, principal, said.removeprefix(BY_ID))
    if said.startswith(BY_NAME):
        return tx.environments.named(said.removeprefix(BY_NAME), sight=principal.sight)
    found = _seen(tx, principal, said) if is_id(said) else None
    return found or tx.environments.named(said, sight=principal.sight)


def _seen(tx: Transaction, principal: Principal, environment_id: str) -> Environment | None:
    environment = tx.environments.get(environment_id)
    return environment if environment is not None and sees(tx, principal, environment) else None
