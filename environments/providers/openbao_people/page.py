"""What the page for signing in does: OpenBao's login of people, and a code of its provider for the client."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from environments.domain.errors import BackendError, InvalidInput, PasswordChangeNeeded, SignInRefused, TooManyRequests
from environments.providers.openbao_people.attempts import Attempts
from environments.providers.openbao_people.people import UNTIL, OpenBaoLocalPeople, moment
from environments.providers.openbao_people.ports import Entity, Login, OidcClient, PeopleCalls
from environments.service.built_in_provider import LONGEST_PASSWORD, SHORTEST_PASSWORD, Asked
from environments.service.local_people import is_user_name

_PASSED_ON = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
)
"""Parameters of a request for authorization that OpenBao gets, and that there may be one of."""

_LONGEST_QUERY = 8192
_AT_ONCE = 4
"""Passwords that are checked side by side: each takes OpenBao a quarter of a second of a core."""

_PATIENCE = 5.0
_REFUSED = "The user name or the password is wrong, or the person can't sign in."


class OpenBaoAuthorizationPage:
    """Implements `AuthorizationPage`."""

    def __init__(
        self,
        calls: PeopleCalls,
        people: OpenBaoLocalPeople,
        clock: Callable[[], datetime],
        attempts: Attempts | None = None,
    ) -> None:
        self._calls = calls
        self._people = people
        self._clock = clock
        self._attempts = attempts or Attempts()
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def check(self, query: str) -> Asked:
        return self._read(query)[1]

    def authorize(self, user_name: str, password: str, query: str, *, address: str) -> str:
        request, _ = self._read(query)
        login, entity = self._log_in(_user(user_name), password, address)
        try:
            if UNTIL in entity.metadata:
                raise PasswordChangeNeeded("This password is for one time: choose a new one.")
            answer = self._calls.authorize(login.token, request)
        finally:
            self._end(login)
        if not answer.code:
            raise SignInRefused(_REFUSED)
        return f"{request['redirect_uri']}?{urlencode({'code': answer.code, 'state': request['state']})}"

    def change_password(self, user_name: str, password: str, new_password: str, *, address: str) -> None:
        user = _user(user_name)
        _check_new(user, password, new_password)
        login, entity = self._log_in(user, password, address)
        try:
            self._people.chosen(user, entity, new_password)
        finally:
            self._end(login)

    def _log_in(self, user: str, password: str, address: str) -> tuple[Login, Entity]:
        """A login that `_end` must end, and the person. Raises `SignInRefused`, `TooManyRequests`, `BackendError`."""
        self._attempts.check(user, address)
        if not self._places.acquire(timeout=_PATIENCE):
            raise TooManyRequests("Too many people sign in at once.", details={"retry_after": 5})
        try:
            login = self._calls.log_in(user, password) if is_user_name(user) and password else None
        finally:
            self._places.release()
        if login is None:
            self._attempts.failed(user, address)
            raise SignInRefused(_REFUSED)
        try:
            entity = self._calls.entity(login.entity)
            if entity is None or self._is_over(entity):
                self._attempts.failed(user, address)
                raise SignInRefused(_REFUSED)
        except BaseException:
            self._end(login)
            raise
        self._attempts.succeeded(user, address)
        return login, entity

    def _is_over(self, entity: Entity) -> bool:
        """Whether the password was for one time, and for a time that is over."""
        if UNTIL not in entity.metadata:
            return False
        until = moment(entity.metadata[UNTIL])
        return until is None or until <= self._clock()

    def _end(self, login: Login) -> None:
        with suppress(BackendError):  # it ends by itself within two minutes
            self._calls.revoke(login.token)

    def _read(self, query: str) -> tuple[dict[str, str], Asked]:
        """The parameters that are passed on, checked. Raises `InvalidInput`, `BackendError`."""
        request = _parameters(query)
        redirect = request["redirect_uri"]
        web = self._calls.web_client()
        if request["client_id"] == web.id:
            good, title = redirect in web.redirects, "Calvinverse"
        elif request["client_id"] == (cli := self._calls.cli_client()).id:
            good, title = _is_on_loopback(redirect, cli), "the Calvinverse command line"
        else:
            raise InvalidInput("This service knows no such client.", hint=_START_AGAIN)
        if not good:
            raise InvalidInput("The client may not be sent to this redirect address.", hint=_START_AGAIN)
        parts = urlsplit(redirect)
        return request, Asked(title, f"{parts.scheme}://{parts.netloc}")


_START_AGAIN = "Start again with `calvinverse login`, or at the address of the service."


def _parameters(query: str) -> dict[str, str]:
    if len(query) > _LONGEST_QUERY:
        raise InvalidInput("The request for authorization is too long.", hint=_START_AGAIN)
    try:
        found = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=50)
    except ValueError as error:
        raise InvalidInput("The request for authorization can't be read.", hint=_START_AGAIN) from error
    request = {name: value for name, value in found if name in _PASSED_ON}
    names = [name for name, _ in found]
    for name in _PASSED_ON:
        if names.count(name) != 1 or not request[name]:
            raise InvalidInput(f"The request for authorization needs one {name}.", hint=_START_AGAIN)
    _require(request, "response_type", "code")
    _require(request, "code_challenge_method", "S256")
    if "openid" not in request["scope"].split():
        raise InvalidInput("The request for authorization lacks the scope openid.", hint=_START_AGAIN)
    return request


def _require(request: Mapping[str, str], name: str, value: str) -> None:
    if request[name] != value:
        raise InvalidInput(f"The request for authorization needs the {name} {value}.", hint=_START_AGAIN)


def _is_on_loopback(redirect: str, client: OidcClient) -> bool:
    """Whether it is an address of the client but for the port (RFC 8252, 7.3)."""
    try:
        parts = urlsplit(redirect)
        port = parts.port
    except ValueError:
        return False
    plain = f"{parts.scheme}://{parts.hostname}{parts.path}"
    exact = redirect == (plain if port is None else f"{parts.scheme}://{parts.hostname}:{port}{parts.path}")
    return exact and plain in client.redirects


def _user(typed: str) -> str:
    """The user name that somebody means; OpenBao takes capitals for small letters too."""
    return typed.strip().lower()


def _check_new(user: str, password: str, new_password: str) -> None:
    """Raises `InvalidInput`."""
    if len(new_password) < SHORTEST_PASSWORD:
        raise InvalidInput(f"The new password is shorter than {SHORTEST_PASSWORD} characters.")
    if len(new_password.encode(errors="surrogatepass")) > LONGEST_PASSWORD:
        raise InvalidInput(f"The new password is longer than {LONGEST_PASSWORD} bytes.")
    if new_password == password:
        raise InvalidInput("The new password is the old one.")
    if user and user in new_password.lower():
        raise InvalidInput("The new password contains the user name.")
