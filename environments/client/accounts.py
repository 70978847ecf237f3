"""The client's calls about service accounts."""

from environments.client.connection import Connection
from environments.client.names import name_part as _part
from environments.wire.ci_exchange import CiExchangeRequest
from environments.wire.service_accounts import (
    AccountTokenRequest,
    ServiceAccountChange,
    ServiceAccountRequest,
    ServiceAccountView,
)
from environments.wire.tokens import NewToken, TokenView

_PATH = "/v1/service-accounts"


class AccountCalls(Connection):
    """Service accounts and their tokens. See `environments.client.http.Client`."""

    def service_accounts(self) -> list[ServiceAccountView]:
        """Those that the caller is responsible for, all of them for admins and auditors."""
        return self._pages(_PATH, ServiceAccountView)

    def service_account(self, name: str) -> ServiceAccountView:
        """One account."""
        return self._read(self._get(f"{_PATH}/{_part(name)}"), ServiceAccountView)

    def create_service_account(self, request: ServiceAccountRequest) -> ServiceAccountView:
        """Creates an account; its name can't be given to anybody else afterwards."""
        return self._read(self._send("POST", _PATH, request), ServiceAccountView)

    def change_service_account(self, name: str, request: ServiceAccountChange) -> ServiceAccountView:
        """Changes the description, or who is responsible."""
        return self._read(self._send("PATCH", f"{_PATH}/{_part(name)}", request, again=True), ServiceAccountView)

    def disable_service_account(self, name: str) -> ServiceAccountView:
        """Revokes all its tokens; it gets no others."""
        return self._read(self._send("POST", f"{_PATH}/{_part(name)}/disable", again=True), ServiceAccountView)

    def enable_service_account(self, name: str) -> ServiceAccountView:
        """Lets it have tokens again."""
        return self._read(self._send("POST", f"{_PATH}/{_part(name)}/enable", again=True), ServiceAccountView)

    def account_tokens(self, name: str) -> list[TokenView]:
        """Its tokens, newest first."""
        return self._pages(f"{_PATH}/{_part(name)}/tokens", TokenView)

    def create_account_token(self, name: str, request: AccountTokenRequest) -> NewToken:
        """Creates a token; only this response has its secret."""
        return self._read(self._send("POST", f"{_PATH}/{_part(name)}/tokens", request), NewToken)

    def exchange_ci_token(self, rule: str, identity_token: str) -> NewToken:
        """A short token of the rule's account for a CI system's identity token, once; needs no token."""
        request = CiExchangeRequest(rule=rule, identity_token=identity_token)
        return self._read(self._send("POST", "/v1/auth/exchange/ci", request), NewToken)

    def revoke_account_token(self, name: str, token_id: str) -> TokenView:
        """Revokes a token."""
        path = f"{_PATH}/{_part(name)}/tokens/{_part(token_id)}"
        return self._read(self._send("DELETE", path, again=True), TokenView)
