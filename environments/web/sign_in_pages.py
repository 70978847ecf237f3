"""Signing in at a provider (OpenID Connect, authorization code with PKCE), and signing out."""

from starlette.responses import Response

from environments.domain.errors import BackendUnavailable, CalvinverseError, SignInRefused, UnsafeAddress
from environments.pages.requests import SESSION_COOKIE, is_secure, own_path, set_cookie
from environments.service.built_in_provider import CALLBACK_PATH
from environments.service.built_in_provider import NAME as BUILT_IN
from environments.service.sign_in_ports import IdentityProvider
from environments.web.answers import away, go, page
from environments.web.attempts import SECONDS, Attempt, Attempts, name_of, new_attempt
from environments.web.claims_page import report_page
from environments.web.faults import fault_page
from environments.web.forms import Forms
from environments.web.ports import Service
from environments.web.visits import Visit

_SESSION_SECONDS = 24 * 3600
_NO_ATTEMPT = (
    "This sign-in wasn't begun in this browser, was already finished, or took longer than 10 minutes. "
    "Nobody was signed in."
)


class SignInPages:
    """See the module."""

    def __init__(self, service: Service, attempts: Attempts, forms: Forms) -> None:
        self._service = service
        self._attempts = attempts
        self._forms = forms

    def show(self, visit: Visit) -> Response:
        """Lists the providers: one has to be chosen, also a single one, so no loop of redirects can come about."""
        if visit.host.lower() != visit.origin.partition("://")[2].lower():
            # Cookies belong to the host, and the provider sends people back to the external address.
            return away(visit.origin + "/sign-in" + (f"?{visit.raw_query}" if visit.raw_query else ""))
        fault = hint = ""
        if not is_secure(visit.origin):
            fault = "Signing in by a page needs TLS: browsers keep no session for this address."
            hint = "Use the command line with a token, or reach the service by https."
        providers = [] if fault else self._service.sign_in.providers.all()
        told = "Your session has ended. Sign in to go on." if visit.query.get("ended") else ""
        back = own_path(visit.query.get("next", "/"))
        return page("sign_in.html", providers=providers, fault=fault, hint=hint, told=told, back=back)

    def start(self, visit: Visit) -> Response:
        """Begins an attempt, and sends the browser to the provider.

        By a page that goes on by itself: Chromium would judge all redirects after the form by `form-action`, and a
        provider may send people on to sites that nobody here knows.
        """
        if not is_secure(visit.origin):
            raise UnsafeAddress("Signing in by a page needs TLS: browsers keep no session for this address.")
        # Not by the session: a page from before somebody signed in, in another tab, is as good.
        self._forms.check_origin(visit)
        provider = self._service.sign_in.providers.named(visit.form.get("provider", ""))
        dry_run = visit.form.get("dry_run") == "yes"
        attempt = new_attempt(provider.name, own_path(visit.form.get("next", "/")), dry_run=dry_run)
        address = provider.authorization_address(
            redirect=visit.origin + CALLBACK_PATH,
            state=attempt.state,
            nonce=attempt.nonce,
            verifier=attempt.verifier,
        )
        if not address.startswith(("https://", "http://")):
            raise BackendUnavailable("The identity provider tells no address to sign in at.")
        answer = page("continue.html", provider=provider, address=address)
        for name in self._attempts.too_many(visit.cookies):
            answer.headers.append("Set-Cookie", set_cookie(name, "", 0))
        answer.headers.append("Set-Cookie", set_cookie(*self._attempts.seal(attempt), SECONDS))
        return answer

    def callback(self, visit: Visit) -> Response:
        """Where the provider sends the browser back to. An attempt ends here, whatever comes of it."""
        state = visit.query.get("state", "")
        attempt = self._attempts.open(state, visit.cookies)
        if attempt is None:
            return fault_page(SignInRefused(_NO_ATTEMPT, hint="Start again."), signed_in=visit.principal is not None)
        try:
            answer = self._finish(visit, attempt)
        except CalvinverseError as error:
            answer = fault_page(error, signed_in=visit.principal is not None)
        answer.headers.append("Set-Cookie", set_cookie(name_of(state), "", 0))
        return answer

    def _finish(self, visit: Visit, attempt: Attempt) -> Response:
        """Raises `SignInRefused`, `NotFound`, `BackendError`."""
        provider = self._service.sign_in.providers.named(attempt.provider)
        # Mix-up (RFC 9207): the answer of one provider must not be taken for that of another.
        if visit.query.get("iss", provider.issuer) != provider.issuer:
            raise SignInRefused("The answer came from another provider. Nobody was signed in.")
        if fault := visit.query.get("error"):
            raise _refusal_of(provider, fault)
        code = visit.query.get("code", "")
        if not code:
            raise SignInRefused(f"{provider.title} sent no code. Nobody was signed in.")
        claims = provider.redeem(
            code, redirect=visit.origin + CALLBACK_PATH, verifier=attempt.verifier, nonce=attempt.nonce
        )
        if attempt.dry_run:
            if visit.principal is None:
                raise SignInRefused("Your session ended during the trial. Nothing was changed.")
            report = self._service.sign_in.report(claims, provider)
            return report_page(self._service, visit, self._forms, report, tried=True)
        made = self._service.sign_in.finish(claims, provider, address=visit.address, note="browser")
        if visit.principal is not None:
            self._service.sessions.sign_out(visit.principal)
        answer = go(attempt.back)
        answer.headers.append("Set-Cookie", set_cookie(SESSION_COOKIE, made.secret, _SESSION_SECONDS))
        return answer

    def sign_out(self, visit: Visit) -> Response:
        """Ends our session; the provider's may remain, and the page says so."""
        self._forms.check(visit)
        if visit.principal is not None:
            self._service.sessions.sign_out(visit.principal)
        names = {provider.name for provider in self._service.sign_in.providers.all()}
        answer = page("signed_out.html", built_in=BUILT_IN in names)
        answer.headers.append("Set-Cookie", set_cookie(SESSION_COOKIE, "", 0))
        return answer


def _refusal_of(provider: IdentityProvider, fault: str) -> CalvinverseError:
    if fault == "access_denied":
        return SignInRefused(f"{provider.title} didn't let you in.", hint="Start again, or ask who runs that provider.")
    if fault in ("temporarily_unavailable", "server_error"):
        return BackendUnavailable(f"{provider.title} can't answer now.", hint="Try again in a minute.")
    known = fault if fault.isascii() and fault.replace("_", "").isalnum() and len(fault) <= 40 else "an error"
    return SignInRefused(
        f"{provider.title} refused the sign-in ({known}).",
        hint="If this stays so, an admin has to look at how Calvinverse is registered there.",
    )
