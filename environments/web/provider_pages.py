"""The built-in provider's own page: user name and password; a new password where the present one was for one time."""

from starlette.responses import Response

from environments.domain.errors import CalvinverseError, InvalidInput, PasswordChangeNeeded, SignInRefused, UnknownRoute
from environments.service.auditing import about_name, answered_with
from environments.service.built_in_provider import AUTHORIZE_PATH, SHORTEST_PASSWORD, Asked, AuthorizationPage
from environments.web.answers import away, page
from environments.web.faults import status_of
from environments.web.forms import Forms
from environments.web.ports import Service
from environments.web.visits import Visit


class ProviderPages:
    """The authorization endpoint of the built-in provider. It keeps no session: it asks each time."""

    def __init__(self, service: Service, forms: Forms) -> None:
        self._service = service
        self._forms = forms

    def show(self, visit: Visit) -> Response:
        """Asks for user name and password."""
        asked = self._backend().check(visit.raw_query)
        return _page(visit, asked)

    def send(self, visit: Visit) -> Response:
        """Signs in, or changes the password first; then sends the browser on with a code."""
        if visit.headers.get("origin") is None and visit.headers.get("sec-fetch-site") is None:
            raise InvalidInput("This form was sent by no browser.")
        self._forms.check_origin(visit)
        backend = self._backend()
        asked = backend.check(visit.raw_query)
        name, password = visit.form.get("user_name", "").strip(), visit.form.get("password", "")
        changing = visit.form.get("step") == "change"
        if self._service.sign_in.is_person(name):  # anything else may be a password, typed into the wrong field
            about_name(name)
        try:
            if changing:
                new = visit.form.get("new_password", "")
                if new != visit.form.get("repeated", ""):
                    fault = InvalidInput("The two new passwords differ.", hint="Type the same one twice.")
                    return _page(visit, asked, name, fault, changing=True, wrong="repeated")
                try:
                    backend.change_password(name, password, new, address=visit.address)
                except InvalidInput as error:
                    return _page(visit, asked, name, error, changing=True, wrong="new_password")
                password = new
            return away(backend.authorize(name, password, visit.raw_query, address=visit.address))
        except PasswordChangeNeeded:
            return _page(visit, asked, name, changing=True)
        except SignInRefused as error:
            return _page(visit, asked, name, error, changing=changing, wrong="password")

    def _backend(self) -> AuthorizationPage:
        backend = self._service.authorization_page
        if backend is None:
            raise UnknownRoute("There is no built-in provider here.", hint="Sign in with another one.")
        return backend


def _page(
    visit: Visit,
    asked: Asked,
    user_name: str = "",
    error: CalvinverseError | None = None,
    *,
    changing: bool = False,
    wrong: str = "",
) -> Response:
    if error is not None:
        answered_with(error)
    return page(
        "provider.html",
        200 if error is None else status_of(error),
        leads_to="" if asked.origin == visit.origin else asked.origin,
        title=asked.title,
        action=f"{AUTHORIZE_PATH}?{visit.raw_query}",
        user_name=user_name,
        changing=changing,
        shortest=SHORTEST_PASSWORD,
        fault="" if error is None else error.message,
        hint="" if error is None else error.hint,
        wrong=wrong,
    )
