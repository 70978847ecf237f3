"""Signing in from a CI system: its identity token, exchanged for a token of a service account.

GitHub Actions (and Forgejo) give a job with the permission `id-token: write` an address to ask for a token; GitLab puts
one into a variable that the job names in `id_tokens`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from environments.domain.errors import InvalidInput, ServiceUnavailable, SignInRefused

if TYPE_CHECKING:
    from environments.cli.session import Session
    from environments.client import Client
    from environments.wire.tokens import NewToken

TOKEN_VARIABLE = "CALVINVERSE_ID_TOKEN"
"""The variable in which GitLab puts the token, by the examples in the docs."""

_URL, _BEARER = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_SECONDS = 20.0
_LARGEST = 128 * 1024
"""Bytes of an answer of the CI system."""


def sign_in_as_job(session: "Session", rule: str, *, audience: str, variable: str, ca: Path | None) -> None:
    """Signs in by a rule, and keeps the token for the context. Raises as `sign_in_from_ci` does, and `NotFound`.

    `audience` empty: the address of the service.
    """
    from environments.cli.login import context_for, keep
    from environments.client import Client
    from environments.context import state_folder
    from environments.moments import moment
    from environments.stored_sessions import StoredSession

    if session.token_file is not None:
        raise InvalidInput("--token-file has no place here: signing in makes a token.")
    state = state_folder()
    context, new = context_for(session, state, ca)
    with Client(context.address, None, ca_file=context.ca_file, pinned=context.pinned) as client:
        made = sign_in_from_ci(client, rule, audience=audience or context.address.rstrip("/"), variable=variable)
    kept = StoredSession(address=context.address, user_name=made.token.owner, ends_at=made.token.expires_at)
    keep(state, context, new, kept, made.secret)
    told = {"user_name": made.token.owner, "context": context.name, "address": context.address, "token": made.token}
    session.show(told, lambda: [f"You are {made.token.owner} at {context.address}."])
    if made.token.expires_at is not None:
        session.say(f"The token ends {moment(made.token.expires_at, session.zone)}.")


def sign_in_from_ci(
    client: "Client",
    rule: str,
    *,
    audience: str,
    variable: str = TOKEN_VARIABLE,
    environ: Mapping[str, str] = os.environ,
) -> "NewToken":
    """A token of the rule's service account, for at most an hour.

    `audience`: what the identity token is to be issued for, as the rule says; GitLab's has it already. Raises
    `InvalidInput` outside of a CI system, `ServiceUnavailable` when that gives no token, `SignInRefused`.
    """
    return client.exchange_ci_token(rule, identity_token(environ, audience, variable))


def identity_token(environ: Mapping[str, str], audience: str, variable: str = TOKEN_VARIABLE) -> str:
    """The job's identity token. Raises `InvalidInput`, `ServiceUnavailable`, `SignInRefused`."""
    given = environ.get(variable, "").strip()
    if given:
        return given
    address, bearer = environ.get(_URL, ""), environ.get(_BEARER, "")
    if address and bearer:
        return _asked(address, bearer, audience)
    if environ.get("GITHUB_ACTIONS") == "true":
        raise InvalidInput(
            "This job of GitHub Actions may not have an identity token.",
            hint="Give it the permission `id-token: write`. Jobs for pull requests from forks can't have it.",
        )
    if environ.get("GITLAB_CI") == "true":
        raise InvalidInput(
            f"This job of GitLab has no identity token in {variable}.",
            hint=f"Add to the job: `id_tokens: {{{variable}: {{aud: {audience}}}}}`.",
        )
    raise InvalidInput(
        "There is no identity token of a CI system here.",
        hint=f"`--ci` works in a job of GitHub Actions or GitLab, or with the token in {variable}.",
    )


def _asked(address: str, bearer: str, audience: str) -> str:
    """The token that GitHub gives for an audience."""
    import httpx2

    parts = urlsplit(address)
    loopback = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise InvalidInput(f"{_URL} is no address that begins with https://.")
    url = f"{address}{'&' if parts.query else '?'}{urlencode({'audience': audience})}"
    content = b""
    try:
        with (
            httpx2.Client(timeout=_SECONDS, follow_redirects=False, trust_env=not loopback) as http,
            http.stream("GET", url, headers={"Authorization": f"Bearer {bearer}", "Accept": "application/json"}) as got,
        ):
            status = got.status_code
            for piece in got.iter_bytes():
                content += piece
                if len(content) > _LARGEST:
                    raise ServiceUnavailable("The CI system's answer to the request for a token is too large.")
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        told = type(error).__name__  # its text may name the address, which holds a secret in some CI systems
        raise ServiceUnavailable(f"The CI system gives no identity token: {told}.", hint="Run the job again.") from None
    if status != 200:
        raise SignInRefused(
            f"The CI system answered {status} to the request for an identity token.",
            hint="The job needs the permission `id-token: write`.",
        )
    return _value(content)


def _value(content: bytes) -> str:
    import json

    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    token = found.get("value") if isinstance(found, dict) else None
    if not isinstance(token, str) or not token:
        raise ServiceUnavailable("The CI system's answer holds no identity token.", hint="Run the job again.")
    return token
