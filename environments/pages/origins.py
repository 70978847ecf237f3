"""Whether a form was sent by a page of ours."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers


def from_here(headers: Headers, origin: str) -> bool:
    """By `Sec-Fetch-Site` and `Origin`, one of which every browser sends with a form. `origin` is that of our pages."""
    site, sender = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if sender is None:
        return site is not None
    return sender == origin or _authority(sender) == headers.get("host", "").lower()


def _authority(origin: str) -> str:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""
