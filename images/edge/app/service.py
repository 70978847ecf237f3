"""Asks the service for routes, and for certificates to keys that are made here and never leave the edge's memory."""

import contextlib
import hmac
import http.client
import json
import ssl
import subprocess
import time
from hashlib import sha256
from typing import Any

from .entry_points import Pair
from .settings import Settings

LABEL = b"calvinverse: what the edge asks the service for"
"""Derives the credential from the secret that the service shares. Clients' requests go along with the secret itself."""

WAIT = 20.0
"""Seconds that the service may wait for a change."""

ANSWER = 15.0
"""Seconds for an answer, beside that."""

KEY_SECONDS = 20.0
"""Time limit for making a key and a request."""

_REFUSALS = (401, 404, 409)
"""Statuses of a service that has no domain, or of an earlier version."""


class NoAnswer(Exception):
    """The service doesn't answer as it should; the message is one sentence."""


class Refused(NoAnswer):
    """The service has no entry points: it has no domain for them, or is of a version without them."""


class Service:
    """The service behind the edge, in its part for edges. `edge` is this edge's id."""

    def __init__(self, settings: Settings, edge: str) -> None:
        self._settings = settings
        self._edge = edge

    def routes(self, serves: tuple[str, ...], version: str, wait: float) -> Any:
        """The document with the next routes; None if they are still those of `version`. Raises `NoAnswer`."""
        asked = {"edge": self._edge, "serves": list(serves), "version": version, "wait": wait}
        return self._ask("/v1/edge/routes", asked, wait)

    def certificate(self, environment: str, names: tuple[str, ...]) -> Pair:
        """A certificate for a new key. Raises `NoAnswer`."""
        key, request = make_key()
        found = self._ask("/v1/edge/certificates", {"environment": environment, "request": request}, 0)
        try:
            chain, seconds = str(found["chain"]), float(found["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise NoAnswer("The service sent no certificate.") from error
        # A third of the time is left for what may be away for a while.
        return Pair(names, chain, key, time.time() + seconds * 2 / 3)

    def _ask(self, path: str, body: Any, wait: float) -> Any:
        try:
            with contextlib.closing(self._connect(ANSWER + wait)) as connection:
                secret = self._settings.secret_file.read_bytes().strip()
                credential = hmac.new(secret, LABEL, sha256).hexdigest()
                headers = {"Authorization": f"Edge {credential}", "Content-Type": "application/json"}
                connection.request("POST", path, json.dumps(body), headers)
                answer = connection.getresponse()
                if answer.status == 204:
                    return None
                if answer.status in _REFUSALS:
                    raise Refused(f"The service answers {answer.status} to {path}.")
                if answer.status != 200:
                    raise NoAnswer(f"The service answers {answer.status} to {path}.")
                return json.loads(answer.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise NoAnswer(f"The service doesn't answer: {error}.") from error

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        host, _, port = self._settings.upstream.rpartition(":")
        authority = self._settings.upstream_ca_file
        if authority is None:
            return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=seconds)
        context = ssl.create_default_context(cafile=str(authority))
        name = self._settings.upstream_name or host.strip("[]")
        return _Verified(host.strip("[]"), int(port), seconds, context, name)


class _Verified(http.client.HTTPConnection):
    """A connection over TLS to a host whose certificate must be for another name."""

    def __init__(self, host: str, port: int, seconds: float, context: ssl.SSLContext, name: str) -> None:
        super().__init__(host, port, timeout=seconds)
        self._context = context
        self._name = name

    def connect(self) -> None:
        """Connects, and verifies the certificate."""
        super().connect()
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self._name)


def make_key() -> tuple[str, str]:
    """A new key on the curve P-256, and a certificate request for it, both PEM. Raises `NoAnswer`.

    Both pass through pipes: no file holds the key.
    """
    key = _openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "")
    return key, _openssl(["req", "-new", "-key", "/dev/stdin", "-subj", "/CN=edge"], key)


def _openssl(arguments: list[str], text: str) -> str:
    try:
        done = subprocess.run(
            ["openssl", *arguments], input=text, capture_output=True, text=True, timeout=KEY_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoAnswer(f"No key can be made: openssl {arguments[0]} failed ({type(error).__name__}).") from None
    return done.stdout
