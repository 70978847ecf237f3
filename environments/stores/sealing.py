"""Secrets that wait in the database, encrypted with a key that is kept outside of it."""

import base64
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from environments.domain.errors import StorageError


class KeyFileSealer:
    """Fernet (AES-128-CBC and HMAC-SHA-256) with a key in a file of its own, made when it is first needed, 0600.

    A copy of the database alone gives nothing away.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def seal(self, secrets: dict[str, Any]) -> bytes:
        """The secrets (name → a JSON value), encrypted."""
        return self._fernet().encrypt(json.dumps(secrets).encode())

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        """The secrets. Raises `StorageError` when the key is not the one they were sealed with."""
        try:
            opened: dict[str, Any] = json.loads(self._fernet().decrypt(sealed))
        except InvalidToken as error:
            raise StorageError(
                f"The secret parameters can't be read: {self._path} is not the key they were sealed with.",
                hint="Restore that file, or destroy the environment and create it again.",
            ) from error
        return opened

    def derive(self, label: str) -> bytes:
        """32 bytes that follow from the key and a label (HKDF with SHA-256, RFC 5869), and give neither away."""
        self._fernet()  # makes the key when there is none yet
        key = base64.urlsafe_b64decode(self._path.read_bytes())
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=label.encode()).derive(key)

    def _fernet(self) -> Fernet:
        try:
            return Fernet(self._path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it holds no key"
            raise StorageError(
                f"The key {self._path} can't be used: {why}.",
                hint="Restore it from a copy. Without one, remove it: what it sealed is lost, and environments with "
                "secret parameters have to be created again.",
            ) from error
        try:
            # Several processes may make it at once: the file appears complete, and one of them wins.
            file, part = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            try:
                with os.fdopen(file, "wb") as out:
                    out.write(Fernet.generate_key())
                    out.flush()
                    os.fsync(out.fileno())
                with suppress(FileExistsError):
                    self._path.hardlink_to(part)
            finally:
                Path(part).unlink()
        except OSError as error:
            raise StorageError(f"The key {self._path} can't be written: {error.strerror}.") from error
        return Fernet(self._path.read_bytes())
