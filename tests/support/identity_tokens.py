"""Keys of a provider that signs, and identity tokens with claims that are right unless told otherwise."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from environments.providers.oidc.keys import SignatureKey, pick, read_keys

ISSUER = "https://id.example.net"
CLIENT = "calvinverse-cli"
NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)

RSA = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
EC = ECKey.generate_key("P-256", parameters={"kid": "ec"})
OKP = OKPKey.generate_key("Ed25519", parameters={"kid": "okp"})


class _Any(JWSRegistry):
    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


class GivenKeys:
    """Implements `environments.providers.oidc.tokens.KeySource` with given keys."""

    def __init__(self, *keys: RSAKey | ECKey | OKPKey | OctKey) -> None:
        self.document = {"keys": [key.as_dict() for key in keys]}

    def key(self, kid: str | None, algorithm: str) -> SignatureKey | None:
        """See there."""
        return pick(read_keys(self.document), kid, algorithm)


def right_claims(now: datetime = NOW, **more: object) -> dict[str, object]:
    """Claims of a token that was issued now; None leaves one out."""
    at = int(now.timestamp())
    claims = {"iss": ISSUER, "aud": CLIENT, "sub": "ada-1", "iat": at, "exp": at + 600, "nonce": "n-1", **more}
    return {name: value for name, value in claims.items() if value is not None}


def signed(
    claims: dict[str, object] | bytes, key: Any = RSA, algorithm: str = "RS256", header: dict[str, Any] | None = None
) -> str:
    """A token; `header` replaces what its header says beside the algorithm."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    said = {"alg": algorithm, **({"kid": key.kid} if header is None else header)}
    registry = _Any(strict_check_header=False)
    registry.max_header_length = 100_000
    return jws.serialize_compact(said, payload, key, registry=registry)


def encoded(*parts: object) -> str:
    """Parts of a token in base64, joined; texts are taken as they are."""
    return ".".join(
        part if isinstance(part, str) else base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in parts
    )
