"""A signer with a key of its own, for tests without OpenBao."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from images.catalogue.attestation import key_id, key_text


@dataclass
class MemorySigner:
    """Signs like `images.catalogue.transit.TransitSigner`, with a key that nobody else has."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def sign(self, data: bytes) -> tuple[str, bytes]:
        """The id of the key and the signature."""
        return key_id(self.key.public_key()), self.key.sign(data)

    def public_keys(self) -> dict[str, str]:
        """Its one public key, as PEM, by id."""
        return {key_id(self.key.public_key()): key_text(self.key.public_key())}
