"""The built-in OpenID provider: OpenBao, of which people reach a page of ours and four endpoints, and nothing else."""

from dataclasses import dataclass
from typing import Protocol

NAME = "openbao"
"""Name of the provider."""

PROVIDER_PATH = "/v1/identity/oidc/provider/calvinverse"
"""Below it are the endpoints that are passed on to OpenBao."""

AUTHORIZE_PATH = "/ui/vault/identity/oidc/provider/calvinverse/authorize"
"""The authorization endpoint, as the provider's metadata names it: a page of ours."""

CALLBACK_PATH = "/sign-in/callback"
"""Below the external address: where the confidential client's people come back to."""

CLI_CALLBACK_PATH = "/callback"
"""At 127.0.0.1 or localhost, any port: the same for the public client."""

SHORTEST_PASSWORD = 12
"""Characters of a password that a person chooses."""

LONGEST_PASSWORD = 72
"""Bytes in UTF-8: bcrypt, with which OpenBao keeps passwords, takes no more."""


@dataclass(frozen=True)
class Asked:
    """A valid request for authorization: the title of the client, and the origin that the browser will be sent to.

    `origin` (`https://calvinverse.example.org:8443`, `http://127.0.0.1:41234`) is what a form may lead to (CSP
    `form-action`).
    """

    title: str
    origin: str


class AuthorizationPage(Protocol):
    """What the page at `AUTHORIZE_PATH` needs.

    `query` is the whole query of the request, as it came (`client_id=…&redirect_uri=…&state=…`), without the question
    mark. `address` is the client's, to limit attempts. Calls take some seconds at most; call them in a thread.
    """

    def check(self, query: str) -> Asked:
        """Checks a request before a form is shown.

        Raises `InvalidInput` for a request that isn't valid, such as one with another redirect address: it is shown,
        and the browser is sent nowhere.
        """
        ...

    def authorize(self, user_name: str, password: str, query: str, *, address: str) -> str:
        """The address to send the browser to, with code and state.

        Raises `InvalidInput` as `check` does, `SignInRefused` (the same for a wrong password, an unknown name, a
        disabled person and one that isn't in the group of people), `PasswordChangeNeeded`, `TooManyRequests` and
        `BackendUnavailable`.
        """
        ...

    def change_password(self, user_name: str, password: str, new_password: str, *, address: str) -> None:
        """Replaces a password that is right, whether it must be changed or not; then `authorize` accepts the new one.

        Raises `InvalidInput` for a new password that can't be used, and else as `authorize` does.
        """
        ...


@dataclass(frozen=True)
class Passed:
    """What an endpoint of the provider answers: status, content type and body."""

    status: int
    content_type: str
    body: bytes


class ProviderEndpoints(Protocol):
    """The endpoints of the provider that programs call, passed on to OpenBao."""

    def pass_on(self, method: str, endpoint: str, *, body: bytes, content_type: str, authorization: str) -> Passed:
        """OpenBao's answer.

        `endpoint` is one of `ENDPOINTS`; `authorization` the header of the request, empty without one. Raises
        `BackendUnavailable` and `BackendError`.
        """
        ...


ENDPOINTS = {
    ".well-known/openid-configuration": ("GET",),
    ".well-known/keys": ("GET",),
    "token": ("POST",),
    "userinfo": ("GET", "POST"),
}
"""The endpoints below `PROVIDER_PATH`, and their methods."""
