"""The public keys of a provider (JWK Sets, RFC 7517), as far as identity tokens may be signed with them."""

from base64 import urlsafe_b64decode
from collections.abc import Sequence

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

SignatureKey = RSAKey | ECKey | OKPKey

_KINDS: dict[str, type[SignatureKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}
_SHORTEST_RSA, _LONGEST_RSA = 2048, 8192
"""Bits. A signature with a longer key takes too long to verify."""

_MOST = 100
"""Keys of a set that are read."""


def read_keys(document: object) -> tuple[SignatureKey, ...]:
    """The public keys of a JWK Set that sign; all others are left out, symmetric ones too. Raises `ValueError`."""
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise ValueError("it holds no list of keys")
    keys = (_read(one) for one in found[:_MOST])
    return tuple(key for key in keys if key is not None)


def pick(keys: Sequence[SignatureKey], kid: str | None, algorithm: str) -> SignatureKey | None:
    """The key that a token names; a token may name none only if one key alone fits."""
    fitting = [key for key in keys if _fits(key, algorithm) and (kid is None or key.kid == kid)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(key: SignatureKey, algorithm: str) -> bool:
    if key.alg not in (None, algorithm):
        return False
    if isinstance(key, RSAKey):
        return algorithm.startswith(("RS", "PS"))
    return _CURVES.get(algorithm) == key.curve_name


def _read(one: object) -> SignatureKey | None:
    if not isinstance(one, dict) or one.get("use", "sig") != "sig":
        return None
    kind = _KINDS.get(str(one.get("kty")))
    members = {name: value for name, value in one.items() if name in ("kty", "kid", "alg", "n", "e", "crv", "x", "y")}
    if kind is None or members.get("crv", "P-256") not in _CURVES.values():
        return None
    if not all(isinstance(value, str) for value in members.values()):
        return None
    try:
        if kind is RSAKey and not _SHORTEST_RSA <= _bits(members.get("n", "")) <= _LONGEST_RSA:
            return None
        return kind.import_key(members)
    except (JoseError, ValueError, TypeError, LookupError, OverflowError):
        return None


def _bits(modulus: str) -> int:
    if len(modulus) > _LONGEST_RSA // 4:
        return 0
    return int.from_bytes(urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))).bit_length()
