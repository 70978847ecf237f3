"""The provenance of a recorded build: written and signed with the record, and verified against record and image."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from environments.private_files import write_private
from images.catalogue.attestation import BuildFacts, VerifiedStatement, encode, envelope, statement, subjects, verify
from images.catalogue.channels import Catalogue
from images.catalogue.records import PROVENANCE, RECORD, BuildRecord, sha256
from images.catalogue.transit import find_signer
from images.errors import ImageMismatch, ImageNotBuilt, ImageRecordUnreadable, ImageUnsigned, SignerUnavailable

VERSION = "project:version"


def attest(record: BuildRecord, state: Path) -> str:
    """Writes the provenance of a build to the folder of its record, signed if a signer is available.

    Returns a sentence that says why it isn't signed; empty if it is.
    """
    payload = encode(statement(_made(record)))
    found = find_signer(state)
    why, text = found.reason, ""
    if found.signer is not None:
        try:
            text = envelope(payload, found.signer)
        except SignerUnavailable as error:
            why = error.message
    write_private(record.folder / PROVENANCE, text or envelope(payload, None))
    return f"the provenance isn't signed: {why}" if why else ""


def sign(record: BuildRecord, state: Path) -> None:
    """Signs the provenance of a build that was recorded without a signer. Raises SignerUnavailable."""
    signer = find_signer(state).required()
    write_private(record.folder / PROVENANCE, envelope(encode(statement(_made(record))), signer))


def verify_build(catalogue: Catalogue, record: BuildRecord, keys: Mapping[str, str]) -> VerifiedStatement:
    """Verifies that one of the `keys` signed the present record, its files and its image in the engine.

    Raises ImageUnsigned, ImageSignerUnknown, ImageTampered, ImageMismatch, and ImageNotBuilt if the image is missing.
    """
    try:
        text = (record.folder / PROVENANCE).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ImageNotBuilt(f"The build {record.build} of {record.image} has no provenance.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ImageRecordUnreadable(f"The provenance of {record.build} can't be read: {error}.") from error
    try:
        verified = verify(text, keys, subjects(_name(record), record.image_id, _digests(record)))
    except ImageUnsigned as error:
        raise ImageUnsigned(
            f"No key has signed {record.reference} yet: OpenBao was not running when it was built.",
            hint=f"If it was made on this machine, `calvinverse image sign {record.image} {record.build}` signs it. "
            "Images that are made while OpenBao runs are signed automatically.",
        ) from error
    changed = sorted(name for name, digest in record.files.items() if _digest(record.folder / name) != digest)
    if changed:
        raise ImageMismatch(
            f"The record of {record.build} was changed after it was signed: {', '.join(changed)}.",
            details={"subjects": changed},
        )
    found = catalogue.docker.inspect(record.reference)
    if found is None:
        raise ImageNotBuilt(f"The image {record.reference} is no longer in the Docker engine.")
    if found["Id"] != record.image_id:
        raise ImageMismatch(
            f"{record.reference} is another image than the one that was built: {found['Id']}, not {record.image_id}."
        )
    return verified


def _made(record: BuildRecord) -> BuildFacts:
    files = {name: digest for name, digest in record.inputs.items() if ":" not in name}
    others = {
        name: said
        for name, said in record.inputs.items()
        if ":" in name and not name.startswith(("tool:", "parent:", "from:"))
    }
    parent = next((name for name in record.inputs if name.startswith(("parent:", "from:"))), "")
    parent = f"calvinverse/{parent.removeprefix('parent:')}" if parent.startswith("parent:") else parent[5:]
    return BuildFacts(
        image=record.image,
        name=_name(record),
        reference=record.reference,
        image_id=record.image_id,
        build=record.build,
        key=record.key,
        version=record.inputs.get(VERSION, "unknown"),
        started=record.started,
        finished=record.started + timedelta(seconds=sum(record.seconds.values())),
        commit=record.commit,
        dirty=record.dirty,
        files=_digests(record),
        inputs=files,
        tools=record.tools,
        parameters=others,
        parent=parent,
        parent_id=record.parent_id,
    )


def _name(record: BuildRecord) -> str:
    return f"calvinverse/{record.image}"


def _digests(record: BuildRecord) -> dict[str, str]:
    """The record and its files."""
    return {RECORD: _digest(record.folder / RECORD), **record.files}


def _digest(file: Path) -> str:
    return sha256(file) if file.is_file() else ""
