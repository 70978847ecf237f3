"""Forms: that they come from pages of ours, and that the signed-in person's own page has made them."""

import hmac
from collections.abc import Callable
from hashlib import sha256

from environments.domain.errors import Forbidden
from environments.pages.origins import from_here
from environments.web.visits import Visit

KEY_LABEL = "calvinverse: forms of pages"
"""The label with which the key is derived from the service's own."""

FIELD = "form_token"
"""The field that holds the token of a form."""

_HINT = "Open the page again and repeat it there."


class Forms:
    """Makes and checks the tokens of forms."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key

    def token(self, visit: Visit) -> str:
        """The token for forms of this session; empty for somebody who isn't signed in."""
        if visit.principal is None:
            return ""
        return hmac.new(self._key(), visit.principal.token_id.encode(), sha256).hexdigest()

    def check_origin(self, visit: Visit) -> None:
        """Raises `Forbidden` for a form that another site has sent."""
        if not from_here(visit.headers, visit.origin):
            raise Forbidden("This form was sent by another site, and nothing was done.", hint=_HINT)

    def check(self, visit: Visit) -> None:
        """Raises `Forbidden` for a form that another site has sent, or another session's page."""
        self.check_origin(visit)
        wanted = self.token(visit)
        if wanted and not hmac.compare_digest(visit.form.get(FIELD, "").encode(), wanted.encode()):
            raise Forbidden("This form belongs to another session, and nothing was done.", hint=_HINT)
