"""Answers compressed, where that can't tell anybody anything."""

import gzip
from collections.abc import Mapping

from starlette.responses import Response

_LEAST = 1_000
"""Bytes below which it isn't worth it."""

_LEVEL = 5
_OWN = ("same-origin", "none")
_KINDS = ("text/html", "application/json", "image/svg+xml")


def packed(headers: Mapping[str, str], answer: Response) -> Response:
    """The answer, compressed if the browser takes that and the request doesn't come from another site's page.

    A page holds the token of its forms, and repeats what was asked. Somebody who has a person's browser ask for pages
    and sees how large the answers are could guess the token if they were compressed (BREACH).
    """
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind not in _KINDS or len(answer.body) < _LEAST or headers.get("sec-fetch-site", "") not in _OWN:
        return answer
    if not takes_gzip(headers):
        return answer
    answer.body = gzip.compress(bytes(answer.body), _LEVEL, mtime=0)
    answer.headers["Content-Encoding"] = "gzip"
    answer.headers["Content-Length"] = str(len(answer.body))
    answer.headers.add_vary_header("Accept-Encoding")
    return answer


def packed_file(content: bytes) -> bytes:
    """A file, compressed once for all."""
    return gzip.compress(content, 9, mtime=0)


def takes_gzip(headers: Mapping[str, str]) -> bool:
    """Whether the browser takes compressed answers."""
    offers = (offer.partition(";") for offer in headers.get("accept-encoding", "").split(","))
    return any(name.strip().lower() == "gzip" and "q=0" not in rest.replace(" ", "") for name, _, rest in offers)
