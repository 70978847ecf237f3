"""A request for a page of the service."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers

from environments.service.authorization import Principal


@dataclass(frozen=True)
class Visit:
    """One request for a page. `origin` is that of our pages, as the browser sees it, without a slash at the end.

    `principal` is who is signed in, by the session whose secret is `secret`; `query` and `form` have each name once.
    """

    method: str
    path: str
    raw_query: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    cookies: Mapping[str, str]
    headers: Headers
    address: str
    origin: str
    principal: Principal | None = None
    secret: str = ""

    @property
    def host(self) -> str:
        """The host and port that the browser asked."""
        return self.headers.get("host", "")
