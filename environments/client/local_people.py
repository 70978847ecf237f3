"""The client's calls about people of the built-in provider."""

from environments.client.connection import Connection
from environments.client.names import name_part as _part
from environments.wire.people_local import (
    IssuerView,
    LocalGroupsRequest,
    LocalPersonRequest,
    LocalPersonView,
    MovedIssuerView,
    MoveIssuerRequest,
    OneTimePasswordView,
)

_PEOPLE = "/v1/local-people"


class LocalPeopleCalls(Connection):
    """People of the built-in provider, and issuers, for admins. See `environments.client.http.Client`."""

    def local_people(self) -> list[LocalPersonView]:
        """All of them, by user name."""
        return self._pages(_PEOPLE, LocalPersonView)

    def create_local_person(self, request: LocalPersonRequest) -> OneTimePasswordView:
        """Makes a person; only this response has the one-time password."""
        return self._read(self._send("POST", _PEOPLE, request), OneTimePasswordView)

    def disable_local_person(self, user_name: str) -> LocalPersonView:
        """Ends the person's sessions, and lets them sign in no more."""
        return self._change(user_name, "disable")

    def enable_local_person(self, user_name: str) -> LocalPersonView:
        """Lets the person sign in again."""
        return self._change(user_name, "enable")

    def reset_local_person(self, user_name: str) -> OneTimePasswordView:
        """Replaces the password by a one-time password, which only this response has."""
        return self._read(self._send("POST", f"{_PEOPLE}/{_part(user_name)}/reset"), OneTimePasswordView)

    def set_local_groups(self, user_name: str, request: LocalGroupsRequest) -> LocalPersonView:
        """Replaces the person's groups of the provider."""
        return self._read(self._send("PUT", f"{_PEOPLE}/{_part(user_name)}/groups", request), LocalPersonView)

    def issuers(self) -> list[IssuerView]:
        """The issuers of people."""
        return self._pages("/v1/issuers", IssuerView)

    def move_issuer(self, old: str, new: str) -> int:
        """Gives all people of an issuer another one; says how many."""
        request = MoveIssuerRequest(old=old, new=new)
        return self._read(self._send("POST", "/v1/issuers/move", request), MovedIssuerView).moved

    def _change(self, user_name: str, how: str) -> LocalPersonView:
        return self._read(self._send("POST", f"{_PEOPLE}/{_part(user_name)}/{how}", again=True), LocalPersonView)
