"""The provenance of an image in formats that other tools read, and its signatures.

The provenance is an in-toto statement (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md) with
SLSA's predicate (https://slsa.dev/spec/v1.0/provenance), in a DSSE envelope
(https://github.com/secure-systems-lab/dsse/blob/master/protocol.md). Signatures are Ed25519. They are checked locally,
with trusted public keys.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from environments.domain.errors import InvalidInput
from images.errors import ImageMismatch, ImageSignerUnknown, ImageTampered, ImageUnsigned

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
PAYLOAD = "application/vnd.in-toto+json"

BUILD_TYPE = "calvinverse:image/v1"
"""The type of our builds: Packer runs the recipe in a folder of images/; the result is validated and recorded.

externalParameters: `image` (the folder), `commit` (empty outside of git), `dirty` (inputs differ from it).
internalParameters: `key` (digest of all inputs), `reference` (the tag that only this image has).
resolvedDependencies: each file of the checkout, each tool, and the image that it starts from.
"""

_EXECUTABLE = "+x"
"""Suffix of the digest of an input that its owner may execute."""

_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


class Signer(Protocol):
    """Signs provenance."""

    def sign(self, data: bytes) -> tuple[str, bytes]:
        """The id of the key (see `key_id`) and the Ed25519 signature over `data`. Raises SignerUnavailable."""
        ...


@dataclass(frozen=True)
class BuildFacts:
    """The facts about a build in its provenance. Digests are `sha256:<hex>` or plain hex.

    `image` is the folder in images/, `name` the image's name without a tag, `reference` that with the tag. `files` has
    those of the record by name, `inputs` those of the checkout by path, each with its SHA-256. `tools` and `parameters`
    (all other inputs) have text by name. `parent` is the reference of the image that it starts from; `parent_id` its
    digest. `version` is Calvinverse's. `repository_digest` is that of the manifest, once it is in a registry.
    """

    image: str
    name: str
    reference: str
    image_id: str
    build: str
    key: str
    version: str
    started: datetime
    finished: datetime
    commit: str = ""
    dirty: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    parent: str = ""
    parent_id: str = ""
    repository_digest: str = ""


@dataclass(frozen=True)
class VerifiedStatement:
    """A verified statement, and the id of the key that signed it."""

    statement: Mapping[str, Any]
    keyid: str


def subjects(name: str, image_id: str, files: Mapping[str, str], repository_digest: str = "") -> dict[str, str]:
    """The subjects of a statement: name → SHA-256 in hex. The same ones are used to make and to check a statement.

    The image has its id as digest; `<name>@manifest` has the digest of its manifest in a registry.
    """
    found = {name: _hex(image_id), **{each: _hex(digest) for each, digest in files.items()}}
    return found | ({f"{name}@manifest": _hex(repository_digest)} if repository_digest else {})


def statement(made: BuildFacts) -> dict[str, Any]:
    """The in-toto statement about a build, as JSON values."""
    about = subjects(made.name, made.image_id, made.files, made.repository_digest)
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(about.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"image": made.image, "commit": made.commit, "dirty": made.dirty},
                "internalParameters": {"key": made.key, "reference": made.reference, **made.parameters},
                "resolvedDependencies": _dependencies(made),
            },
            "runDetails": {
                "builder": {"id": f"calvinverse/{made.version}"},
                "metadata": {
                    "invocationId": made.build,
                    "startedOn": _moment(made.started),
                    "finishedOn": _moment(made.finished),
                },
            },
        },
    }


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes of a statement that are signed; equal statements give equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def envelope(payload: bytes, signer: Signer | None) -> str:
    """The DSSE envelope of an encoded statement, as JSON; without a signer it has no signatures.

    Raises SignerUnavailable.
    """
    signatures = []
    if signer is not None:
        keyid, signature = signer.sign(authenticated(payload))
        signatures.append({"keyid": keyid, "sig": base64.b64encode(signature).decode()})
    encoded = base64.b64encode(payload).decode()
    return json.dumps({"payloadType": PAYLOAD, "payload": encoded, "signatures": signatures}, indent=2) + "\n"


def authenticated(payload: bytes, payload_type: str = PAYLOAD) -> bytes:
    """The bytes that are signed: DSSE's pre-authentication encoding of type and payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def verify(text: str, keys: Mapping[str, str], about: Mapping[str, str]) -> VerifiedStatement:
    """Checks that one of the `keys` (id → PEM) signed an envelope, and that it is `about` these subjects.

    Each name of `about` (see `subjects`) must be in the statement with that digest; other subjects are ignored. Raises

    - ImageUnsigned: it has no signature,
    - ImageSignerUnknown: only unknown keys signed it,
    - ImageTampered: a known key signed other content, or it can't be read,
    - ImageMismatch: it is about other subjects, or isn't a statement of provenance.
    """
    payload, payload_type, signatures = _open(text)
    if not signatures:
        raise ImageUnsigned("The provenance of this image isn't signed.")
    keyid = _signed_by(authenticated(payload, payload_type), signatures, keys)
    if payload_type != PAYLOAD:
        raise ImageMismatch(f"What is signed is of type {payload_type!r} and no statement about an image.")
    said = _read(payload)
    found = _subjects_of(said)
    wrong = sorted(name for name, digest in about.items() if found.get(name) != _hex(digest))
    if wrong:
        raise ImageMismatch(
            f"The signed provenance is about another {', another '.join(wrong)} than the present one.",
            details={"subjects": wrong},
        )
    return VerifiedStatement(said, keyid)


def key_id(key: Ed25519PublicKey) -> str:
    """The id of a public key: `sha256:<hex>` of its DER form (SubjectPublicKeyInfo)."""
    return f"sha256:{hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()}"


def key_text(key: Ed25519PublicKey) -> str:
    """A public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def public_keys(file: Path) -> dict[str, str]:
    """The Ed25519 public keys of a PEM file, by id. Raises InvalidInput when there is none, or one of another kind."""
    try:
        found = _PEM.findall(file.read_text(encoding="utf-8"))
        keys = [load_pem_public_key(each.encode()) for each in found]
    except OSError as error:
        raise InvalidInput(f"The public key {file} can't be read: {error.strerror}.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput(f"{file} contains a public key that can't be read.") from error
    ours = [key for key in keys if isinstance(key, Ed25519PublicKey)]
    if not ours or len(ours) < len(keys):
        raise InvalidInput(f"{file} must contain Ed25519 public keys as PEM, and nothing else.")
    return {key_id(key): key_text(key) for key in ours}


def _dependencies(made: BuildFacts) -> list[dict[str, Any]]:
    """Resource descriptors, each with a digest or a package URL:
    https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md."""
    found: list[dict[str, Any]] = []
    for path, digest in sorted(made.inputs.items()):
        executable = {"annotations": {"executable": True}} if digest.endswith(_EXECUTABLE) else {}
        found.append({"name": path, "digest": {"sha256": _hex(digest)}} | executable)
    for name, said in sorted(made.tools.items()):
        uri = f"pkg:generic/{quote(name, safe='')}@{quote(said, safe='')}"
        found.append({"name": name, "uri": uri, "annotations": {"is": "tool"}})
    if made.parent:
        parent: dict[str, Any] = {"name": made.parent, "annotations": {"is": "parent"}}
        found.append(parent | {"digest": {"sha256": _hex(made.parent_id)}})
    return found


def _open(text: str) -> tuple[bytes, str, list[tuple[str, bytes]]]:
    """Payload, its type, and key id and signature of each signature. Raises ImageTampered."""
    try:
        document = json.loads(text)
        payload = _bytes(document["payload"])
        signatures = [(str(each.get("keyid", "")), _bytes(each["sig"])) for each in document["signatures"]]
        return payload, str(document["payloadType"]), signatures
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ImageTampered("The provenance of this image is no DSSE envelope.") from error


def _bytes(text: str) -> bytes:
    """Decodes base64, plain or URL-safe: DSSE allows both."""
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)


def _signed_by(data: bytes, signatures: Iterable[tuple[str, bytes]], keys: Mapping[str, str]) -> str:
    """The id of the known key that signed this. The id that a signature claims is only a hint."""
    claimed = []
    for claim, signature in signatures:
        claimed.append(claim or "a key without a name")
        for keyid, pem in keys.items():
            if _holds(pem, signature, data):
                return keyid
    if any(claim in keys for claim in claimed):
        raise ImageTampered("The provenance of this image isn't what was signed: it was changed afterwards.")
    raise ImageSignerUnknown(
        f"The provenance of this image is signed with {', '.join(claimed)}, and with no known key.",
        details={"signed_with": claimed, "known": list(keys)},
    )


def _holds(pem: str, signature: bytes, data: bytes) -> bool:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        return False
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _read(payload: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(payload)
    except ValueError:
        said = None
    if not isinstance(said, dict) or (said.get("_type"), said.get("predicateType")) != (STATEMENT, PREDICATE):
        raise ImageMismatch("What is signed isn't a statement on where an image comes from.")
    return said


def _subjects_of(said: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {str(each["name"]): str(each["digest"]["sha256"]) for each in said["subject"]}
    except (KeyError, TypeError) as error:
        raise ImageMismatch("The signed statement doesn't say what it is about.") from error


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:").removesuffix(_EXECUTABLE)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
