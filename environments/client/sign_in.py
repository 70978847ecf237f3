"""The client's calls about signing in, sessions, and who one is."""

from environments.client.connection import Connection
from environments.client.names import name_part as _part
from environments.wire.sign_in import (
    ClaimReportView,
    DeviceRequest,
    DeviceTokenRequest,
    DeviceTokenView,
    DeviceView,
    EndedView,
    ExchangeRequest,
    NewSessionView,
    ProviderView,
    SessionView,
    WhoView,
)


class SignInCalls(Connection):
    """Providers, sessions and device grants. See `environments.client.http.Client`; the first five need no token."""

    def providers(self) -> list[ProviderView]:
        """The providers by which people sign in."""
        return self._read(self._get("/v1/auth/providers"), list[ProviderView])

    def exchange(self, request: ExchangeRequest) -> NewSessionView:
        """Begins a session for a fresh identity token. Raises `SignInRefused`."""
        return self._read(self._send("POST", "/v1/auth/exchange", request), NewSessionView)

    def try_claims(self, request: ExchangeRequest) -> ClaimReportView:
        """What an exchange of this identity token would do; changes nothing. Raises `SignInRefused`."""
        return self._read(self._send("POST", "/v1/auth/claims", request), ClaimReportView)

    def begin_device(self, request: DeviceRequest) -> DeviceView:
        """Codes for this machine; a person approves it on a page."""
        return self._read(self._send("POST", "/v1/auth/device", request), DeviceView)

    def ask_device(self, request: DeviceTokenRequest) -> DeviceTokenView:
        """The session of this machine, once it was approved.

        Raises `AuthorizationPending` and `SlowDown` until then, else `AccessDenied`, `DeviceCodeExpired`.
        """
        return self._read(self._send("POST", "/v1/auth/device/token", request), DeviceTokenView)

    def who_am_i(self) -> WhoView:
        """Who the caller is, in which groups, and with which role."""
        return self._read(self._get("/v1/auth/whoami"), WhoView)

    def sign_out(self) -> EndedView:
        """Ends the session of this client's token. Raises `NotFound` if it is no session."""
        return self._read(self._send("POST", "/v1/auth/sign-out"), EndedView)

    def sessions(self, owner: str = "") -> list[SessionView]:
        """One's sessions that haven't ended, newest first; for an admin also those of another owner."""
        return self._read(self._get("/v1/auth/sessions", {"owner": owner or None}), list[SessionView])

    def end_session(self, token_id: str) -> SessionView:
        """Ends a session: one's own, an admin everybody's."""
        return self._read(self._send("DELETE", f"/v1/auth/sessions/{_part(token_id)}"), SessionView)

    def end_all_sessions(self) -> EndedView:
        """Ends all of one's sessions."""
        return self._read(self._send("DELETE", "/v1/auth/sessions"), EndedView)
