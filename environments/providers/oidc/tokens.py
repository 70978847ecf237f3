"""Verification of identity tokens (OpenID Connect Core 1.0, 3.1.3.7) with pinned algorithms.

The header of a token chooses neither the algorithm nor the kind of key: an algorithm counts only if the settings of the
provider name it, and a key only with an algorithm of its kind. No symmetric algorithm can be named.
"""

import hmac
import json
import math
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry

from environments.domain.cleaning import replace_unshown
from environments.domain.errors import SignInRefused
from environments.providers.oidc.keys import SignatureKey

LARGEST_TOKEN = 32 * 1024
"""Characters of an identity token."""

FRESH = timedelta(minutes=5)
"""How long after its issue a token may be exchanged."""

_LEEWAY = 60.0
"""Seconds by which the clocks of the provider and of this machine may differ."""

_LATEST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
_LONGEST_SUBJECT = 255
_LONGEST_KEY_ID = 500
_LONGEST_TOLD = 100
"""Characters of a value in a token that an error repeats."""


class KeySource(Protocol):
    """Where the keys of a provider come from."""

    def key(self, kid: str | None, algorithm: str) -> SignatureKey | None:
        """The key with this id for this algorithm. Raises `BackendUnavailable`, `BackendError`."""
        ...


@dataclass(frozen=True)
class Expected:
    """What a token must be: issued by `issuer` for `audience` alone, or for several with it as the authorized party.

    Without a `nonce` none is compared; `fresh`: the age since its issue that it may have, None: any.
    """

    issuer: str
    audience: str
    algorithms: Collection[str]
    nonce: str | None = None
    fresh: timedelta | None = FRESH


class _Pinned(JWSRegistry):
    """Knows the given algorithms alone."""

    max_header_length = 8 * 1024

    def __init__(self, algorithms: Collection[str]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)
        self._pinned = frozenset(algorithms)

    def get_alg(self, name: str) -> Any:
        if name not in self._pinned:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


def verify_token(token: str, keys: KeySource, expected: Expected, now: datetime) -> dict[str, object]:
    """All claims of a token that is what it must be. Raises `SignInRefused`, and what the source of keys raises."""
    if len(token) > LARGEST_TOKEN:
        raise SignInRefused(f"The identity token is larger than {LARGEST_TOKEN // 1024} KiB.")
    header = _header(token)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in expected.algorithms:
        raise SignInRefused(
            f"The identity token is signed with {_told(algorithm)}, which isn't allowed.",
            hint=f"An admin can name the algorithms of a provider; now they are {', '.join(expected.algorithms)}.",
        )
    if kid is not None and (not isinstance(kid, str) or len(kid) > _LONGEST_KEY_ID):
        raise SignInRefused("The identity token names no readable key.")
    key = keys.key(kid, algorithm)
    if key is None:
        raise SignInRefused("The identity token is signed with a key that the provider doesn't have.")
    try:
        payload = jws.deserialize_compact(token, key, registry=_Pinned(expected.algorithms)).payload
    except (JoseError, ValueError, TypeError, RecursionError):
        raise SignInRefused("The signature of the identity token is wrong.") from None
    claims = _json(payload or b"")
    if claims is None:
        raise SignInRefused("The identity token holds no claims.")
    _check_parties(claims, expected)
    _check_times(claims, expected, now.timestamp())
    if expected.nonce is not None and not _same(claims.get("nonce"), expected.nonce):
        raise SignInRefused("The identity token belongs to another sign-in: its nonce is wrong.")
    return claims


def issued_at(claims: Mapping[str, object]) -> datetime:
    """When a verified token was issued, in UTC."""
    return datetime.fromtimestamp(_moment(claims, "iat"), UTC)


def expires_at(claims: Mapping[str, object]) -> datetime:
    """When a verified token ends, in UTC."""
    return datetime.fromtimestamp(_moment(claims, "exp"), UTC)


def _header(token: str) -> Mapping[str, object]:
    parts = token.split(".")
    if len(parts) == 3 and token.isascii() and len(parts[0]) <= _Pinned.max_header_length:
        try:
            header = _json(urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
        except ValueError:
            header = None
        # `b64` would let the payload be something else than what is read below (RFC 7797); nobody needs `crit`.
        if header is not None and not {"crit", "b64"} & header.keys():
            return header
    raise SignInRefused("The identity token can't be read.")


def _check_parties(claims: Mapping[str, object], expected: Expected) -> None:
    if not _same(claims.get("iss"), expected.issuer):
        raise SignInRefused(f"The identity token is of the issuer {_told(claims.get('iss'))}, not {expected.issuer}.")
    given = claims.get("aud")
    audiences = [given] if isinstance(given, str) else given
    if not isinstance(audiences, list) or expected.audience not in audiences:
        raise SignInRefused("The identity token was issued for another client.")
    party = claims.get("azp")
    if party is None and len(audiences) > 1:
        raise SignInRefused("The identity token is for several clients, and doesn't say which of them got it.")
    if party is not None and not _same(party, expected.audience):
        raise SignInRefused("The identity token was given to another client.")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise SignInRefused("The identity token doesn't say who signed in.")


def _check_times(claims: Mapping[str, object], expected: Expected, now: float) -> None:
    issued, expires = _moment(claims, "iat"), _moment(claims, "exp")
    if expires <= now - _LEEWAY:
        raise SignInRefused("The identity token has expired.")
    if issued > now + _LEEWAY or ("nbf" in claims and _moment(claims, "nbf") > now + _LEEWAY):
        raise SignInRefused(
            "The identity token is from the future.", hint="The clocks of the provider and of the service differ."
        )
    if expected.fresh is not None and issued < now - expected.fresh.total_seconds():
        minutes = expected.fresh.total_seconds() / 60
        raise SignInRefused(
            f"The identity token was issued more than {minutes:g} minutes ago.",
            hint="Sign in again. If that happens each time, the clocks differ, or the provider dates tokens back: see "
            "docs/how-to/sign-in.md, Microsoft Entra ID.",
        )


def _moment(claims: Mapping[str, object], name: str) -> float:
    """Seconds since 1970."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LATEST:
        raise SignInRefused(f"The identity token has no usable `{name}`.")
    return float(value)


def _json(text: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _is_sound(value) else None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _is_sound(value: object, depth: int = 0) -> bool:
    """Whether a value can be kept and shown as JSON: not deep, and all numbers finite and of a usual size."""
    if depth > 20:
        return False
    if isinstance(value, dict):
        return all(_is_sound(key) and _is_sound(one, depth + 1) for key, one in value.items())
    if isinstance(value, list):
        return all(_is_sound(one, depth + 1) for one in value)
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" or character == "\0" for character in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) < 2**63


def _same(given: object, wanted: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), wanted.encode())


def _told(value: object) -> str:
    return f"`{replace_unshown(value, '�')[:_LONGEST_TOLD]}`" if isinstance(value, str) else "nothing readable"
