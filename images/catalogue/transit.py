"""The key that signs images: it stays in the transit engine of OpenBao (or Vault), which makes the signatures.

The address is in `connections.json` in the state folder, or in the file that CALVINVERSE_CONNECTIONS names. The service
writes that file (`environments.providers.backend.connections`, which images may not import). This module reads only
address, token file, CA file and the name of the certificate from it.
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import hvac
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hvac import exceptions

from environments.kept_files import NotKept, NotThere, read_kept, read_token
from images.catalogue.attestation import key_id, key_text
from images.errors import SignerUnavailable
from images.named_server import named_session

MOUNT: Final = "transit"
KEY: Final = "calvinverse-images"
"""Mount and key that `environments.providers.local_cluster.trust` creates."""

CONNECTIONS_FILE: Final = "connections.json"
CONNECTIONS_VARIABLE: Final = "CALVINVERSE_CONNECTIONS"

LIMIT = 3.0
"""Time limit in seconds for a response of OpenBao."""


class TransitSigner:
    """Signs with the newest version of the key, with the admin's token."""

    def __init__(self, client: hvac.Client, address: str) -> None:
        self._client = client
        self._address = address
        self._versions: dict[int, Ed25519PublicKey] = {}

    def sign(self, data: bytes) -> tuple[str, bytes]:
        """The id of the key and the signature. Raises SignerUnavailable."""
        answer = self._call("sign_data", hash_input=base64.b64encode(data).decode())
        _, version, encoded = str(answer["signature"]).split(":", 2)
        number, signature = int(version.removeprefix("v")), base64.b64decode(encoded)
        if not self._is_by(number, signature, data):
            self._look()  # the key was rotated, or was deleted and created again
            if not self._is_by(number, signature, data):
                raise SignerUnavailable(f"The key {MOUNT}/{KEY} was changed during the signing.", hint="Try again.")
        return key_id(self._versions[number]), signature

    def public_keys(self) -> dict[str, str]:
        """The public key of every version that OpenBao still has, as PEM, by id. Raises SignerUnavailable."""
        self._look()
        return {key_id(key): key_text(key) for _, key in sorted(self._versions.items())}

    def _is_by(self, number: int, signature: bytes, data: bytes) -> bool:
        try:
            self._versions[number].verify(signature, data)
        except (KeyError, InvalidSignature):
            return False
        return True

    def _look(self) -> None:
        found = self._call("read_key")
        if found["type"] != "ed25519":
            raise SignerUnavailable(f"The key {MOUNT}/{KEY} is of type {found['type']}, not ed25519.")
        self._versions = {int(number): _key(entry["public_key"]) for number, entry in found["keys"].items()}

    def _call(self, name: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client.secrets.transit, name)(KEY, mount_point=MOUNT, **arguments)["data"]
        except exceptions.InvalidPath as error:
            raise SignerUnavailable(
                f"OpenBao at {self._address} has no key {MOUNT}/{KEY}.",
                hint="`doit deploy` creates it in a cluster that it manages; for another cluster its log says "
                "how to create it.",
            ) from error
        except exceptions.Forbidden as error:
            raise SignerUnavailable(f"OpenBao at {self._address} denies the use of the key {MOUNT}/{KEY}.") from error
        except requests.Timeout as error:
            raise SignerUnavailable(f"OpenBao at {self._address} didn't answer in {LIMIT:.0f} s.") from error
        except requests.RequestException as error:
            raise SignerUnavailable(f"OpenBao at {self._address} can't be reached.") from error
        except exceptions.VaultError as error:
            raise SignerUnavailable(f"OpenBao at {self._address} refuses: {error}.") from error


@dataclass(frozen=True)
class Found:
    """The signer and the public keys, or a sentence that says why there is none."""

    signer: TransitSigner | None
    reason: str = ""
    hint: str = ""

    def required(self) -> TransitSigner:
        """The signer. Raises SignerUnavailable with the reason."""
        if self.signer is None:
            raise SignerUnavailable(self.reason, hint=self.hint)
        return self.signer


def find_signer(state: Path, environ: Mapping[str, str] = os.environ) -> Found:
    """The signer, by the connections of a state folder, after checking that the key exists and can be read."""
    named = environ.get(CONNECTIONS_VARIABLE)
    file = Path(named) if named else state / CONNECTIONS_FILE
    try:
        signer = _signer(file)
        signer.public_keys()
    except SignerUnavailable as error:
        return Found(None, error.message, error.hint)
    return Found(signer)


def _signer(file: Path) -> TransitSigner:
    try:
        vault = json.loads(read_kept(file)).get("vault") or {}
        address, authentication = vault.get("address"), vault.get("authentication") or {}
        token_file, ca_file = authentication.get("token_file"), vault.get("ca_file")
        server_name = str(vault.get("server_name") or "")
    except NotThere:
        address = token_file = ca_file = None
        server_name = ""
    except (NotKept, ValueError, AttributeError, RecursionError) as error:
        raise SignerUnavailable(f"The file {file} contains no connections.", hint="Run `doit deploy` again.") from error
    if not address:
        raise SignerUnavailable("There is no OpenBao yet.", hint="Run `doit deploy`.")
    if not token_file:
        raise SignerUnavailable(f"{file} names no token file for OpenBao, so images can't be signed.")
    try:
        token = read_token(file.parent / token_file)
    except NotKept as error:
        raise SignerUnavailable(
            f"The token for OpenBao can't be read from {file.parent / token_file}: {error}.",
            hint="Run `doit deploy` again.",
        ) from error
    if ca_file and not (file.parent / ca_file).is_file():
        raise SignerUnavailable(
            f"The CA of OpenBao can't be read from {file.parent / ca_file}.", hint="Run `doit deploy` again."
        )
    session = named_session(server_name)
    session.trust_env = False  # proxies and CAs of the environment's variables aren't used for OpenBao
    session.verify = str(file.parent / ca_file) if ca_file else True
    return TransitSigner(hvac.Client(url=address, token=token, timeout=LIMIT, session=session), address)


def _key(text: str) -> Ed25519PublicKey:
    """A public key of transit: 32 bytes in base64, or PEM."""
    if not text.startswith("-----"):
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text))
    key = load_pem_public_key(text.encode())
    assert isinstance(key, Ed25519PublicKey)
    return key
