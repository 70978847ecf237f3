"""Exchange of a CI system's identity token in the API."""

from typing import Annotated

from pydantic import Field

from environments.wire.fields import NoNul, Request, Word


class CiExchangeRequest(Request):
    """Asks for a token of a service account. `rule`: the name of the entry in the file of identity providers."""

    rule: Word
    identity_token: Annotated[str, Field(min_length=1, max_length=64 * 1024), NoNul]
