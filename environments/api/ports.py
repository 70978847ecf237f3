"""What the API needs of the service; `environments.bootstrap` builds it."""

from typing import Protocol

from environments.service.calendars import Calendars
from environments.service.catalogue import Catalogue
from environments.service.drift import Drifting
from environments.service.extend_links import ExtendLinks
from environments.service.feed import Feed
from environments.service.holding import Holding
from environments.service.images import Images
from environments.service.module_states import ModuleStates
from environments.service.planning import Planning
from environments.service.policies import Policies
from environments.service.queueing import Queueing
from environments.service.reading import Reading
from environments.service.recovery import Recovery
from environments.service.requests import Requests
from environments.service.service_accounts import ServiceAccounts
from environments.service.sources import Sources
from environments.service.switching import Switching
from environments.service.time_edits import TimeEdits
from environments.service.tokens import Tokens
from environments.service.warnings import Warnings
from environments.steps.entry_points import RouteSource


class Service(Protocol):
    """The use cases, and the feed of events."""

    @property
    def tokens(self) -> Tokens: ...
    @property
    def service_accounts(self) -> ServiceAccounts: ...
    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def sources(self) -> Sources: ...
    @property
    def images(self) -> Images: ...
    @property
    def time_edits(self) -> TimeEdits: ...
    @property
    def policies(self) -> Policies: ...
    @property
    def calendars(self) -> Calendars: ...
    @property
    def requests(self) -> Requests: ...
    @property
    def reading(self) -> Reading: ...
    @property
    def planning(self) -> Planning: ...
    @property
    def recovery(self) -> Recovery: ...
    @property
    def drifting(self) -> Drifting: ...
    @property
    def module_states(self) -> ModuleStates: ...
    @property
    def queueing(self) -> Queueing: ...
    @property
    def warnings(self) -> Warnings: ...
    @property
    def extend_links(self) -> ExtendLinks: ...
    @property
    def switching(self) -> Switching: ...
    @property
    def feed(self) -> Feed: ...
    @property
    def holding(self) -> Holding: ...
    @property
    def edge_routes(self) -> RouteSource: ...
    @property
    def version(self) -> str: ...
