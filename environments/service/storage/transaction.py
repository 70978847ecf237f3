"""The port to the database: one transaction, its parts by noun.

A transaction either happens as a whole or not at all. The events that it writes are part of it.
A list with a `limit` may end earlier because of its size in bytes: see `environments.service.pages`.
"""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from environments.service.storage.audit import Audit
from environments.service.storage.calendar import Calendars, Policies
from environments.service.storage.deployments import Deployments, Inventory, Journal, Workers
from environments.service.storage.entry_points import EntryPoints
from environments.service.storage.environments import Environments
from environments.service.storage.events import Events
from environments.service.storage.holds import Holds
from environments.service.storage.module_states import ModuleStates
from environments.service.storage.people import Groups, People
from environments.service.storage.plans import Plans, Requests
from environments.service.storage.previews import Previews
from environments.service.storage.received_events import Heartbeats, ReceivedEvents, SourceCursors
from environments.service.storage.sharing import Creators, ServiceRoles, Shares
from environments.service.storage.sign_in import SignIns
from environments.service.storage.templates import Images, Templates
from environments.service.storage.tokens import Tokens
from environments.service.storage.triggers import Firings, Triggers
from environments.service.storage.warnings import Warnings
from environments.service.storage.webhooks import Webhooks


class Transaction(Protocol):
    """One transaction's view of the database."""

    @property
    def writes(self) -> bool:
        """Whether it may write."""
        ...

    @property
    def environments(self) -> Environments: ...
    @property
    def deployments(self) -> Deployments: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def inventory(self) -> Inventory: ...
    @property
    def events(self) -> Events: ...
    @property
    def templates(self) -> Templates: ...
    @property
    def images(self) -> Images: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def people(self) -> People: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def shares(self) -> Shares: ...
    @property
    def service_roles(self) -> ServiceRoles: ...
    @property
    def creators(self) -> Creators: ...
    @property
    def requests(self) -> Requests: ...
    @property
    def plans(self) -> Plans: ...
    @property
    def workers(self) -> Workers: ...
    @property
    def module_states(self) -> ModuleStates: ...
    @property
    def entry_points(self) -> EntryPoints: ...
    @property
    def warnings(self) -> Warnings: ...
    @property
    def policies(self) -> Policies: ...
    @property
    def calendars(self) -> Calendars: ...
    @property
    def holds(self) -> Holds: ...
    @property
    def sign_ins(self) -> SignIns: ...
    @property
    def received(self) -> ReceivedEvents: ...
    @property
    def triggers(self) -> Triggers: ...
    @property
    def firings(self) -> Firings: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def previews(self) -> Previews: ...
    @property
    def cursors(self) -> SourceCursors: ...
    @property
    def heartbeats(self) -> Heartbeats: ...
    @property
    def audit(self) -> Audit: ...

    def forget_ended(self, before: datetime) -> int:
        """Deletes environments that ended before a moment, with all their records, and bundles that nothing refers to.

        Environments of which something may be left are kept.
        """
        ...


class Storage(Protocol):
    """The database."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that may write; committed at the end, rolled back by an exception.

        Raises `StorageError` (`DiskFull`, `DatabaseCorrupt`).
        """
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """A consistent view for reading only."""
        ...
