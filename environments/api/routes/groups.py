"""Routes of groups."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from environments.api import name_paths, presenting_people
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import Forbidden, InvalidName, NameTaken, NotAllowedNow, NotFound
from environments.wire.people import DescribeRequest, GroupDeletionView, GroupRequest, GroupView, MembershipView

_MEMBER = "/groups/{group:group}/members/{person:path}"

_After = Annotated[str, Query(description="Only those whose names come behind this one.")]


def group_routes(service: Service) -> APIRouter:
    """Everything below /v1/groups, and /v1/memberships."""
    name_paths.register()
    router = APIRouter(prefix="/v1", tags=["groups"])
    groups = service.groups

    @router.get("/groups", responses=problems())
    def list_groups(
        caller: Caller, request: Request, response: Response, limit: Limit = PAGE, after: _After = ""
    ) -> list[GroupView]:
        """Lists groups by name; others than admins and auditors see those that they are in."""
        found = groups.all(caller, after=after, limit=limit)
        link_next(request, response, found, limit, after=found[-1].group.name if found else after)
        return [presenting_people.group(one) for one in found]

    @router.post("/groups", status_code=status.HTTP_201_CREATED, responses=problems(Forbidden, InvalidName, NameTaken))
    def create_group(caller: Caller, request: GroupRequest) -> GroupView:
        """Makes a local group without members. Admins only."""
        return presenting_people.group(groups.create(caller, request.name, request.description))

    @router.get("/memberships", responses=problems(NotFound))
    def list_members(
        caller: Caller,
        request: Request,
        response: Response,
        group: Annotated[str, Query(max_length=300, description="The group, as the list of groups names it.")],
        limit: Limit = PAGE,
        after: _After = "",
    ) -> list[MembershipView]:
        """Lists a group's members by name, for admins, auditors, and those who are in it."""
        found = groups.members(caller, group, after=after, limit=limit)
        link_next(request, response, found, limit, after=found[-1].person if found else after)
        return [presenting_people.membership(one) for one in found]

    @router.put(_MEMBER, responses=problems(Forbidden, NotFound, NotAllowedNow))
    def add_member(caller: Caller, group: str, person: str) -> MembershipView:
        """Adds somebody to a local group; it counts at once. Admins only."""
        return presenting_people.membership(groups.add(caller, group, person))

    @router.delete(
        "/groups/{group:group}/members/{person:path}", responses=problems(Forbidden, NotFound, NotAllowedNow)
    )
    def remove_member(caller: Caller, group: str, person: str) -> MembershipView:
        """Takes somebody out of a local group; it counts at once. Admins only."""
        return presenting_people.membership(groups.remove(caller, group, person))

    @router.get("/groups/{group:group}", responses=problems(NotFound))
    def show_group(caller: Caller, group: str) -> GroupView:
        """Shows a group, to admins, auditors, and those who are in it."""
        return presenting_people.group(groups.one(caller, group))

    @router.put("/groups/{group:group}", responses=problems(Forbidden, NotFound))
    def describe_group(caller: Caller, group: str, request: DescribeRequest) -> GroupView:
        """Replaces what is said of a group. Admins only."""
        return presenting_people.group(groups.describe(caller, group, request.description))

    @router.delete("/groups/{group:group}", responses=problems(Forbidden, NotFound, NotAllowedNow))
    def delete_group(
        caller: Caller,
        group: str,
        dry_run: Annotated[bool, Query(description="Only count what it would take away; store nothing.")] = False,
    ) -> GroupDeletionView:
        """Deletes a local group with what was shared with it, and its roles. Admins only."""
        return presenting_people.group_deletion(groups.delete(caller, group, dry_run=dry_run))

    return router
