"""Maps what use cases say of access to the models of the API."""

from collections.abc import Iterator
from datetime import datetime

from environments.domain.access import Creator, ServiceRoleGrant, Share
from environments.service.access_reasons import Reasons
from environments.service.creators import Creation
from environments.service.roles import ON_ENVIRONMENTS, ON_SERVICE, READS, Action
from environments.service.service_roles import RoleChange, RoleList
from environments.service.sharing import EnvironmentAccess
from environments.wire import access, templates


def share(record: Share, now: datetime) -> access.ShareView:
    """A share."""
    fields = {name: getattr(record, name) for name in access.ShareView.model_fields if name != "ended"}
    return access.ShareView(**fields, ended=not record.holds(now))


def environment_access(found: EnvironmentAccess, now: datetime) -> access.AccessView:
    """Who has access to an environment."""
    return access.AccessView(
        environment=found.environment.name,
        owner=found.environment.owner,
        shares=tuple(share(one, now) for one in found.shares),
        role=found.mine.role,
        reveal=found.mine.reveal,
        reasons=found.mine.reasons,
    )


def creator(record: Creator) -> access.CreatorView:
    """Who may create from a template."""
    return access.CreatorView(**dict(record))


def creation(found: Creation) -> templates.CreationView:
    """Whether the caller may create from a template."""
    rules = None if found.rules is None else tuple(map(creator, found.rules))
    return templates.CreationView(
        allowed=found.allowed, why_not=found.why_not, most=found.most, have=found.have, creators=rules
    )


def role(grant: ServiceRoleGrant, now: datetime) -> access.RoleView:
    """A role that somebody gave."""
    ended = grant.until is not None and grant.until <= now
    return access.RoleView(**dict(grant), ended=ended)


def roles(found: RoleList, now: datetime) -> list[access.RoleView]:
    """Roles that somebody gave, then those by rules of providers."""
    claimed = (
        access.RoleView(subject=one.person, role=one.role.value, at=one.since, rule=one.issuer) for one in found.claimed
    )
    return [*(role(grant, now) for grant in found.grants), *claimed]


def role_change(found: RoleChange, now: datetime) -> access.RoleChangeView:
    """A role that was given or taken."""
    way_in = None if found.way_in is None else found.way_in.value
    return access.RoleChangeView(role=role(found.grant, now), way_in=way_in)


def why(found: Reasons) -> access.WhyView:
    """Why somebody may or may not."""
    fields = {name: getattr(found, name) for name in access.WhyView.model_fields if name != "action"}
    return access.WhyView(**fields, action=found.action.value)


def table() -> Iterator[access.TableRow]:
    """The one table: what each action takes."""
    for action in Action:
        audited = action not in READS
        if action in ON_ENVIRONMENTS:
            role = ON_ENVIRONMENTS[action].value
            yield access.TableRow(action=action.value, on="environment", role=role, audited=audited)
        elif action in ON_SERVICE:
            yield access.TableRow(action=action.value, on="service", role=ON_SERVICE[action].value, audited=audited)
