"""Everybody who may ask: each kind of caller gets what makes it one, and a token."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from environments.domain.access import (
    EVERYONE,
    EnvironmentRole,
    Group,
    PersonKind,
    ServiceRole,
    ServiceRoleGrant,
    Share,
    TokenScope,
    group_subject,
)
from environments.domain.tokens import secret_hash, secret_prefix, token_secret
from environments.service.storage.tokens import TokenRecord
from environments.stores.transaction import SqlTransaction
from tests.contract.access_table import Row
from tests.support.access.world import Given, World

_HOUR = timedelta(hours=1)


@dataclass
class Caller:
    """Somebody; `secret` None: no token. `role` is theirs on the environment, or on the service."""

    name: str
    secret: str | None
    role: str = ""


@dataclass
class Making:
    """What callers are made from."""

    world: World
    given: Given
    row: Row
    name: str
    tx: SqlTransaction

    def token(self, owner: str = "", **changes: Any) -> str:
        """A token of the owner's (else of this caller's)."""
        owner = owner or self.name
        secret = token_secret(f"{self.world.tag()}{'s' * 40}")
        values: dict[str, Any] = {
            "id": f"tok-{self.world.tag()}",
            "prefix": secret_prefix(secret),
            "hash": secret_hash(secret),
            "owner": owner,
            "role": "own",
            "note": "",
            "created_at": datetime.now(UTC) - 2 * _HOUR,
            "expires_at": None,
            "revoked_at": None,
            "last_used_at": None,
        }
        record = TokenRecord(**{**values, **changes})
        self.tx.people.keep(owner, PersonKind.PERSON, datetime.now(UTC), "test")
        self.tx.tokens.add(record)
        return secret

    def share(
        self, subject: str, role: EnvironmentRole, *, until: datetime | None = None, reveal: bool = False
    ) -> None:
        """Shares the environment, if there is one."""
        if not self.given.environment_id:
            return
        now = datetime.now(UTC)
        share = Share(
            id=f"share-{self.world.tag()}",
            environment_id=self.given.environment_id,
            subject=subject,
            role=role,
            reveal=reveal,
            until=until,
            by=self.given.owner,
            at=now,
        )
        self.tx.shares.put(share)

    def group(self, provider: str = "") -> str:
        """A group that this caller is in."""
        now = datetime.now(UTC)
        if provider:
            self.tx.groups.set_claimed(self.name, provider, [self.name], now)
            return f"{provider}/{self.name}"
        self.tx.groups.add(Group(name=self.name, created_at=now))
        self.tx.groups.join(self.name, self.name, now)
        return self.name

    def grant(self, role: ServiceRole, *, until: datetime | None = None) -> None:
        """Gives this caller a service role."""
        self.tx.service_roles.put(
            ServiceRoleGrant(subject=self.name, role=role, until=until, by="test", at=datetime.now(UTC))
        )

    def scoped(self, **limits: tuple[str, ...]) -> str:
        """A token of this caller's with limits."""
        return self.token(scope=TokenScope(**limits))


def _shared(role: EnvironmentRole, how: str = "person") -> Callable[[Making], Caller]:
    def make(making: Making) -> Caller:
        subject = {
            "person": lambda: making.name,
            "group": lambda: group_subject(making.group()),
            "claim": lambda: group_subject(making.group("corp")),
            "everyone": lambda: EVERYONE,
        }[how]()
        making.share(subject, role)
        return Caller(making.name, making.token(), role.value)

    return make


def _ended_share(making: Making) -> Caller:
    making.share(making.name, EnvironmentRole.OWNER, until=datetime.now(UTC) - _HOUR, reveal=True)
    making.share(group_subject(making.group()), EnvironmentRole.OWNER, until=datetime.now(UTC) - _HOUR)
    return Caller(making.name, making.token())


def _left_group(making: Making) -> Caller:
    group = making.group()
    making.share(group_subject(group), EnvironmentRole.OWNER, reveal=True)
    making.tx.groups.leave(group, making.name)
    return Caller(making.name, making.token())


def _similar(making: Making) -> Caller:
    """Whose name only looks like what it is shared with."""
    making.share(group_subject(f"g-{making.name}"), EnvironmentRole.OWNER)
    return Caller(f"g-{making.name}", making.token(f"g-{making.name}"))


def _revealing(making: Making) -> Caller:
    making.share(making.name, EnvironmentRole.VIEWER, reveal=True)
    return Caller(making.name, making.token(), "viewer")


def _owner(making: Making) -> Caller:
    name = making.given.owner or making.name
    return Caller(name, making.token(name), "owner")


def _owning_group(making: Making) -> Caller:
    subject = group_subject(making.group())
    if making.given.environment_id:
        making.tx.environments.change(making.given.environment_id, owner=subject)
    return Caller(making.name, making.token(), "owner")


def _limited(limit: Callable[[Making], dict[str, tuple[str, ...]]]) -> Callable[[Making], Caller]:
    """A service account that is an owner, by a token with these limits."""

    def make(making: Making) -> Caller:
        making.tx.people.keep(making.name, PersonKind.SERVICE_ACCOUNT, datetime.now(UTC), "test")
        making.share(making.name, EnvironmentRole.OWNER, reveal=True)
        return Caller(making.name, making.scoped(**limit(making)), "owner")

    return make


def _admin_limited(limit: Callable[[Making], dict[str, tuple[str, ...]]]) -> Callable[[Making], Caller]:
    def make(making: Making) -> Caller:
        making.grant(ServiceRole.ADMIN)
        return Caller(making.name, making.scoped(**limit(making)), "admin")

    return make


def _in_role(role: ServiceRole) -> Callable[[Making], Caller]:
    def make(making: Making) -> Caller:
        making.grant(role)
        return Caller(making.name, making.token(), role.value)

    return make


def _was_admin(making: Making) -> Caller:
    making.grant(ServiceRole.ADMIN, until=datetime.now(UTC) - _HOUR)
    return Caller(making.name, making.token())


def _weak_token(making: Making) -> Caller:
    """An admin's token that is a user's."""
    making.grant(ServiceRole.ADMIN)
    return Caller(making.name, making.token(role="user"))


def _bad(**changes: Any) -> Callable[[Making], Caller]:
    def make(making: Making) -> Caller:
        making.grant(ServiceRole.ADMIN)
        made = {name: value() if callable(value) else value for name, value in changes.items()}
        return Caller(making.name, making.token(**made))

    return make


def _disabled(making: Making) -> Caller:
    making.grant(ServiceRole.ADMIN)
    secret = making.token()
    making.tx.people.change(making.name, disabled_at=datetime.now(UTC), disabled_by="test")
    return Caller(making.name, secret)


def _of_a_revoked_one(making: Making) -> Caller:
    making.grant(ServiceRole.ADMIN)
    parent = f"tok-{making.world.tag()}"
    making.token(id=parent, revoked_at=_ago())
    return Caller(making.name, making.token(parent_id=parent))


def _of_a_disabled_ones(making: Making) -> Caller:
    """A token whose maker is disabled."""
    making.grant(ServiceRole.ADMIN)
    parent, maker = f"tok-{making.world.tag()}", f"maker-{making.name}"
    making.token(maker, id=parent, role="admin")
    making.tx.people.change(maker, disabled_at=datetime.now(UTC), disabled_by="test")
    return Caller(making.name, making.token(parent_id=parent, role="admin"))


def _ago() -> datetime:
    return datetime.now(UTC) - _HOUR


_ROLE = EnvironmentRole

CALLERS: dict[str, dict[str, Callable[[Making], Caller]]] = {
    "nobody": {
        "no token": lambda making: Caller("", None),
        "unknown token": lambda making: Caller("", token_secret("n" * 43)),
        "expired token": _bad(expires_at=_ago),
        "revoked token": _bad(revoked_at=_ago),
        "idle session": _bad(kind="session", idle_seconds=60, last_used_at=_ago),
        "disabled owner": _disabled,
        "token of a revoked one": _of_a_revoked_one,
        "token of a disabled person's": _of_a_disabled_ones,
    },
    "stranger": {
        "another person": lambda making: Caller(making.name, making.token()),
        "share that has ended": _ended_share,
        "group that was left": _left_group,
        "name like a group's": _similar,
        "admin until an hour ago": _was_admin,
        "user's token of an admin": _weak_token,
    },
    "viewer": {
        "viewer": _shared(_ROLE.VIEWER),
        "viewer by group": _shared(_ROLE.VIEWER, "group"),
        "viewer by a claim's group": _shared(_ROLE.VIEWER, "claim"),
        "viewer as everyone": _shared(_ROLE.VIEWER, "everyone"),
        "viewer who may reveal": _revealing,
    },
    "planner": {"planner": _shared(_ROLE.PLANNER), "planner by group": _shared(_ROLE.PLANNER, "group")},
    "operator": {"operator": _shared(_ROLE.OPERATOR), "operator by group": _shared(_ROLE.OPERATOR, "group")},
    "owner": {
        "owner": _owner,
        "owner by a share": _shared(_ROLE.OWNER),
        "owner by group": _owning_group,
        "service account for the template": _limited(lambda making: {"templates": (making.given.template,)}),
        "service account for the environment": _limited(lambda making: {"environments": _this(making)}),
        "service account for the action": _limited(lambda making: {"actions": (making.row.action,)}),
    },
    "auditor": {"auditor": _in_role(ServiceRole.AUDITOR)},
    "admin": {"admin": _in_role(ServiceRole.ADMIN)},
    "elsewhere": {
        "service account for another template": _limited(lambda making: {"templates": ("another",)}),
        "service account for another environment": _limited(lambda making: {"environments": ("env-zzzzzzzzzzzz",)}),
        "admin's token for another template": _admin_limited(lambda making: {"templates": ("another",)}),
    },
    "not for it": {
        "service account for reading": _limited(lambda making: {"actions": ("environment:read",)}),
        "admin's token for reading": _admin_limited(lambda making: {"actions": ("environment:read",)}),
    },
}
"""Column of the table → callers who get what it says. Nobody's are an admin's, and good but for one thing."""

ALONE = frozenset({"viewer as everyone", "owner by group"})
"""What makes these changes what others get from the same environment."""

LIMITED_TO_ENVIRONMENTS = frozenset({"service account for the template", "service account for the environment"})
"""What concerns no environment is not for these."""


def _this(making: Making) -> tuple[str, ...]:
    return (making.given.environment_id or "env-zzzzzzzzzzzz",)
