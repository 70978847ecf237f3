"""The service's answers, without HTTP: the page, the state as JSON, the proof, the health."""

import hashlib
import hmac
import html
import json
from dataclasses import dataclass
from pathlib import Path

from .settings import Settings

LONGEST_MESSAGE = 64 * 1024
LONGEST_NONCE = 256

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{environment}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; margin: 4rem auto; max-width: 40rem; padding: 0 1rem }}
h1 {{ font-size: 2rem }}
dt {{ color: #555 }}
</style>
<h1>{message}</h1>
<dl>
<dt>environment<dd>{environment}
<dt>branch<dd>{branch}
<dt>instance<dd>{instance}
</dl>
</html>
"""


@dataclass(frozen=True)
class Answer:
    """Status, media type and body of a response."""

    status: int
    media_type: str
    body: bytes


def text(status: int, sentence: str) -> Answer:
    """A plain text answer of one line."""
    return Answer(status, "text/plain; charset=utf-8", f"{sentence}\n".encode())


class Content:
    """Makes answers from the settings and from the files that they name, which are read each time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def page(self) -> Answer:
        """The page that a person sees. Everything in it is escaped."""
        message = self._message()
        body = PAGE.format(
            message=html.escape("(no message yet)" if message is None else message),
            environment=html.escape(self._settings.environment),
            branch=html.escape(self._settings.branch),
            instance=html.escape(self._settings.instance),
        )
        return Answer(200, "text/html; charset=utf-8", body.encode())

    def state(self) -> Answer:
        """The same as JSON: message (null while there is none), environment, branch, instance."""
        document = {
            "message": self._message(),
            "environment": self._settings.environment,
            "branch": self._settings.branch,
            "instance": self._settings.instance,
        }
        return Answer(200, "application/json", json.dumps(document).encode() + b"\n")

    def health(self) -> Answer:
        """200 once the message and the secret are there; 503 with what is missing before that.

        The certificate isn't checked: without one, this request could not have arrived.
        """
        if self._message() is None:
            return text(503, "the message is missing")
        if not self._secret():
            return text(503, "the secret is missing")
        return text(200, "ok")

    def proof(self, nonce: str) -> Answer:
        """Hex HMAC-SHA256 of `nonce` (1 to 256 characters) with the secret: proves that the service has the secret."""
        if not 0 < len(nonce) <= LONGEST_NONCE:
            return text(400, f"nonce must have 1 to {LONGEST_NONCE} characters")
        secret = self._secret()
        if not secret:
            return text(503, "the secret is missing")
        return text(200, hmac.new(secret, nonce.encode(), hashlib.sha256).hexdigest())

    def _message(self) -> str | None:
        found = _read(self._settings.message_file, LONGEST_MESSAGE)
        return None if found is None else found.decode(errors="replace").strip()

    def _secret(self) -> bytes:
        """The secret without the line end that a template may add."""
        return (_read(self._settings.secret_file, LONGEST_MESSAGE) or b"").rstrip(b"\r\n")


def _read(path: Path, limit: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except FileNotFoundError:
        return None
