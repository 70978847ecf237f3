"""The client's calls about access: shares, roles, who may create, and why."""

from environments.client.connection import Connection, Query
from environments.client.names import name_part as _part
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


class AccessCalls(Connection):
    """With whom environments are shared, and who may do what. See `environments.client.http.Client`."""

    def access(self, name: str) -> AccessView:
        """Who has access to an environment."""
        return self._read(self._get(f"/v1/environments/{_part(name)}/access"), AccessView)

    def share(self, name: str, request: ShareRequest) -> AccessView:
        """Gives a subject a role on an environment (owners)."""
        path = f"/v1/environments/{_part(name)}/shares"
        return self._read(self._send("PUT", path, request, again=request.ttl is None), AccessView)

    def unshare(self, name: str, subject: str | None = None) -> AccessView | None:
        """Ends a share (owners); without a subject the caller's own. None: the caller doesn't see it any more."""
        # Never repeated automatically: the second response would be that there is no such share.
        answer = self._request("DELETE", f"/v1/environments/{_part(name)}/shares", query={"subject": subject})
        return self._read(answer, AccessView | None)  # type: ignore[arg-type]  # pydantic reads a union as well

    def why_access(
        self, action: str, person: str = "me", environment: str | None = None, template: str | None = None
    ) -> WhyView:
        """Whether somebody may do something, and why."""
        asked: Query = {"action": action, "person": person, "environment": environment, "template": template}
        return self._read(self._get("/v1/access/why", asked), WhyView)

    def access_table(self) -> list[TableRow]:
        """All actions, with the role that each takes."""
        return self._read(self._get("/v1/access/table"), list[TableRow])

    def creators(self, template: str | None = None) -> list[CreatorView]:
        """The rules about who may create (admins and auditors)."""
        return self._read(self._get("/v1/creators", {"template": template}), list[CreatorView])

    def set_creator(self, template: str, request: CreatorRequest) -> list[CreatorView]:
        """Lets a subject create from a template (admins)."""
        path = f"/v1/templates/{_part(template)}/creators"
        return self._read(self._send("PUT", path, request, again=True), list[CreatorView])

    def remove_creator(self, template: str, subject: str) -> list[CreatorView]:
        """Removes a rule about who may create (admins)."""
        answer = self._request("DELETE", f"/v1/templates/{_part(template)}/creators", query={"subject": subject})
        return self._read(answer, list[CreatorView])

    def roles(self) -> list[RoleView]:
        """Who has a role on the service (admins and auditors)."""
        return self._read(self._get("/v1/roles"), list[RoleView])

    def grant_role(self, request: RoleRequest) -> RoleChangeView:
        """Gives a subject a role on the service (admins)."""
        return self._read(self._send("PUT", "/v1/roles", request, again=request.ttl is None), RoleChangeView)

    def revoke_role(self, subject: str) -> RoleChangeView:
        """Takes a role on the service away (admins)."""
        return self._read(self._request("DELETE", "/v1/roles", query={"subject": subject}), RoleChangeView)
