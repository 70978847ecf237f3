"""Whom a client trusts at an address, what a refused certificate means, and the way to names below `localhost`."""

import contextlib
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from environments.addresses import host_of, is_encrypted, is_localhost_name
from environments.authorities import PinnedAuthority, expired, fingerprints
from environments.client.problems import chain
from environments.context import CA_FILE_VARIABLE
from environments.domain.errors import InvalidInput, ServiceUnavailable

_EXPIRED, _NOT_YET_VALID, _OTHER_NAMES = 10, 9, (62, 64)
"""Results of OpenSSL's verification (X509_V_ERR_*): expired, not yet valid; another host name, another IP address."""

_LOOPBACK = ("127.0.0.1", "::1")
_NOTHING_SENT = "The token was not sent."


def trusted(address: str, ca_file: Path | None, pinned: PinnedAuthority | None) -> ssl.SSLContext:
    """The CAs that may sign the service's certificate: of `ca_file`, else the pinned one, else those of this machine.

    Plain HTTP loads none, which saves 20 ms and trusts nobody. Raises `ServiceUnavailable` for what can't be used.
    """
    if not is_encrypted(address):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is None and pinned is not None:
        try:
            context = ssl.create_default_context(cadata=pinned.pem)
        except (ValueError, ssl.SSLError) as error:
            raise ServiceUnavailable(
                f"The authority that the context {pinned.context!r} pins can't be used: {error}.",
                hint=f"Add it again: `calvinverse context add {pinned.context} --replace …`.",
            ) from error
        # The pinned authority may itself be signed by another one.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ServiceUnavailable(
            f"The CA file {ca_file} can't be used: {error}.", hint="Correct `ca_file` in the context."
        ) from error


def refused_certificate(
    address: str, error: BaseException, pinned: PinnedAuthority | None = None, ca_file: Path | None = None
) -> tuple[str, str] | None:
    """Why a certificate was refused and what to do; None if the connection failed otherwise."""
    found = next((cause for cause in chain(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if found is None:
        return None
    certificate = f"The certificate of the service at {address}"
    if found.verify_code == _EXPIRED:
        if pinned is not None and (ended := _ended(pinned.pem)) is not None:
            return (
                f"The authority that the context {pinned.context!r} pins for {address} expired on {ended}.",
                f"{_renewed(pinned)} {_NOTHING_SENT}",
            )
        if ca_file is not None and (ended := _ended(ca_file)) is not None:
            return (
                f"The authority in {ca_file}, which must have signed the certificate of {address}, expired on {ended}.",
                f"Ask the operator of the service for the present one. {_NOTHING_SENT}",
            )
        return f"{certificate} has expired.", f"Its operator has to renew it. {_NOTHING_SENT}"
    if found.verify_code == _NOT_YET_VALID:
        return f"{certificate} isn't valid yet.", f"Check the clocks of this machine and the service. {_NOTHING_SENT}"
    if found.verify_code in _OTHER_NAMES:
        return (
            f"{certificate} isn't for {host_of(address)}.",
            "Use a name that the certificate has. If the address is right, something else answers there. "
            f"{_NOTHING_SENT}",
        )
    if pinned is not None:
        return (
            f"{certificate} isn't signed by the authority that the context {pinned.context!r} pins.",
            f"Pinned: SHA-256 {', '.join(fingerprints(pinned.pem))}. {_renewed(pinned)} If it was not replaced, "
            f"something else answers there. {_NOTHING_SENT}",
        )
    if ca_file is not None:
        return (
            f"{certificate} isn't signed by the authority in {ca_file}.",
            "If the service was deployed anew, its operator has the present one (`doit deploy` writes it to the state "
            f"folder). Otherwise something else answers there. {_NOTHING_SENT}",
        )
    return (
        f"{certificate} isn't trusted: {found.verify_message.rstrip('.')}.",
        f"Name the CA that signed it with {CA_FILE_VARIABLE}, or with --ca of `calvinverse context add`; and the host "
        "as the certificate does.",
    )


def _renewed(pinned: PinnedAuthority) -> str:
    return (
        "If the authority was replaced, get the new one from the operator of the service, compare its fingerprint, and "
        f"run `calvinverse context add {pinned.context} --replace …`."
    )


def _ended(authority: str | Path) -> str | None:
    """The day on which an authority (PEM, or a file with it) expired; None if it is valid or can't be read."""
    with contextlib.suppress(InvalidInput, OSError, UnicodeDecodeError):
        pem = authority if isinstance(authority, str) else authority.read_text(encoding="ascii")
        found = expired(pem, datetime.now(UTC))
        return None if found is None else f"{found.valid_until:%Y-%m-%d}"
    return None


def transport_to(address: str, trust: ssl.SSLContext) -> httpx2.BaseTransport | None:
    """The transport for an address whose name the system may not resolve; None: the usual one."""
    return LoopbackTransport(trust) if is_localhost_name(host_of(address)) else None


class LoopbackTransport(httpx2.BaseTransport):
    """Connects to loopback, whatever the request's host is; that host still is the name that the certificate must have.

    IPv4 first, then IPv6, as nothing may listen on one of them. Never uses a proxy.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._transport = httpx2.HTTPTransport(verify=trust, trust_env=False)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to a request. Raises what `httpx2.HTTPTransport` raises, for IPv4 if both fail."""
        refused: httpx2.ConnectError | None = None
        for host in _LOOPBACK:
            there = httpx2.Request(request.method, stream=request.stream, **_there(request, host))
            try:
                return self._transport.handle_request(there)
            except httpx2.ConnectError as error:
                refused = refused or error
                if _somebody_answers(error):
                    break
        assert refused is not None
        raise refused

    def close(self) -> None:
        """Closes all connections."""
        self._transport.close()


class AsyncLoopbackTransport(httpx2.AsyncBaseTransport):
    """The same for an event loop, with as many connections as are asked for; none outlives its answer."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._transport = httpx2.AsyncHTTPTransport(verify=trust, trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to a request. Raises what `httpx2.AsyncHTTPTransport` raises, for IPv4 if both fail."""
        refused: httpx2.ConnectError | None = None
        for host in _LOOPBACK:
            there = httpx2.Request(request.method, stream=request.stream, **_there(request, host))
            try:
                return await self._transport.handle_async_request(there)
            except httpx2.ConnectError as error:
                refused = refused or error
                if _somebody_answers(error):
                    break
        assert refused is not None
        raise refused

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._transport.aclose()


def _there(request: httpx2.Request, host: str) -> dict[str, Any]:
    """The same request to another host. The headers, `Host` among them, are those of the original request."""
    return {
        "url": request.url.copy_with(host=host),
        "headers": request.headers,
        "extensions": {**request.extensions, "sni_hostname": request.url.host},
    }


def _somebody_answers(error: httpx2.ConnectError) -> bool:
    return any(isinstance(cause, ssl.SSLError) for cause in chain(error))
