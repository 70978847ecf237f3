"""The certificate that a server shows: read again when its files change, while connections and requests go on."""

import os
import ssl
from pathlib import Path
from typing import NamedTuple

import structlog

from environments.domain.errors import InvalidInput

log = structlog.get_logger()


class _Stamp(NamedTuple):
    modified: int
    size: int
    inode: int


class ServedCertificate:
    """A certificate with its chain, and its key, in two PEM files or in one.

    `context` is what a server uses for all connections. Each new one gets the certificate that was read last; those
    that are open keep theirs. Raises `InvalidInput` if the files can't be used at first.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._stamps = self._look()
        self._fault = ""
        try:
            self.context = self._current = self._load()
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput(
                f"The service can't use the certificate {certificate} with the key {key}: {_why(error)}.",
                hint="Both are PEM; the certificate's file holds the certificate first, then its chain.",
            ) from error
        # OpenSSL asks this in each handshake, also when the client names no host.
        self.context.sni_callback = self._give

    def read_again(self) -> None:
        """Reads the files again if they changed. If they can't be used, the certificate before stays.

        The reason is logged once. The files are tried again with each call, since two of them don't change at once.
        """
        stamps = self._look()
        if stamps == self._stamps and not self._fault:
            return
        try:
            self._current = self._load()
        except (OSError, ssl.SSLError) as error:
            fault = _why(error)
            if (stamps, fault) != (self._stamps, self._fault):
                log.warning("certificate.kept", file=str(self._files[0]), reason=fault)
            self._stamps, self._fault = stamps, fault
        else:
            self._stamps, self._fault = stamps, ""
            log.info("certificate.read", file=str(self._files[0]))

    def _give(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # A context of its own for each certificate: one that is changed by a bad file would lose its key.
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self._files
        context.load_cert_chain(certificate, key, password=_no_password)
        return context

    def _look(self) -> tuple[_Stamp | None, ...]:
        return tuple(_stamp(file) for file in self._files)


def _no_password() -> str:
    """OpenSSL would ask the terminal for the password of an encrypted key."""
    return ""


def _stamp(file: Path) -> _Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return _Stamp(found.st_mtime_ns, found.st_size, found.st_ino)


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key isn't that of the certificate"
        return "they hold no certificate with a key that has no password"
    return os.strerror(error.errno) if error.errno else str(error)
