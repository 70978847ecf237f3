"""The client's calls about people and groups."""

from environments.client.connection import Connection
from environments.client.names import name_part as _part
from environments.domain.access import PersonKind
from environments.wire.environments import EnvironmentView
from environments.wire.people import (
    AssignmentView,
    AssignRequest,
    DepartureView,
    DescribeRequest,
    DisableRequest,
    GroupDeletionView,
    GroupRequest,
    GroupView,
    MembershipView,
    PersonView,
    SuccessorRequest,
    TransferRequest,
)


class PeopleCalls(Connection):
    """Who there is, what they have, and who is in which group. See `environments.client.http.Client`."""

    def people(self, *, kind: PersonKind | None = None, disabled: bool | None = None) -> list[PersonView]:
        """Everybody by user name (admins and auditors)."""
        query = {"kind": None if kind is None else kind.value, "disabled": disabled}
        return self._pages("/v1/people", PersonView, query)

    def person(self, name: str) -> PersonView:
        """Somebody; others than admins and auditors see only themselves."""
        return self._read(self._get(f"/v1/people/{_part(name)}"), PersonView)

    def set_successor(self, name: str, successor: str) -> PersonView:
        """Says who gets somebody's environments when they are disabled (admins; everybody for themselves)."""
        request = SuccessorRequest(successor=successor)
        return self._read(self._send("PUT", f"/v1/people/{_part(name)}/successor", request, again=True), PersonView)

    def disable_person(self, name: str, successor: str = "", *, exact: bool = False) -> DepartureView:
        """Ends somebody's sessions and tokens, and gives their environments to a successor (admins)."""
        request = DisableRequest(successor=successor, exact=exact)
        return self._read(self._send("POST", f"/v1/people/{_part(name)}/disable", request), DepartureView)

    def enable_person(self, name: str, *, exact: bool = False) -> PersonView:
        """Lets somebody sign in again (admins)."""
        query = "?exact=true" if exact else ""
        return self._read(self._send("POST", f"/v1/people/{_part(name)}/enable{query}", again=True), PersonView)

    def assign_owner(self, old: str, request: AssignRequest, *, dry_run: bool = False) -> AssignmentView:
        """Gives what belongs to an unclaimed owner to a person (admins), or only counts it."""
        path = f"/v1/people/{_part(old)}/assign?dry_run={str(dry_run).lower()}"
        return self._read(self._send("POST", path, request, again=dry_run), AssignmentView)

    def transfer(self, name: str, to: str) -> EnvironmentView:
        """Gives an environment to a person, a service account, or a group."""
        path = f"/v1/environments/{_part(name)}/transfer"
        return self._read(self._send("POST", path, TransferRequest(to=to)), EnvironmentView)

    # --- groups ------------------------------------------------------------------------------------------------------

    def groups(self) -> list[GroupView]:
        """The groups that the caller may see, by name."""
        return self._pages("/v1/groups", GroupView)

    def group(self, name: str) -> GroupView:
        """One group."""
        return self._read(self._get(f"/v1/groups/{_part(name)}"), GroupView)

    def members(self, group: str) -> list[MembershipView]:
        """A group's members, by name."""
        return self._pages("/v1/memberships", MembershipView, {"group": group})

    def create_group(self, request: GroupRequest) -> GroupView:
        """Makes a local group (admins)."""
        return self._read(self._send("POST", "/v1/groups", request), GroupView)

    def describe_group(self, name: str, description: str) -> GroupView:
        """Replaces what is said of a group (admins)."""
        request = DescribeRequest(description=description)
        return self._read(self._send("PUT", f"/v1/groups/{_part(name)}", request, again=True), GroupView)

    def delete_group(self, name: str, *, dry_run: bool = False) -> GroupDeletionView:
        """Deletes a local group (admins), or only counts what that takes away."""
        path = f"/v1/groups/{_part(name)}?dry_run={str(dry_run).lower()}"
        return self._read(self._send("DELETE", path, again=dry_run), GroupDeletionView)

    def add_member(self, group: str, person: str) -> MembershipView:
        """Adds somebody to a local group (admins)."""
        path = f"/v1/groups/{_part(group)}/members/{_part(person)}"
        return self._read(self._send("PUT", path, again=True), MembershipView)

    def remove_member(self, group: str, person: str) -> MembershipView:
        """Takes somebody out of a local group (admins)."""
        return self._read(self._send("DELETE", f"/v1/groups/{_part(group)}/members/{_part(person)}"), MembershipView)
