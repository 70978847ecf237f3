"""What a principal is for each environment of a page: one query for all of them, with the answers that `may` gives."""

from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from environments.domain.access import EnvironmentRole, ServiceRole, TokenScope
from environments.domain.environment import Environment
from environments.service.authorization import Action, Principal, within_scope
from environments.service.roles import ON_ENVIRONMENTS, ON_SERVICE, actions_of, short
from environments.service.storage.sharing import ShareStanding
from environments.service.storage.transaction import Transaction

_NOT_SHARED = ShareStanding(0)
_SUBJECT = "environment:"
_ELSEWHERE = frozenset({Action.ENVIRONMENT_MIRROR, *ON_ENVIRONMENTS})


class Whose(StrEnum):
    """Which environments a list has, of those that the caller sees."""

    MINE = "mine"
    """They, or a group of theirs, own it."""
    SHARED = "shared"
    """Others own it, and share it with them."""


class EnvironmentStanding(NamedTuple):
    """What somebody is for an environment. `may`: names of actions without their subject, such as `update`.

    `shared`: how many shares it has. `role` None: it isn't visible.
    """

    role: EnvironmentRole | None = None
    may: tuple[str, ...] = ()
    shared: int = 0


UNTOLD = EnvironmentStanding()


def standings(
    tx: Transaction, principal: Principal, environments: Sequence[Environment]
) -> dict[str, EnvironmentStanding]:
    """By id. `environments.service.authorization.access_of` says the same of one."""
    subjects = principal.subjects
    counted = principal.role == "admin"  # shares give an admin nothing: only their number is shown
    shared = tx.shares.standings([one.id for one in environments], () if counted else subjects, principal.at)
    found = {}
    same: dict[tuple[EnvironmentRole | None, bool, int], EnvironmentStanding] = {}
    for one in environments:
        share = shared.get(one.id, _NOT_SHARED)
        role, reveal = _role(principal, subjects, one, share)
        standing = same.get((role, reveal, share.shares))
        if standing is None:
            allowed = () if role is None else _allowed(principal.role, principal.scope, role, reveal)
            standing = same[role, reveal, share.shares] = EnvironmentStanding(role, allowed, share.shares)
        found[one.id] = standing
    return found


def _role(
    principal: Principal, subjects: frozenset[str], environment: Environment, share: ShareStanding
) -> tuple[EnvironmentRole | None, bool]:
    scope = principal.scope
    if scope is not None and not scope.reaches(environment.id, environment.template):
        return None, False
    if principal.role == "admin" or environment.owner in subjects:
        return EnvironmentRole.OWNER, True
    if share.role is None:
        return (EnvironmentRole.VIEWER if principal.sees_all else None), False
    return share.role, share.reveal


@cache
def _table(service: ServiceRole, role: EnvironmentRole, reveal: bool) -> tuple[Action, ...]:
    of_service = (
        action
        for action, needed in ON_SERVICE.items()
        if action.value.startswith(_SUBJECT) and action not in _ELSEWHERE and service.rank >= needed.rank
    )
    return (*actions_of(role, reveal=reveal), *of_service)


def _allowed(service: str, scope: TokenScope | None, role: EnvironmentRole, reveal: bool) -> tuple[str, ...]:
    known = _table(ServiceRole(service), role, reveal)
    if scope is None:
        return _short(known)
    return tuple(short(action) for action in known if within_scope(scope, action, on_environment=True))


@cache
def _short(actions: tuple[Action, ...]) -> tuple[str, ...]:
    return tuple(map(short, actions))
