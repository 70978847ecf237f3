"""`python3 -m app.health`: asks the service of this container whether it is healthy, over TLS, with its own settings.

Exit status 0 if it is; 1, with a sentence on standard output, if it isn't or doesn't answer. The service must have been
started with variables, for its flags can't be seen from here.
"""

import http.client
import os
import ssl
import sys
from pathlib import Path

from .settings import Settings, read_settings

TIMEOUT = 4.0
"""Seconds that the service may take to answer."""


def ask(settings: Settings) -> tuple[int, str]:
    """Status and text of the service's own /health.

    Its certificate must be the one of its settings, or be issued by one of that file's chain, and not have ended: names
    don't count, for it is asked at the address that it listens on. Raises OSError or http.client.HTTPException.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(_certificates(settings.certificate_file))
    # If it listens on all addresses: Linux takes those for this machine.
    connection = http.client.HTTPSConnection(settings.address, settings.port, timeout=TIMEOUT, context=context)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace").strip()
    finally:
        connection.close()


def _certificates(file: Path) -> Path:
    """The file, once it can be read: SSLContext doesn't say which file it couldn't open."""
    file.open("rb").close()
    return file


def main() -> int:
    """Says how the service is, and returns the exit status."""
    try:
        status, said = ask(read_settings([], os.environ))
    except (OSError, http.client.HTTPException) as error:
        print(f"it doesn't answer: {error}")
        return 1
    print(said)
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
