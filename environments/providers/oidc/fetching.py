"""Calls of a provider, bounded in time and size. Redirects aren't followed, and errors repeat little of an answer.

Only the hosts that an admin has named are called: the issuer's, and those in `hosts`. A provider's metadata names the
addresses for codes and keys, and must not lead the service to other servers of its network.
"""

import json
import re
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import requests

from environments.addresses import exposes_tokens
from environments.domain.errors import BackendError, BackendUnavailable
from environments.providers.backend.bounded import AnswerTooLarge, bounded_session, trusting

_LIMIT = 10.0
"""Seconds for a call, from the connection to the end of the answer."""

_LARGEST = 256 * 1024
"""Bytes of an answer."""

AWAY_HINT = "Try again later. While the provider is away, an admin can use the local admin token."
WRONG_HINT = "An admin has to look at the settings of the provider; see docs/how-to/sign-in.md."


@dataclass(frozen=True)
class BackChannel:
    """Where the service itself reaches a provider whose issuer is an address for people.

    `address` (`https://127.0.0.1:8200`) stands in place of scheme, host and port of the issuer; `server_name` is the
    name that the certificate must have, empty: the host of the address.
    """

    address: str
    ca_file: Path | None = None
    server_name: str = ""


class Answer(NamedTuple):
    """Status and JSON of an answer; None if it holds none."""

    status: int
    content: object


class Fetcher:
    """Calls the hosts of one provider. Safe to use from several threads."""

    def __init__(
        self,
        title: str,
        issuer: str,
        hosts: Collection[str] = (),
        ca_file: Path | None = None,
        back_channel: BackChannel | None = None,
        *,
        ca: str = "",
    ) -> None:
        self._title = title
        self._own = _origin(issuer)
        self._origins = {self._own, *(_origin(f"https://{host}") for host in hosts)}
        self._back_channel = back_channel
        self._ca_file = back_channel.ca_file if back_channel is not None else ca_file
        self._ca = "" if back_channel is not None else ca

    def get(self, address: str) -> Answer:
        """Raises `BackendUnavailable`, `BackendError`."""
        return self._call("GET", address)

    def post(self, address: str, form: Mapping[str, str], credentials: tuple[str, str] | None = None) -> Answer:
        """Sends a form, with basic authentication if there are credentials. Raises as `get` does."""
        return self._call("POST", address, form, credentials)

    def check(self, address: object, what: str) -> str:
        """An address of the provider's metadata that may be called. Raises `BackendError`."""
        origin = _origin(address) if isinstance(address, str) and address.isprintable() else None
        if not isinstance(address, str) or origin is None or exposes_tokens(address):
            raise BackendError(f"{self._title} names no usable address for {what}.", hint=WRONG_HINT)
        if origin not in self._origins:
            host = urlsplit(address).netloc.lower()[:200]
            raise BackendError(
                f"{self._title} names an address for {what} at another host, {host}.",
                hint=f'If that is right, an admin can allow it with hosts = ["{host}"]; see docs/how-to/sign-in.md.',
            )
        return address

    def _call(
        self,
        method: str,
        address: str,
        form: Mapping[str, str] | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> Answer:
        place, server_name = self._place(address)
        headers = {"Accept": "application/json", "Connection": "close"}
        try:
            trust = None
            if place.startswith("https:"):
                trust = trusting(None if self._ca_file is None else str(self._ca_file), self._ca)
            with bounded_session(
                context=trust, seconds=_LIMIT, largest=_LARGEST, keep=1, server_name=server_name
            ) as session:
                response = session.request(method, place, data=form, headers=headers, auth=credentials)
        except requests.Timeout:
            raise self._away(f"didn't answer within {_LIMIT:g} s") from None
        except AnswerTooLarge:
            raise BackendError(
                f"{self._title} answered with more than {_LARGEST // 1024} KiB.", hint=WRONG_HINT
            ) from None
        except requests.exceptions.SSLError:
            raise self._away("has a certificate that isn't trusted") from None
        except requests.RequestException:
            raise self._away("can't be reached") from None
        except (OSError, ssl.SSLError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise BackendUnavailable(
                f"{self._title} can't be reached, because its CA can't be used: {why}.", hint=WRONG_HINT
            ) from None
        return self._answer(response)

    def _answer(self, response: requests.Response) -> Answer:
        status = response.status_code
        if status == 429 or status >= 500:
            raise self._away(f"answered {status}")
        if 300 <= status < 400:
            raise BackendError(f"{self._title} answered {status}; redirects aren't followed.", hint=WRONG_HINT)
        try:
            return Answer(status, json.loads(response.content))
        except (ValueError, RecursionError):
            return Answer(status, None)

    def _place(self, address: str) -> tuple[str, str]:
        """Where an address is called, and the name that the certificate must have."""
        if self._back_channel is None or _origin(address) != self._own:
            return address, ""
        inner, outer = urlsplit(self._back_channel.address), urlsplit(address)
        place = urlunsplit((inner.scheme, inner.netloc, outer.path, outer.query, ""))
        return place, self._back_channel.server_name

    def _away(self, why: str) -> BackendUnavailable:
        return BackendUnavailable(f"{self._title} {why}.", hint=AWAY_HINT)


def error_word(content: object) -> str:
    """The error code in the answer of a token endpoint (RFC 6749, 5.2); empty if there is none."""
    word = content.get("error") if isinstance(content, dict) else None
    return word if isinstance(word, str) and re.fullmatch(r"[a-z_]{1,60}", word) else ""


def _origin(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is no address that can be called."""
    try:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None or parts.fragment:
        return None
    return parts.scheme, parts.hostname, port
