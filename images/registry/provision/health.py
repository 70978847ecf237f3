"""Asks the registry of this container whether it answers: exit status 0 if it does, else 1 and a sentence.

It is asked where its own variables say that it listens: REGISTRY_HTTP_ADDR, REGISTRY_HTTP_TLS_CERTIFICATE.
"""

import http.client
import os
import ssl
import sys

TIMEOUT = 4.0
ALIVE = (200, 401)
"""The second one asks for a name and a password: a registry with users is alive too."""


def connection() -> http.client.HTTPConnection:
    """A connection to the registry; a certificate must be the one of its own file, or be issued by its chain.

    One that listens on all addresses is reached at that very address: Linux takes it for this machine.
    """
    host, _, port = (os.environ.get("REGISTRY_HTTP_ADDR") or "127.0.0.1:5000").rpartition(":")
    host = host.strip("[]") or "localhost"
    certificate = os.environ.get("REGISTRY_HTTP_TLS_CERTIFICATE")
    if not certificate:
        return http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return http.client.HTTPSConnection(host, int(port), timeout=TIMEOUT, context=context)


try:
    asked = connection()
    asked.request("GET", "/v2/")
    status = asked.getresponse().status
except (OSError, ValueError, http.client.HTTPException) as error:
    sys.exit(f"it doesn't answer: {error}")
sys.exit(0 if status in ALIVE else f"it answers with {status}")
