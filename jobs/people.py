"""What deploy says about people: how to let somebody in, and when the issuer of the built-in provider has changed."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from environments.wire.people_local import IssuerView


def told_of_people(issuers: Sequence[IssuerView], command: str) -> Iterator[str]:
    """The lines for a deployed service that has these issuers; `command` is how a person calls `calvinverse`."""
    own = next((issuer for issuer in issuers if issuer.built_in), None)
    if own is None:
        return
    parts = urlsplit(own.issuer)
    for other in issuers:
        if other.built_in or not other.people or urlsplit(other.issuer).path != parts.path:
            continue
        who = "1 person signs in" if other.people == 1 else f"{other.people} people sign in"
        yield f"Warning: {who} with an earlier address of the built-in provider, and would be taken for new people now."
        yield f"Move them before anybody signs in: `{command} user move-issuer {other.issuer} {own.issuer}`."
    yield f"People sign in at {parts.scheme}://{parts.netloc}. Let somebody in with `{command} user create NAME`."
