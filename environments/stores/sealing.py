"""Secrets that wait in the database, encrypted with a key that is kept outside of it."""

import json
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from environments.domain.errors import StorageError


class KeyFileSealer:
    """Fernet (AES-128-CBC and HMAC-SHA-256) with a key in a file of its own, made when it is first needed, 0600.

    A copy of the database alone gives nothing away.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def seal(self, secrets: dict[str, str]) -> bytes:
        """The secrets, encrypted."""
        return self._fernet().encrypt(json.dumps(secrets).encode())

    def unseal(self, sealed: bytes) -> dict[str, str]:
        """The secrets. Raises `StorageError` when the key is not the one they were sealed with."""
        try:
            opened: dict[str, str] = json.loads(self._fernet().decrypt(sealed))
        except InvalidToken as error:
            raise StorageError(
                f"The secret parameters can't be read: {self._path} is not the key they were sealed with.",
                hint="Restore that file, or destroy the environment and create it again.",
            ) from error
        return opened

    def _fernet(self) -> Fernet:
        try:
            return Fernet(self._path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise StorageError(f"The key {self._path} can't be used: {error}.") from error
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "wb") as out:
                out.write(Fernet.generate_key())
                out.flush()
                os.fsync(out.fileno())
        except FileExistsError:
            pass
        except OSError as error:
            raise StorageError(f"The key {self._path} can't be written: {error.strerror}.") from error
        return Fernet(self._path.read_bytes())
