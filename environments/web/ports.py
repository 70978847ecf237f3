"""What the pages need of the service; `environments.bootstrap` builds it."""

from typing import Protocol

from environments.service.audit_collecting import AuditCollector
from environments.service.authorization import Principal
from environments.service.built_in_provider import AuthorizationPage
from environments.service.device_grant import DeviceGrants
from environments.service.sessions import Sessions
from environments.service.sign_in import SignIn


class Tokens(Protocol):
    """Who a session is of."""

    def authenticate(self, bearer: str, address: str = "") -> Principal:
        """The principal of a token. Raises `Unauthenticated`."""
        ...


class Service(Protocol):
    """The use cases of the pages. `authorization_page` is None where there is no built-in provider."""

    @property
    def tokens(self) -> Tokens: ...
    @property
    def sign_in(self) -> SignIn: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def audit_collector(self) -> AuditCollector: ...
    @property
    def device_grants(self) -> DeviceGrants: ...
    @property
    def authorization_page(self) -> AuthorizationPage | None: ...
