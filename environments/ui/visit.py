"""A request for a page: what was sent, and a client that asks the service as whoever sent it."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.datastructures import Headers

from environments.client import Client
from environments.domain.errors import Forbidden, InvalidInput
from environments.pages.requests import SESSION_COOKIE
from environments.ui.open_streams import Streams
from environments.wire.sign_in import WhoView

ZONE_COOKIE = "__Host-calvinverse-zone"
THEME_COOKIE = "__Host-calvinverse-theme"
THEMES = ("light", "dark")

FORM_TOKEN = "form_token"
"""The field that holds the token of a form."""

SECRET = "secret."
"""How fields begin whose values no page repeats."""

BEFORE = "before."
"""How the mark of a secret begins that was typed before, and isn't on the page any more."""

E = TypeVar("E", bound=StrEnum)

_FORM_LABEL = b"calvinverse: forms of the web page"


@dataclass
class Visit:
    """One request for a page. `origin` is that of our pages, as the browser sees it, without a slash at the end.

    `params` are the parts of the path that vary; `query` and `form` have all values of each name. `htmx`: a script of
    ours asks for a part of a page. `assets`: name of a file → its address.
    """

    method: str
    path: str
    sent_path: str
    """The path of the address as it is encoded; a name in it may hold an encoded slash."""
    params: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    form: Mapping[str, Sequence[str]]
    cookies: Mapping[str, str]
    headers: Headers
    origin: str
    client: Client
    assets: Mapping[str, str]
    now: datetime
    streams: Streams
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    """What the time is, for answers that go on."""
    bearer: str = ""
    """A token from the header `Authorization`, for the few pages that machines read; it goes before the session's."""
    whose: str = ""
    """The user name of who asks, for limits."""

    @property
    def htmx(self) -> bool:
        """Whether only a part of the page is wanted."""
        return self.headers.get("hx-request") == "true"

    @property
    def session(self) -> str:
        """The session's token; empty for somebody who isn't signed in."""
        return self.cookies.get(SESSION_COOKIE, "")

    @cached_property
    def me(self) -> WhoView:
        """Who asks. Raises `Unauthenticated`."""
        return self.client.who_am_i()

    def asked(self, name: str, default: str = "") -> str:
        """A value of the query, the last one of that name."""
        return next(reversed(self.query.get(name, ())), default)

    def typed(self, name: str, default: str = "") -> str:
        """A value of the form, the last one of that name."""
        return next(reversed(self.form.get(name, ())), default)

    def listed(self, name: str) -> list[str]:
        """The parts of a value of the form that has commas between them."""
        return [part.strip() for part in self.typed(name).split(",") if part.strip()]

    def chosen(self, name: str, kind: type[E]) -> E:
        """A value of the form that is one of a few. Raises `InvalidInput`."""
        try:
            return kind(self.typed(name))
        except ValueError:
            raise InvalidInput("That can't be chosen, and nothing was done.", hint="Choose one of the list.") from None

    def kept(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Names and values of the form that a page may repeat, and the names of secrets that were typed."""
        sent = [(name, value) for name, values in self.form.items() if name != FORM_TOKEN for value in values]
        kept = [(name, value) for name, value in sent if not name.startswith(SECRET)]
        return kept, [name.removeprefix(SECRET) for name, value in sent if name.startswith(SECRET) and value]

    def link(self, path: str = "", **changed: str | int | None) -> str:
        """The address of this page (or `path`, in which names are encoded) with its query.

        Some of its values are other ones; None: left out.
        """
        query = {name: list(values) for name, values in self.query.items()} if not path else {}
        for name, value in changed.items():
            query[name] = [] if value in (None, "") else [str(value)]
        text = urlencode([(name, value) for name, values in query.items() for value in values])
        return (path or self.sent_path) + (f"?{text}" if text else "")

    # --- what the person has chosen for this browser -----------------------------------------------------------------

    @cached_property
    def zone(self) -> tzinfo:
        """The zone in which moments are shown."""
        name = self.cookies.get(ZONE_COOKIE, "").replace("%2F", "/")
        try:
            return ZoneInfo(name) if name and len(name) < 64 else UTC
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC

    @property
    def theme(self) -> str:
        """`light`, `dark`, or empty: as the browser says."""
        wanted = self.cookies.get(THEME_COOKIE, "")
        return wanted if wanted in THEMES else ""

    # --- forms -------------------------------------------------------------------------------------------------------

    @cached_property
    def form_token(self) -> str:
        """The token for forms of this session: nobody who doesn't know the session's own can make it."""
        return token_of(self.session)

    def check_form(self) -> None:
        """Raises `Forbidden` for a form of another session's page. (That ours sent it was looked at before.)"""
        if not hmac.compare_digest(self.typed(FORM_TOKEN).encode(), self.form_token.encode()):
            raise Forbidden(
                "This form was made before you signed in as you are now, and nothing was done.",
                hint="Look at it again, and send it once more.",
            )


def token_of(session: str) -> str:
    """The token of forms of a session."""
    return hmac.new(session.encode(), _FORM_LABEL, sha256).hexdigest()
