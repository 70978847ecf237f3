"""Loads the service's certificate, and loads it again when its files change."""

import ssl
import threading
from collections.abc import Callable
from pathlib import Path

Stamp = tuple[int, int, int]


class CertificateFiles:
    """A TLS context that is made again when the certificate or the key has changed.

    If a pair can't be loaded (partly written, or only one of the two renewed so far), the last good context stays in
    use, and the next call tries again.
    """

    def __init__(self, certificate: Path, key: Path, log: Callable[[str], None]) -> None:
        self._certificate = certificate
        self._key = key
        self._log = log
        self._lock = threading.Lock()
        self._stamps: tuple[Stamp, Stamp] | None = None
        self._context: ssl.SSLContext | None = None
        self._complaint = ""

    def context(self) -> ssl.SSLContext | None:
        """The context for the next connection; None while there has never been a usable certificate."""
        with self._lock:
            try:
                stamps = (_stamp(self._certificate), _stamp(self._key))
                if self._context is None or stamps != self._stamps:
                    self._context = self._load()
                    self._stamps = stamps
                    self._complaint = ""
                    self._log(f"certificate loaded from {self._certificate}")
            except (OSError, ssl.SSLError) as error:
                complaint = f"certificate not usable: {error}"
                if complaint != self._complaint:
                    self._complaint = complaint
                    self._log(complaint)
            return self._context

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._certificate, self._key)
        return context


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
