"""One transaction on either database: its parts by noun, over one connection; and what both databases can do."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from sqlalchemy import Connection, not_, select

from environments.service.leadership import Leadership
from environments.stores.audit import SqlAudit
from environments.stores.calendar import SqlCalendars, SqlPolicies
from environments.stores.catalogue import SqlImages, SqlRequests, SqlTemplates, SqlTokens
from environments.stores.catalogue_schema import bundles, idempotency, templates
from environments.stores.deployments import SqlDeployments
from environments.stores.entry_points import SqlEntryPoints
from environments.stores.environments import SqlEnvironments, observed_abandoned
from environments.stores.events import SqlEvents
from environments.stores.firings import SqlFirings
from environments.stores.holds import SqlHolds
from environments.stores.journal import SqlInventory, SqlJournal
from environments.stores.known_rows import KnownRows
from environments.stores.locks import Locks
from environments.stores.module_states import SqlModuleStates
from environments.stores.people import AccessChanges, SqlGroups, SqlPeople
from environments.stores.plans import SqlPlans
from environments.stores.previews import SqlPreviews
from environments.stores.received_events import SqlHeartbeats, SqlReceivedEvents, SqlSourceCursors
from environments.stores.schema import deployments, environments
from environments.stores.sharing import SqlCreators, SqlServiceRoles, SqlShares
from environments.stores.sign_in import SqlSignIns
from environments.stores.triggers import SqlTriggers
from environments.stores.warnings import SqlWarnings
from environments.stores.webhooks import SqlWebhooks
from environments.stores.workers import SqlWorkers


class SqlTransaction:
    """See `environments.service.storage.transaction.Transaction`."""

    def __init__(
        self, connection: Connection, known: KnownRows, *, writes: bool, audit_key: bytes | None = None
    ) -> None:
        self._connection = connection
        self.writes = writes
        locks = Locks(connection, writes)
        self.environments = SqlEnvironments(connection, known, locks)
        self.deployments = SqlDeployments(connection, locks)
        self.journal = SqlJournal(connection)
        self.inventory = SqlInventory(connection)
        self.templates = SqlTemplates(connection, locks)
        self.images = SqlImages(connection)
        self.tokens = SqlTokens(connection, locks)
        self.access_changes = AccessChanges(connection)
        self.people = SqlPeople(connection, locks, self.access_changes)
        self.groups = SqlGroups(connection, locks, self.access_changes)
        self.shares = SqlShares(connection, self.access_changes)
        self.events = SqlEvents(connection, locks, self.shares)
        self.service_roles = SqlServiceRoles(connection, self.access_changes, locks)
        self.creators = SqlCreators(connection, self.access_changes)
        self.requests = SqlRequests(connection, locks)
        self.plans = SqlPlans(connection, locks)
        self.workers = SqlWorkers(connection)
        self.module_states = SqlModuleStates(connection)
        self.entry_points = SqlEntryPoints(connection)
        self.warnings = SqlWarnings(connection)
        self.policies = SqlPolicies(connection, locks)
        self.calendars = SqlCalendars(connection)
        self.holds = SqlHolds(connection, locks)
        self.sign_ins = SqlSignIns(connection, locks)
        self.received = SqlReceivedEvents(connection, locks)
        self.triggers = SqlTriggers(connection, locks)
        self.firings = SqlFirings(connection, locks)
        self.webhooks = SqlWebhooks(connection)
        self.previews = SqlPreviews(connection, locks)
        self.cursors = SqlSourceCursors(connection)
        self.heartbeats = SqlHeartbeats(connection)
        self.audit = SqlAudit(connection, locks, audit_key, self.environments, self.deployments, writes=writes)

    def forget_ended(self, before: datetime) -> int:
        """See `Transaction.forget_ended`; what belongs to an environment goes with it (ON DELETE CASCADE)."""
        done = self._connection.execute(
            environments.delete().where(environments.c.destroyed_at < before, not_(observed_abandoned))
        )
        self._connection.execute(
            idempotency.delete().where(idempotency.c.environment_id.not_in(select(environments.c.id)))
        )
        self._connection.execute(
            bundles.delete().where(
                bundles.c.digest.not_in(select(environments.c.bundle)),
                bundles.c.digest.not_in(select(deployments.c.bundle)),
                bundles.c.digest.not_in(select(templates.c.digest)),
            )
        )
        return done.rowcount


class Database(ABC):
    """A database that is open and migrated. `on_commit` is called with the newest event's id after each commit."""

    shared = False
    """Whether other processes may have it open too."""

    def __init__(self, where: str) -> None:
        self.where = where
        """For people: the file, or server and name."""
        self.on_commit: list[Callable[[int], None]] = []
        self.on_audit: list[Callable[[], None]] = []
        """Called after each commit of this process that wrote entries of the audit log."""
        self.audit_key: bytes | None = None
        """What entries of the audit log are sealed with; set before anything is written."""
        self._known = KnownRows()

    @contextmanager
    def write(self) -> Iterator[SqlTransaction]:
        """A transaction that may write. Raises `StorageError`."""
        with self._writing() as connection:
            transaction = SqlTransaction(connection, self._known, writes=True, audit_key=self.audit_key)
            yield transaction
            transaction.audit.flush()
            transaction.access_changes.flush()
            transaction.events.flush()
            connection.commit()
        for tell in self.on_commit:
            tell(transaction.events.last)
        if transaction.audit.written:
            for audited in self.on_audit:
                audited()

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """A consistent view for reading. Raises `StorageError`."""
        with self._reading() as connection:
            yield SqlTransaction(connection, self._known, writes=False)

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Connection]:
        """A connection in a transaction that may write, rolled back unless it is committed. Raises `StorageError`."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]:
        """A connection in a transaction that sees one moment. Raises `StorageError`."""

    @abstractmethod
    def follow(self, tell: Callable[[int], None]) -> None:
        """From now on `tell` is called with the id of the newest event after each commit, whoever made it."""

    @abstractmethod
    def leadership(self, *, comes_first: bool = True) -> Leadership:
        """This process's claim to be the leader. One that doesn't come first leads only while no other does."""

    @abstractmethod
    def now(self) -> datetime | None:
        """The clock of the database's server; None where there is no server. Raises `StorageError`."""

    @abstractmethod
    def identity(self) -> str:
        """Tells this storage from one that was restored from a copy, where that can be told; else empty.

        Raises `StorageError`.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes every connection and gives the database free."""
