"""An OpenID provider, as the service uses it: authorization code with PKCE (S256), and verified identity tokens."""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote_plus, urlencode

from environments.domain.claim_rules import Judgement, groups_of, judge
from environments.domain.cleaning import replace_unshown
from environments.domain.errors import BackendError, SignInRefused
from environments.identity_settings import ProviderSettings
from environments.providers.oidc.fetching import WRONG_HINT, BackChannel, Fetcher, error_word
from environments.providers.oidc.metadata import ProviderDocuments
from environments.providers.oidc.tokens import FRESH, Expected, expires_at, issued_at, verify_token
from environments.service.sign_in_ports import Claims, PublicClient

_LARGEST_SECRET = 4096
"""Bytes of the file of a client's secret."""

_LONGEST_CODE = 4096
_LONGEST_NAME = 200
_LONGEST_EMAIL = 254
"""Characters."""


class OidcProvider:
    """Implements `environments.service.sign_in_ports.IdentityProvider`. Safe to use from several threads."""

    def __init__(
        self, settings: ProviderSettings, clock: Callable[[], datetime], back_channel: BackChannel | None = None
    ) -> None:
        """Nothing is called before it is used. `back_channel`: where the service reaches it, if not at its issuer."""
        self.settings = settings
        self._clock = clock
        title = f"The identity provider {settings.name}"
        self._fetcher = Fetcher(title, settings.issuer, settings.hosts, settings.ca_file, back_channel, ca=settings.ca)
        self._documents = ProviderDocuments(title, settings.issuer, self._fetcher, clock)
        self._called = title

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def title(self) -> str:
        return self.settings.shown_title

    @property
    def issuer(self) -> str:
        return self.settings.issuer

    @property
    def public_client(self) -> str:
        return self.settings.public_client_id

    @property
    def scopes(self) -> tuple[str, ...]:
        return self.settings.scopes

    def authorization_address(self, *, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """See `environments.service.sign_in_ports.IdentityProvider`."""
        endpoint = self._documents.sign_in_addresses().authorization_endpoint
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.settings.client_id,
                "redirect_uri": redirect,
                "scope": " ".join(self.scopes),
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge(verifier),
                "code_challenge_method": "S256",
            }
        )
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    def redeem(self, code: str, *, redirect: str, verifier: str, nonce: str) -> Claims:
        """See `environments.service.sign_in_ports.IdentityProvider`."""
        if not 0 < len(code) <= _LONGEST_CODE or not code.isascii() or not code.isprintable():
            raise SignInRefused("The code isn't one.")
        if not nonce:
            raise ValueError("a sign-in has a nonce")
        addresses = self._documents.sign_in_addresses()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        client, secret = self.settings.client_id, self._secret()
        if addresses.basic:  # RFC 6749, 2.3.1: encoded as in a form before it is encoded as base64
            answer = self._fetcher.post(addresses.token_endpoint, form, (quote_plus(client), quote_plus(secret)))
        else:
            form |= {"client_id": client, "client_secret": secret}
            answer = self._fetcher.post(addresses.token_endpoint, form)
        if answer.status != 200:
            raise self._refusal(answer.status, error_word(answer.content))
        token = answer.content.get("id_token") if isinstance(answer.content, dict) else None
        if not isinstance(token, str):
            raise BackendError(f"{self._called} gave no identity token for a code.", hint=WRONG_HINT)
        # The nonce says that the token is of this sign-in, so its age doesn't matter: some date tokens back.
        return self._claims(token, Expected(self.issuer, client, self.settings.algorithms, nonce, fresh=None))

    def verify(self, identity_token: str, *, nonce: str | None) -> Claims:
        """See `environments.service.sign_in_ports.IdentityProvider`."""
        if not self.public_client:
            raise SignInRefused(
                f"{self._called} has no client for programs of people.", hint="Sign in on the web page."
            )
        fresh = FRESH + self.settings.backdated
        expected = Expected(self.issuer, self.public_client, self.settings.algorithms, nonce, fresh)
        return self._claims(identity_token, expected)

    def judge(self, claims: Claims) -> Judgement:
        """See `environments.service.sign_in_ports.IdentityProvider`."""
        return judge(claims.raw, self.settings.sign_in, self.settings.rules, self.settings.groups_claim)

    def public(self) -> PublicClient | None:
        """See `environments.service.sign_in_ports.IdentityProvider`."""
        if not self.public_client:
            return None
        found = self._documents.sign_in_addresses()
        return PublicClient(self.public_client, found.authorization_endpoint, found.token_endpoint, self.scopes)

    def _claims(self, token: str, expected: Expected) -> Claims:
        return claims_of(verify_token(token, self._documents, expected, self._clock()), token, self.settings)

    def _secret(self) -> str:
        path = self.settings.client_secret_file
        if path is None:
            return self.settings.client_secret.get_secret_value()
        try:
            with path.open("rb") as file:
                found = file.read(_LARGEST_SECRET + 1).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it isn't UTF-8"
            raise BackendError(f"The client secret of {self.name} can't be read: {why}.", hint=WRONG_HINT) from None
        if not 0 < len(found) <= _LARGEST_SECRET:
            raise BackendError(f"The file of the client secret of {self.name} holds none.", hint=WRONG_HINT)
        return found

    def _refusal(self, status: int, word: str) -> SignInRefused | BackendError:
        if word == "invalid_grant":
            return SignInRefused(
                "The provider doesn't accept the code: it was used before, has expired, or is of another sign-in."
            )
        told = f" ({word})" if word else ""
        return BackendError(f"{self._called} answered {status}{told} to a code.", hint=WRONG_HINT)


def challenge(verifier: str) -> str:
    """The challenge of a verifier of PKCE with S256 (RFC 7636, 4.2). Raises `ValueError` for what is no verifier."""
    if not 43 <= len(verifier) <= 128 or not verifier.isascii():
        raise ValueError("a verifier has 43 to 128 characters")
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")


def claims_of(raw: Mapping[str, object], token: str, settings: ProviderSettings) -> Claims:
    """What the claims of a verified token say of a person."""
    username = next(filter(None, (_text(raw, name) for name in settings.username_claims)), "")
    email = _text(raw, "email", _LONGEST_EMAIL)
    verified = raw.get("email_verified")
    trusted = verified is True or (settings.trusted_email and verified is not False)
    return Claims(
        issuer=settings.issuer,
        subject=str(raw["sub"]),
        username=username,
        display_name=_text(raw, "name") or username,
        email=email if trusted else "",
        groups=groups_of(raw, settings.groups_claim),
        issued_at=issued_at(raw),
        expires_at=expires_at(raw),
        token_hash=sha256(token.encode()).hexdigest(),
        raw=raw,
    )


def _text(raw: Mapping[str, object], name: str, longest: int = _LONGEST_NAME) -> str:
    """A claim as one line; empty if it isn't a text, or is too long."""
    value = raw.get(name)
    if not isinstance(value, str) or len(value) > longest:
        return ""
    return " ".join(replace_unshown(value, "").split())
