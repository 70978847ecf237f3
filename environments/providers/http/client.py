"""Requests to services over HTTP, with a private CA."""

import ssl
import threading

import requests

from environments.providers.backend.bounded import bounded_session, trusting
from environments.providers.http.check import Answer, NoAnswer

_LARGEST = 1024 * 1024
"""Bytes of an answer that are read."""


class WebClient:
    """Implements `Web`. Keeps no connections: each request opens a new one, as a user's first request does."""

    def __init__(self) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def get(self, url: str, *, ca: str | None, limit: float) -> Answer:
        """The answer to a GET after at most `limit` seconds, redirects not followed; a long text is cut."""
        context = None
        if url.startswith("https:"):
            context = trusting() if ca is None else self._context(ca)
        try:
            with bounded_session(context=context, seconds=limit, largest=_LARGEST, cut=True, keep=1) as session:
                answer = session.get(url)
                return Answer(answer.status_code, answer.content.decode(errors="replace"))
        except requests.Timeout as error:
            raise NoAnswer(f"no whole answer came within {limit:g} s") from error
        except (requests.RequestException, ValueError) as error:
            raise NoAnswer(str(error) or type(error).__name__) from error

    def _context(self, ca: str) -> ssl.SSLContext:
        with self._lock:
            if ca not in self._contexts:
                try:
                    self._contexts = {ca: ssl.create_default_context(cadata=ca)}
                except ssl.SSLError as error:
                    raise NoAnswer("OpenBao gives no usable CA certificate") from error
            return self._contexts[ca]
