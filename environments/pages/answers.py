"""Headers of pages, and files that browsers keep."""

from starlette.responses import Response

KEPT_SECONDS = 31536000
"""A year, the longest that is of use (RFC 9111)."""


def page_headers(policy: str) -> dict[str, str]:
    """The headers of a page. `policy` (CSP) says what it may load and where its forms lead; nothing may frame it."""
    return {
        "Content-Security-Policy": f"{policy}; base-uri 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # Not `no-referrer`: browsers would then send forms with the origin `null`.
        "Referrer-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
        "Cache-Control": "no-store",
    }


def kept(content: bytes, kind: str) -> Response:
    """A file whose address changes with its content, so browsers keep it."""
    headers = {
        "Cache-Control": f"public, max-age={KEPT_SECONDS}, immutable",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(content, headers=headers, media_type=kind)


def stream_headers() -> dict[str, str]:
    """The headers of a stream of server-sent events; proxies pass it on as it comes."""
    return {
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
