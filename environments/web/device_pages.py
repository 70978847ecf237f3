"""Approving a machine without a browser: enter its code, see what asks, approve or deny it."""

from starlette.responses import Response

from environments.domain.errors import CalvinverseError, NotFound, TooManyRequests
from environments.service.auditing import answered_with
from environments.service.device_grant import plain, shown
from environments.web.answers import page
from environments.web.faults import status_of
from environments.web.forms import Forms
from environments.web.ports import Service
from environments.web.visits import Visit


class DevicePages:
    """`/device`, for somebody who is signed in."""

    def __init__(self, service: Service, forms: Forms) -> None:
        self._service = service
        self._forms = forms

    def show(self, visit: Visit) -> Response:
        """Asks for the code. One in the address is only filled in: a link that somebody sent approves nothing."""
        return self._ask(visit, visit.query.get("code", ""))

    def look(self, visit: Visit) -> Response:
        """Shows what asks."""
        assert visit.principal is not None
        self._forms.check(visit)
        code = visit.form.get("code", "")
        try:
            grant = self._service.device_grants.look(visit.principal, code)
        except (NotFound, TooManyRequests) as error:
            return self._ask(visit, code, error)
        profile = self._service.sign_in.profile(visit.principal)
        return page(
            "device_decide.html",
            grant=grant,
            code=shown(plain(code)),
            person=profile.owner,
            role=profile.role,
            until=profile.ends_at,
            form_token=self._forms.token(visit),
            signed_in=True,
            here="/device",
        )

    def approve(self, visit: Visit) -> Response:
        """Lets the machine in."""
        return self._decide(visit, approve=True)

    def deny(self, visit: Visit) -> Response:
        """Keeps it out."""
        return self._decide(visit, approve=False)

    def _decide(self, visit: Visit, *, approve: bool) -> Response:
        assert visit.principal is not None
        self._forms.check(visit)
        code = visit.form.get("code", "")
        try:
            grant = self._service.device_grants.decide(visit.principal, code, approve=approve)
        except (NotFound, TooManyRequests) as error:
            return self._ask(visit, code, error)
        return page("device_done.html", approved=approve, machine=grant.machine, signed_in=True, here="/device")

    def _ask(self, visit: Visit, code: str, error: CalvinverseError | None = None) -> Response:
        if error is not None:
            answered_with(error)
        return page(
            "device.html",
            200 if error is None else status_of(error),
            code=code[:20],
            fault="" if error is None else error.message,
            hint="" if error is None else error.hint,
            form_token=self._forms.token(visit),
            signed_in=True,
            here="/device",
        )
