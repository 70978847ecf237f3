"""Roles on the service: admin and auditor, for a person, a service account, or a group, maybe until a moment."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from environments.domain.access import EVERYONE, ServiceRole, ServiceRoleGrant
from environments.domain.deadline import wanted_end
from environments.domain.errors import InvalidInput, NotAllowedNow, NotFound
from environments.domain.suggesting import told
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.storage.people import WayIn
from environments.service.storage.sharing import ClaimedRole
from environments.service.storage.transaction import Storage, Transaction
from environments.service.subjects import known_subject


@dataclass(frozen=True)
class RoleChange:
    """A grant that was given or taken, and how an admin gets in afterwards."""

    grant: ServiceRoleGrant
    way_in: WayIn | None


@dataclass(frozen=True)
class RoleList:
    """The grants by subject, and the roles that rules of providers gave at the last sign-in, by user name."""

    grants: tuple[ServiceRoleGrant, ...]
    claimed: tuple[ClaimedRole, ...]


class ServiceRoles:
    """Grants, revokes and lists roles on the service."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock

    def roles(self, principal: Principal) -> RoleList:
        """Who has a role, and by what. Raises `Forbidden` unless the caller may see who there is."""
        check_service(principal, Action.PERSON_LIST)
        with self._storage.read() as tx:
            return RoleList(tuple(tx.service_roles.all()), tuple(tx.service_roles.claimed()))

    def grant(
        self,
        principal: Principal,
        subject: str,
        role: ServiceRole,
        *,
        ttl: str | None = None,
        until: datetime | None = None,
    ) -> RoleChange:
        """Gives a subject a role, in place of the one that it was given before.

        Raises `Forbidden`, `NotFound`, `InvalidInput`, `InvalidLifetime`, and `NotAllowedNow` when no admin could get
        in any more.
        """
        now = self._clock()
        if role is ServiceRole.USER:
            raise InvalidInput("Everybody is a user.", hint="Take a role away with `calvinverse role revoke`.")
        end = wanted_end(ttl, until, now)
        with self._storage.write() as tx:
            may(tx, principal, Action.ROLE_GRANT)
            tx.service_roles.alone()
            known = known_subject(tx, principal, subject, everyone=role is not ServiceRole.ADMIN)
            given = ServiceRoleGrant(subject=known, role=role, until=end, by=principal.owner, at=now)
            before = tx.service_roles.remove(known)
            tx.service_roles.put(given)
            left = _check_way_in(tx, before, given, now)
            _audit(tx, known, before, given)
            return RoleChange(given, left)

    def revoke(self, principal: Principal, subject: str) -> RoleChange:
        """Takes a role away, at once. Raises `Forbidden`, `NotFound`, and `NotAllowedNow` for the last way in."""
        now = self._clock()
        with self._storage.write() as tx:
            may(tx, principal, Action.ROLE_GRANT)
            tx.service_roles.alone()
            gone = tx.service_roles.remove(subject.strip())
            if gone is None:
                raise _none(tx, subject.strip())
            left = _check_way_in(tx, gone, None, now)
            _audit(tx, gone.subject, gone, None)
            return RoleChange(gone, left)


def _check_way_in(
    tx: Transaction, before: ServiceRoleGrant | None, after: ServiceRoleGrant | None, now: datetime
) -> WayIn | None:
    """How an admin gets in after the change. Raises `NotAllowedNow` when it takes the last way."""
    left = tx.people.way_in("", now)
    if before is None or before.role is not ServiceRole.ADMIN:
        return left
    last = left is None
    if after is not None and after.role is ServiceRole.ADMIN and after.until is not None:
        last = tx.people.way_in("", after.until) is None
    if last:
        raise NotAllowedNow(
            f"No admin could get in any more without the role of {before.subject}.",
            hint="Make somebody else an admin first: `calvinverse role grant NAME admin`.",
        )
    return left


def _none(tx: Transaction, subject: str) -> NotFound:
    person = None if subject == EVERYONE else tx.people.get(subject)
    if person is not None and person.claim_role is not ServiceRole.USER:
        return NotFound(
            f"{subject} is {person.claim_role.value} by a rule of their provider, and not by a grant.",
            hint="Change the rule, or disable the person: `calvinverse user disable`.",
        )
    known = [grant.subject for grant in tx.service_roles.all()]
    return NotFound(told(f"No role was granted to {subject!r}.", subject, known), hint="See `calvinverse role list`.")


def _audit(tx: Transaction, subject: str, before: ServiceRoleGrant | None, after: ServiceRoleGrant | None) -> None:
    tx.audit.changed(before=_told(before), after=_told(after), object_kind="subject", object_name=subject)


def _told(grant: ServiceRoleGrant | None) -> dict[str, Any]:
    return {} if grant is None else {"role": grant.model_dump(mode="json", include={"role", "until"})}
