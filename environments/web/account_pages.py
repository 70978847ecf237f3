"""Who one is, and one's sessions."""

from starlette.responses import Response

from environments.pages.requests import SESSION_COOKIE, set_cookie
from environments.web.answers import go, page
from environments.web.forms import Forms
from environments.web.ports import Service
from environments.web.visits import Visit

HOME_PATH = "/account"


class AccountPages:
    """`/account` and `/sessions`, for somebody who is signed in."""

    def __init__(self, service: Service, forms: Forms) -> None:
        self._service = service
        self._forms = forms

    def home(self, visit: Visit) -> Response:
        """Who is signed in."""
        assert visit.principal is not None
        profile = self._service.sign_in.profile(visit.principal)
        return page("home.html", profile=profile, form_token=self._forms.token(visit), signed_in=True, here=HOME_PATH)

    def sessions(self, visit: Visit) -> Response:
        """All sessions that haven't ended."""
        assert visit.principal is not None
        return page(
            "sessions.html",
            sessions=self._service.sessions.all(visit.principal),
            current=visit.principal.token_id,
            told="The session has ended." if visit.query.get("done") else "",
            form_token=self._forms.token(visit),
            signed_in=True,
            here="/sessions",
        )

    def revoke(self, visit: Visit) -> Response:
        """Ends a session, or all."""
        assert visit.principal is not None
        self._forms.check(visit)
        which = visit.form.get("session", "")
        if which == "all":
            self._service.sessions.end_all(visit.principal)
        else:
            self._service.sessions.end(visit.principal, which)
        if which not in ("all", visit.principal.token_id):
            return go("/sessions?done=1")
        answer = go("/sign-in?ended=1")
        answer.headers.append("Set-Cookie", set_cookie(SESSION_COOKIE, "", 0))
        return answer
