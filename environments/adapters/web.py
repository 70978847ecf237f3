"""Asking services over HTTP, with a CA of our own."""

import ssl
import threading

import httpx2

from environments.executors.check_http import Answer, NoAnswer

_LARGEST = 1024 * 1024
"""Bytes of an answer that are looked at."""


class WebClient:
    """Implements `Web`. Keeps no connections: every look is a new one, as a user's first would be."""

    def __init__(self) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def get(self, url: str, *, ca: str | None, limit: float) -> Answer:
        """The answer to a GET, redirects not followed."""
        verify: ssl.SSLContext | bool = True if ca is None else self._context(ca)
        try:
            with (
                httpx2.Client(verify=verify, timeout=limit, trust_env=False) as client,
                client.stream("GET", url) as response,
            ):
                content = b""
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) >= _LARGEST:
                        break
                return Answer(response.status_code, content[:_LARGEST].decode(errors="replace"))
        except httpx2.TimeoutException as error:
            raise NoAnswer(f"nothing came within {limit:g} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise NoAnswer(str(error) or type(error).__name__) from error

    def _context(self, ca: str) -> ssl.SSLContext:
        with self._lock:
            if ca not in self._contexts:
                try:
                    self._contexts = {ca: ssl.create_default_context(cadata=ca)}
                except ssl.SSLError as error:
                    raise NoAnswer("OpenBao gives no usable CA certificate") from error
            return self._contexts[ca]
