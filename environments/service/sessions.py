"""Sessions: what a person gets by signing in. A session is a token that ends unused after hours, after a day at most.

A session may whatever its person may when it is used: a role that is taken away is gone at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from environments.domain.access import Person
from environments.domain.errors import NotFound, SignInRefused, Unauthenticated
from environments.service.auditing import entry_of
from environments.service.authorization import Action, Principal, may
from environments.service.storage.audit import AuditEntry
from environments.service.storage.sign_in import DeviceGrant
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.transaction import Storage, Transaction
from environments.service.token_lines import fresh

KIND = "session"
"""The kind of token that a session is."""

IDLE = timedelta(hours=8)
"""A session ends when it wasn't used for so long."""

LONGEST = timedelta(hours=24)
"""A session ends so long after its person has signed in, whatever happens."""

MOST = 30
"""Sessions of one person: one more ends the one that was unused for the longest time."""


@dataclass(frozen=True)
class NewSession:
    """A session just begun; `secret` is shown this once."""

    secret: str
    token: TokenRecord
    person: Person

    @property
    def seconds(self) -> int:
        """How long it lasts at most."""
        return (
            0 if self.token.expires_at is None else int((self.token.expires_at - self.token.created_at).total_seconds())
        )


class Sessions:
    """Begins, lists and ends sessions. `revoked` is told the ids of tokens that have just ended."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        revoked: Callable[[frozenset[str]], None] = lambda ids: None,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self._revoked = revoked

    def begin(
        self, tx: Transaction, person: Person, *, address: str, note: str, until: datetime | None = None
    ) -> NewSession:
        """A session of somebody who has just signed in, or until a moment for one who did so before."""
        now = self._clock()
        made = fresh(self._new_id("tok"), person.name, "own", note, now)
        token = made.token._replace(
            expires_at=min(until or now + LONGEST, now + LONGEST),
            kind=KIND,
            idle_seconds=int(IDLE.total_seconds()),
            address=address,
        )
        living = [one for one in tx.tokens.living(person.name, now) if one.kind == KIND and not one.ended(now)]
        for old in living[: max(0, len(living) - MOST + 1)]:
            tx.tokens.revoke(old.id, now)
        tx.tokens.add(token)
        return NewSession(made.secret, token, person)

    def for_device(
        self, tx: Transaction, grant: DeviceGrant, address: str, now: datetime
    ) -> NewSession | SignInRefused:
        """The session of a machine whose grant a person has approved; refused if they have been disabled since."""
        person = tx.people.get(grant.person)
        if person is None or person.disabled_at is not None or grant.until is None or grant.until <= now:
            return SignInRefused("Whoever approved this can't sign in any more.")
        made = self.begin(tx, person, address=address, note=f"device {grant.machine}", until=grant.until)
        principal = Principal(person.name, "user", made.token.id, kind=KIND, address=address, at=now)
        entry = replace(entry_of(principal, "session:sign_in"), role="")
        after = {"device": grant.machine, "approved_at": grant.decided_at.isoformat() if grant.decided_at else ""}
        tx.audit.add(replace(about(entry, made.token), after=after))
        return made

    def ends_at(self, tx: Transaction, principal: Principal) -> datetime:
        """When the principal's own session ends at the latest. Raises `Unauthenticated` when it has ended."""
        now = self._clock()
        line = tx.tokens.line(principal.token_id, 1)
        if not line or line[0].ended(now):
            raise Unauthenticated("Your session has ended.")
        return line[0].expires_at or now + LONGEST

    def all(self, principal: Principal, owner: str = "") -> list[TokenRecord]:
        """Somebody's sessions that haven't ended, newest first: one's own, for an admin also those of another owner.

        Raises `NotFound`.
        """
        owner = owner or principal.owner
        if principal.theirs_only not in (None, owner):
            raise NotFound(f"There is no {owner!r} whose sessions you may see.")
        now = self._clock()
        with self._storage.read() as tx:
            return [one for one in tx.tokens.of(owner, KIND) if not one.ended(now)]

    def current(self, principal: Principal) -> TokenRecord:
        """The token that the principal came with. Raises `Unauthenticated` when there is none any more."""
        with self._storage.read() as tx:
            line = tx.tokens.line(principal.token_id, 1)
        if not line:
            raise Unauthenticated("The token is not known here.")
        return line[0]

    def end(self, principal: Principal, token_id: str) -> TokenRecord:
        """Ends a session and all tokens that were made with it: one's own, an admin everybody's. Raises `NotFound`."""
        with self._storage.write() as tx:
            line = tx.tokens.line(token_id, 1)
            if not line or line[0].kind != KIND or principal.theirs_only not in (None, line[0].owner):
                raise NotFound(f"There is no session {token_id!r}.", hint="See yours with `calvinverse session list`.")
            ended = self._end(tx, principal, line)
        self._revoked(ended)
        return line[0]

    def end_all(self, principal: Principal) -> int:
        """Ends all of one's sessions, this one too, and denies what was approved for machines; returns how many."""
        now = self._clock()
        with self._storage.write() as tx:
            living = [one for one in tx.tokens.of(principal.owner, KIND) if not one.ended(now)]
            tx.sign_ins.deny_grants(principal.owner, now)
            ended = self._end(tx, principal, living)
        self._revoked(ended)
        return len(living)

    def sign_out(self, principal: Principal) -> None:
        """Ends the session that the principal came with. Raises `NotFound` for what is no session."""
        self.end(principal, principal.token_id)

    def _end(self, tx: Transaction, principal: Principal, tokens: list[TokenRecord]) -> frozenset[str]:
        may(tx, principal, Action.SESSION_END)
        now = self._clock()
        ended: set[str] = set()
        for token in tokens:
            ended.update(tx.tokens.made_with(token.id))
            tx.tokens.revoke(token.id, now)
        ids = sorted(token.id for token in tokens)
        owner = tokens[0].owner if tokens else principal.owner
        one = ids[0] if len(ids) == 1 else ""
        tx.audit.changed(after={"sessions": ids}, object_kind=KIND, object_id=one, object_name=owner)
        return frozenset(ended)


def about(entry: AuditEntry, session: TokenRecord) -> AuditEntry:
    """The entry as one about that session."""
    return replace(entry, object_kind=KIND, object_id=session.id, object_name=session.owner)
