"""What a request for a page passes on to the service."""

from collections.abc import Mapping

PASSED_ON = ("calvinverse-client", "calvinverse-edge")
"""Headers by which the edge tells the service who asks: passed on as they came, and of no use to anything here."""


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """Those headers of a request."""
    return {name: headers[name] for name in PASSED_ON if name in headers}
