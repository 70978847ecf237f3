"""Routes of access: with whom environments are shared, who may create, and why somebody may do something."""

from typing import Annotated

from fastapi import APIRouter, Query

from environments.api import presenting_access
from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.access import ServiceRole
from environments.domain.errors import (
    Forbidden,
    InvalidInput,
    InvalidLifetime,
    ManagedOutside,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
    UnknownTemplate,
)
from environments.wire.access import (
    AccessView,
    CreatorRequest,
    CreatorView,
    RoleChangeView,
    RoleRequest,
    RoleView,
    ShareRequest,
    TableRow,
    WhyView,
)

_SHARED = problems(
    UnknownEnvironment, Forbidden, NotFound, InvalidInput, InvalidLifetime, ManagedOutside, NotAllowedNow
)
_GRANTED = problems(Forbidden, NotFound, InvalidInput, InvalidLifetime, NotAllowedNow)
_RULED = problems(Forbidden, UnknownTemplate, NotFound, InvalidInput, NotAllowedNow)


def access_routes(service: Service) -> APIRouter:
    """Everything below /v1/access, and below environments and templates what concerns access."""
    router = APIRouter(prefix="/v1", tags=["access"])
    sharing, creators, roles = service.sharing, service.creators, service.service_roles

    @router.get("/environments/{name}/access", responses=problems(UnknownEnvironment))
    def show_access(caller: Caller, name: str) -> AccessView:
        """Shows who has access to an environment, and what the caller is for it."""
        return presenting_access.environment_access(sharing.access(caller, name), service.reading.now())

    @router.put("/environments/{name}/shares", responses=_SHARED)
    def share_environment(caller: Caller, name: str, request: ShareRequest) -> AccessView:
        """Gives a person, a service account, a group or everyone a role on an environment, in place of an earlier one.

        It takes the role owner.
        """
        given = {"reveal": request.reveal, "ttl": request.ttl, "until": request.until}
        done = sharing.share(caller, name, request.subject, request.role, **given)  # type: ignore[arg-type]  # by name
        return presenting_access.environment_access(done, service.reading.now())

    @router.delete("/environments/{name}/shares", responses=problems(UnknownEnvironment, Forbidden, NotFound))
    def unshare_environment(
        caller: Caller,
        name: str,
        subject: Annotated[
            str | None, Query(max_length=1000, description="With whom it is shared; without: the caller.")
        ] = None,
    ) -> AccessView | None:
        """Ends a share at once. It takes the role owner, except for the caller's own.

        The answer is null when the caller doesn't see the environment any more.
        """
        done = sharing.unshare(caller, name, subject)
        return None if done is None else presenting_access.environment_access(done, service.reading.now())

    @router.get("/access/table", responses=problems())
    def show_table(caller: Caller) -> list[TableRow]:
        """Lists all actions, with the role that each takes."""
        return list(presenting_access.table())

    @router.get("/access/why", responses=problems(Forbidden, NotFound, UnknownEnvironment, UnknownTemplate))
    def explain_access(
        caller: Caller,
        action: Annotated[str, Query(max_length=100, description="Such as `environment:update` or `update`.")],
        person: Annotated[str, Query(max_length=200, description="A user name, or `me`.")] = "me",
        environment: Annotated[str | None, Query(description="An environment, for what is done to one.")] = None,
        template: Annotated[str | None, Query(description="A template, for `environment:create`.")] = None,
    ) -> WhyView:
        """Says whether somebody may do something, why, what is missing, and who can give it.

        Admins and auditors may ask about anybody, others about themselves.
        """
        return presenting_access.why(service.access_reasons.why(caller, person, action, environment, template))

    @router.get("/roles", responses=problems(Forbidden))
    def list_roles(caller: Caller) -> list[RoleView]:
        """Lists who is an admin or an auditor, by grants and by rules of providers. Admins and auditors only."""
        return presenting_access.roles(roles.roles(caller), service.reading.now())

    @router.put("/roles", responses=_GRANTED)
    def grant_role(caller: Caller, request: RoleRequest) -> RoleChangeView:
        """Makes somebody, or a group, admin or auditor of the service, in place of an earlier role. Admins only."""
        given = ServiceRole(request.role)
        done = roles.grant(caller, request.subject, given, ttl=request.ttl, until=request.until)
        return presenting_access.role_change(done, service.reading.now())

    @router.delete("/roles", responses=problems(Forbidden, NotFound, NotAllowedNow))
    def revoke_role(
        caller: Caller, subject: Annotated[str, Query(max_length=1000, description="Who has the role.")]
    ) -> RoleChangeView:
        """Takes a role away, unless no admin could get in any more. Admins only."""
        return presenting_access.role_change(roles.revoke(caller, subject), service.reading.now())

    @router.get("/creators", responses=problems(Forbidden))
    def list_creators(
        caller: Caller, template: Annotated[str | None, Query(description="Only this template's.")] = None
    ) -> list[CreatorView]:
        """Lists the rules about who may create; everybody may from templates without one. Admins and auditors only."""
        return [presenting_access.creator(rule) for rule in creators.creators(caller, template)]

    @router.put("/templates/{name}/creators", responses=_RULED)
    def set_creator(caller: Caller, name: str, request: CreatorRequest) -> list[CreatorView]:
        """Lets a subject create from a template, and says how many environments each person may have. Admins only.

        Once a template has such a rule, only admins and those whom a rule names may create from it.
        """
        rules = creators.set(caller, name, request.subject, request.most)
        return [presenting_access.creator(rule) for rule in rules]

    @router.delete("/templates/{name}/creators", responses=problems(Forbidden, NotFound))
    def remove_creator(
        caller: Caller, name: str, subject: Annotated[str, Query(max_length=1000, description="Whom the rule names.")]
    ) -> list[CreatorView]:
        """Removes a rule about who may create; the answer has those that are left. Without one, everybody may."""
        return [presenting_access.creator(rule) for rule in creators.remove(caller, name, subject)]

    return router
