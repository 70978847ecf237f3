"""What a provider said of somebody, which rules matched, and which role came of it."""

from starlette.responses import Response

from environments.domain.errors import CalvinverseError
from environments.service.sign_in import ClaimReport
from environments.web.answers import page
from environments.web.faults import status_of
from environments.web.forms import Forms
from environments.web.ports import Service
from environments.web.visits import Visit


def report_page(
    service: Service, visit: Visit, forms: Forms, report: ClaimReport | None, *, tried: bool = False, person: str = ""
) -> Response:
    """The page of a report; `tried`: of a trial, not of the last sign-in."""
    return _page(service, visit, forms, report=report, tried=tried, person=person)


class ClaimsPage:
    """`/claims`: one's own; for admins also those of others."""

    def __init__(self, service: Service, forms: Forms) -> None:
        self._service = service
        self._forms = forms

    def show(self, visit: Visit) -> Response:
        """The claims of the last sign-in."""
        assert visit.principal is not None
        person = visit.query.get("person", "").strip()
        try:
            report = self._service.sign_in.last_report(visit.principal, person)
        except CalvinverseError as error:
            return _page(self._service, visit, self._forms, person=person, error=error)
        return report_page(self._service, visit, self._forms, report, person=person)


def _page(
    service: Service,
    visit: Visit,
    forms: Forms,
    *,
    report: ClaimReport | None = None,
    tried: bool = False,
    person: str = "",
    error: CalvinverseError | None = None,
) -> Response:
    assert visit.principal is not None
    return page(
        "claims.html",
        200 if error is None else status_of(error),
        report=report,
        tried=tried,
        person=person,
        fault="" if error is None else error.message,
        hint="" if error is None else error.hint,
        providers=service.sign_in.providers.all(),
        admin=visit.principal.role == "admin",
        form_token=forms.token(visit),
        signed_in=True,
        here="/claims",
    )
