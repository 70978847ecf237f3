"""The providers that a file configures, and the built-in one."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from environments.domain.errors import InvalidInput, NotFound, SignInRefused
from environments.identity_settings import CiSettings, IdentitySettings, read_identity_settings
from environments.providers.oidc.fetching import Fetcher
from environments.providers.oidc.metadata import ProviderDocuments
from environments.providers.oidc.provider import OidcProvider
from environments.providers.oidc.tokens import Expected, verify_token
from environments.service.sign_in_ports import IdentityProvider

_FRESH_OF_JOB = timedelta(hours=1)
"""How long after its issue a CI system's token counts: GitLab issues it when the job begins, and it is good once."""

log = structlog.get_logger()


class ConfiguredProviders:
    """Implements `environments.service.sign_in_ports.IdentityProviders` and `CiIssuers`.

    A file that can't be used leaves what was read before. A provider whose settings didn't change keeps what it knows.
    """

    def __init__(
        self,
        path: Path | None,
        clock: Callable[[], datetime],
        built_in: Callable[[], IdentityProvider | None] = lambda: None,
    ) -> None:
        """`built_in`: the provider of the OpenBao that the service is connected to, None while there is none.

        Raises `InvalidInput` if the file can't be used.
        """
        self._path = path
        self._clock = clock
        self._built_in = built_in
        self._guard = threading.Lock()
        self._seen = self._stamp()
        self._settings = IdentitySettings() if path is None else read_identity_settings(path)
        self._providers: dict[str, OidcProvider] = {}
        self._issuers: dict[str, tuple[CiSettings, ProviderDocuments]] = {}
        self._fault = ""
        self._take(self._settings)

    def all(self) -> Sequence[IdentityProvider]:
        """See `environments.service.sign_in_ports.IdentityProviders`."""
        self._current()
        built_in = self._built_in()
        return [*([] if built_in is None else [built_in]), *self._providers.values()]

    def named(self, name: str) -> IdentityProvider:
        """See `environments.service.sign_in_ports.IdentityProviders`."""
        for provider in self.all():
            if provider.name == name:
                return provider
        raise NotFound("There is no identity provider of this name.", hint="The page for signing in lists them.")

    def fault(self) -> str:
        """See `environments.service.sign_in_ports.IdentityProviders`."""
        self._current()
        return self._fault

    def entries(self) -> Sequence[CiSettings]:
        """See `environments.service.sign_in_ports.CiIssuers`."""
        return self._current().ci

    def verify_program(self, entry: str, token: str) -> Mapping[str, object]:
        """See `environments.service.sign_in_ports.CiIssuers`."""
        self._current()
        with self._guard:
            found = self._issuers.get(entry)
        if found is None:
            raise SignInRefused(
                "There is no CI system of this name.", hint="An admin names them in the file of providers."
            )
        settings, documents = found
        expected = Expected(settings.issuer, settings.audience, settings.algorithms, fresh=_FRESH_OF_JOB)
        return verify_token(token, documents, expected, self._clock())

    def _current(self) -> IdentitySettings:
        with self._guard:
            stamp = self._stamp()
            if stamp != self._seen and self._path is not None:
                self._seen = stamp
                try:
                    self._take(read_identity_settings(self._path))
                    self._fault = ""
                except InvalidInput as error:
                    self._fault = error.message
                    log.error("sign_in.providers_refused", reason=error.message)
            return self._settings

    def _take(self, settings: IdentitySettings) -> None:
        before = self._providers
        self._providers = {
            one.name: before[one.name]
            if one.name in before and before[one.name].settings == one
            else OidcProvider(one, self._clock)
            for one in settings.providers
        }
        known = self._issuers
        self._issuers = {
            one.name: known[one.name]
            if one.name in known and known[one.name][0] == one
            else (one, self._documents(one))
            for one in settings.ci
        }
        self._settings = settings

    def _documents(self, one: CiSettings) -> ProviderDocuments:
        title = f"The issuer of CI tokens {one.name}"
        fetcher = Fetcher(title, one.issuer, one.hosts, one.ca_file, ca=one.ca)
        return ProviderDocuments(title, one.issuer, fetcher, self._clock)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = None if self._path is None else self._path.stat()
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)
