"""Calls of a forge's API (JSON over HTTP): limits, errors, pages, conditional requests and rate limits.

GitHub: docs.github.com/rest/using-the-rest-api (rate limits, pagination, best practices). GitLab:
docs.gitlab.com/api/rest. Gitea and Forgejo: /api/swagger of each server.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import requests

from environments.domain.errors import ForgeRefused, ForgeUnavailable
from environments.providers.backend.bounded import AddressRefused, AnswerTooLarge
from environments.providers.forges.reading import moment_of

PAGE = 50
"""Items that a page has at most; all forges give as many."""

_MOST_PAGES = 100
_REMEMBERED = 200
"""Answers that are kept for conditional requests."""

_LONGEST_WAIT = timedelta(hours=1)
_LEAST_LEFT = 1
"""Calls that the rate limit must leave; below that nothing is called until it is renewed."""

_REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_.][\w.-]*){1,20}|[0-9]{1,12}")
_LONGEST_QUOTE = 200


class Answer(NamedTuple):
    """What a forge answered: the JSON of the body (None for 404), and whether more pages follow."""

    body: Any
    more: bool = False


class ForgeCalls:
    """Calls one forge. Threads may share it."""

    def __init__(
        self,
        title: str,
        base: str,
        session: requests.Session,
        headers: Callable[[], Mapping[str, str]],
        clock: Callable[[], datetime],
    ) -> None:
        """`base`: the address of the API. `headers` gives those with the token, for each call anew."""
        self._title = title
        self._base = base.rstrip("/")
        self._session = session
        self._headers = headers
        self._clock = clock
        self._lock = threading.Lock()
        self._not_before: datetime | None = None
        self._known: OrderedDict[str, tuple[str, Answer]] = OrderedDict()

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Answer:
        """The answer to a GET; its body is None for 404. Raises `ForgeUnavailable`, `ForgeRefused`."""
        return self._call("GET", path, query=query)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Writes something. Raises `ForgeUnavailable`, `ForgeRefused`."""
        return self._call(method, path, body=body)

    def pages(self, path: str, query: Mapping[str, Any], size: str) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page; `size` is the parameter for the size of a page.

        Raises `ForgeUnavailable`, `ForgeRefused`, also when the list isn't there.
        """
        for page in range(1, _MOST_PAGES + 1):
            answer = self.get(path, {**query, size: PAGE, "page": page})
            if not isinstance(answer.body, list):
                raise ForgeRefused(f"{self._title} has no list at {path}.")
            yield from (item for item in answer.body if isinstance(item, dict))
            if not answer.more and len(answer.body) < PAGE:
                return

    def _call(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Answer:
        self._wait_for_limit()
        key = f"{path}?{sorted((query or {}).items())}"
        known = self._known.get(key) if method == "GET" else None
        headers = {"Accept": "application/json", **self._headers()}
        if known is not None:
            headers["If-None-Match"] = known[0]
        try:
            response = self._session.request(
                method, f"{self._base}{path}", params=query, json=body, headers=headers, allow_redirects=False
            )
        except AddressRefused as error:
            raise ForgeRefused(f"{self._title} isn't called: {error}.") from None
        except AnswerTooLarge:
            raise ForgeRefused(f"{self._title} answers too much at {path}.") from None
        except requests.Timeout:
            raise ForgeUnavailable(f"{self._title} didn't answer in time.") from None
        except (requests.RequestException, ValueError):
            raise ForgeUnavailable(f"There is no connection to {self._title}.") from None
        self._heed(response)
        if response.status_code == 304 and known is not None:
            return known[1]
        answer = self._read(response, path)
        etag = response.headers.get("ETag")
        if method == "GET" and etag and response.status_code == 200:
            with self._lock:
                self._known[key] = (etag, answer)
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return answer

    def _read(self, response: requests.Response, path: str) -> Answer:
        status = response.status_code
        if status == 404 or status == 410:
            return Answer(None)
        if 300 <= status < 400:
            raise ForgeRefused(
                f"{self._title} says that {path} is elsewhere; redirects aren't followed.",
                hint="Give the repository and the address of the webhook as they are now.",
            )
        if status >= 500 or status in (408, 425):
            raise ForgeUnavailable(f"{self._title} failed with status {status}.", details=self._after(response))
        if status >= 400:
            raise ForgeRefused(f"{self._title} refuses {path} with status {status}{self._said(response)}.")
        if not response.content:
            return Answer({})
        try:
            found = response.json()
        except (ValueError, RecursionError):
            raise ForgeRefused(f"The answer of {self._title} isn't JSON.") from None
        return Answer(found, 'rel="next"' in response.headers.get("Link", ""))

    def _heed(self, response: requests.Response) -> None:
        """Notes when the next call may be made. Raises `ForgeUnavailable` if this one came too early."""
        limited = response.status_code == 429
        remaining = response.headers.get("X-RateLimit-Remaining", response.headers.get("RateLimit-Remaining", ""))
        spent = remaining.isdigit() and int(remaining) < _LEAST_LEFT
        if response.status_code == 403 and (spent or "Retry-After" in response.headers):
            limited = True
        if not limited and not spent:
            return
        now = self._clock()
        until = self._renewed(response, now)
        with self._lock:
            self._not_before = until
        if limited:
            raise self._too_early(until, now)

    def _renewed(self, response: requests.Response, now: datetime) -> datetime:
        after = self._after(response).get("retry_after")
        if after is not None:
            return now + timedelta(seconds=after)
        reset = response.headers.get("X-RateLimit-Reset", response.headers.get("RateLimit-Reset", ""))
        if reset.isdigit() and len(reset) < 12:
            return min(max(datetime.fromtimestamp(int(reset), UTC), now), now + _LONGEST_WAIT)
        return now + timedelta(minutes=1)

    def _after(self, response: requests.Response) -> dict[str, float]:
        """Seconds that `Retry-After` says (RFC 9110, 10.2.3)."""
        text = response.headers.get("Retry-After", "").strip()
        if text.isdigit() and len(text) < 12:
            return {"retry_after": min(float(text), _LONGEST_WAIT.total_seconds())}
        try:
            left = (parsedate_to_datetime(text) - self._clock()).total_seconds()
        except (ValueError, TypeError):
            return {}
        return {"retry_after": min(max(left, 0.0), _LONGEST_WAIT.total_seconds())}

    def _wait_for_limit(self) -> None:
        with self._lock:
            until, now = self._not_before, self._clock()
            if until is not None and now >= until:
                self._not_before = until = None
        if until is not None:
            raise self._too_early(until, now)

    def _too_early(self, until: datetime, now: datetime) -> ForgeUnavailable:
        return ForgeUnavailable(
            f"{self._title} takes no more calls until {until:%H:%M:%S} UTC.",
            details={"retry_after": max((until - now).total_seconds(), 1.0)},
        )

    def _said(self, response: requests.Response) -> str:
        try:
            said = response.json()
            text = said.get("message") or said.get("error") or ""
        except (ValueError, RecursionError, AttributeError):
            return ""
        shown = "".join(part if part.isprintable() else " " for part in str(text)[:_LONGEST_QUOTE]).strip().rstrip(".")
        return f": {shown}" if shown else ""


def checked_repository(repository: str) -> str:
    """A repository's full name, if it can stand in a path. Raises `ForgeRefused`."""
    parts = repository.split("/")
    if not _REPOSITORY.fullmatch(repository) or not repository.isascii() or {".", ".."} & set(parts):
        raise ForgeRefused(f"{repository[:100]!r} can't be the name of a repository.")
    return repository


def quoted(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="", errors="replace")


def moment(value: Any) -> datetime | None:
    """A moment as forges write it; None for anything else."""
    return moment_of(value) if isinstance(value, str) else None


def text(value: Any, longest: int = 1000) -> str:
    """A text that is no longer than a field may be, without halves of characters; empty for anything else."""
    return value[:longest].encode(errors="replace").decode() if isinstance(value, str) else ""


def part(value: Any, *names: str) -> Any:
    """What stands there in JSON, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
