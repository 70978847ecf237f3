"""`python3 -m app.health`: asks the edge of this container for a TLS handshake, with its own settings.

Exit status 0 if it shows the certificate of its file, or one that its chain vouches for, or with ACME any; else 1 and
a sentence.
Whether the service behind it answers is not asked.
"""

import os
import socket
import ssl
import sys
from ipaddress import ip_address

from .settings import InvalidSettings, Settings, read_settings

TIMEOUT = 4.0
"""Seconds that the edge may take to answer."""


def handshake(settings: Settings) -> None:
    """Raises OSError if the edge doesn't listen or shows another certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if settings.files is None:
        # Which authority signs by ACME is that one's business.
        context.verify_mode = ssl.CERT_NONE
    else:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        # SSLContext doesn't say which file it couldn't open.
        certificate = settings.files.certificate.read_text(encoding="ascii", errors="ignore")
        context.load_verify_locations(cadata=certificate)
    address = ip_address(settings.host)
    host = (
        settings.host
        if address.is_loopback
        else "::1"
        if address.version == 6 and address.is_unspecified
        else "127.0.0.1"
    )
    with (
        socket.create_connection((host, settings.port), timeout=TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=settings.address),
    ):
        return


def main() -> int:
    """Says what is wrong, and returns the exit status."""
    try:
        handshake(read_settings(os.environ))
    except (OSError, InvalidSettings) as error:
        print(f"it doesn't answer: {error}")
        return 1
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
