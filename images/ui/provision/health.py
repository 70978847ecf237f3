"""Asks the web page of this container whether it is alive: exit status 0 if it is, else 1 and a sentence.

It is asked where its own variables say that it listens: CALVINVERSE_UI_HOST, CALVINVERSE_UI_PORT and
CALVINVERSE_UI_CERTIFICATE_FILE.
"""

import http.client
import os
import ssl
import sys

TIMEOUT = 4.0


def connection() -> http.client.HTTPConnection:
    """A connection to the page; a certificate must be the one of its own file, or be issued by its chain."""
    host = os.environ.get("CALVINVERSE_UI_HOST") or "127.0.0.1"
    port = int(os.environ.get("CALVINVERSE_UI_PORT") or 8401)
    certificate = os.environ.get("CALVINVERSE_UI_CERTIFICATE_FILE")
    if not certificate:
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)


try:
    asked = connection()
    asked.request("GET", "/ui/health")
    status = asked.getresponse().status
except (OSError, ValueError, http.client.HTTPException) as error:
    sys.exit(f"it doesn't answer: {error}")
sys.exit(0 if status == 200 else f"it answers with {status}")
