"""Signing in a machine that has no browser: a device grant of our own (RFC 8628).

The machine asks for two codes. Its person enters the short one on a page, in any browser where they are signed in, sees
what asks, and approves or denies it. The machine shows the long one again and again until then, and gets a session.
"""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from environments.domain.errors import (
    AccessDenied,
    AuthorizationPending,
    CalvinverseError,
    DeviceCodeExpired,
    Forbidden,
    InvalidInput,
    NotFound,
    SlowDown,
    TooManyRequests,
)
from environments.service.attempt_counts import AttemptCounts
from environments.service.auditing import entry_of
from environments.service.authorization import Principal
from environments.service.sessions import NewSession, Sessions
from environments.service.storage.sign_in import DeviceGrant, GrantState
from environments.service.storage.transaction import Storage, Transaction

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Of user codes: without vowels, so that no word comes about (RFC 8628, 6.1)."""

USER_CODE_LENGTH = 8
"""34.5 bits: of codes that live for 10 minutes and that nobody may try often."""

LIFE = timedelta(minutes=10)
INTERVAL = 5
"""Seconds between two questions of a machine; each that comes sooner adds as much (RFC 8628, 3.5)."""

LONGEST_MACHINE = 100
"""Characters of a machine's name."""

MOST_FROM_ADDRESS = 20
"""Grants of one address that haven't expired."""

MOST_WRONG_CODES = 10
"""Wrong user codes of one person, in the time that a code lives."""

_TOLERANCE = timedelta(seconds=1)
"""By how much a question may come early: networks don't keep time."""


@dataclass(frozen=True)
class NewGrant:
    """What a machine gets: both codes, when they expire, and how long to wait between questions."""

    device_code: str
    user_code: str
    expires_at: datetime
    interval: int

    @property
    def seconds(self) -> int:
        """How long the codes are good for."""
        return int(LIFE.total_seconds())


class DeviceGrants:
    """Makes device grants, decides about them, and gives their sessions out."""

    def __init__(
        self,
        storage: Storage,
        sessions: Sessions,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        address: str = "",
    ) -> None:
        """`address`: that of the service as people reach it; empty: the one that the machine has asked."""
        self.address = address.rstrip("/")
        self._storage = storage
        self._sessions = sessions
        self._clock = clock
        self._new_id = new_id
        self._wrong = AttemptCounts(MOST_WRONG_CODES, LIFE, clock)

    def begin(self, machine: str, *, address: str) -> NewGrant:
        """Codes for a machine of that name. Raises `InvalidInput`, `TooManyRequests`."""
        machine = " ".join(machine.split())
        if not machine or len(machine) > LONGEST_MACHINE or not machine.isprintable():
            raise InvalidInput(f"The machine's name must have 1 to {LONGEST_MACHINE} characters that can be shown.")
        now = self._clock()
        device_code = secrets.token_urlsafe(32)
        user_code = "".join(secrets.choice(LETTERS) for _ in range(USER_CODE_LENGTH))
        grant = DeviceGrant(
            id=self._new_id("grant"),
            device_hash=_hash(device_code),
            user_hash=_hash(user_code),
            machine=machine,
            address=address,
            requested_at=now,
            expires_at=now + LIFE,
            interval=INTERVAL,
        )
        with self._storage.write() as tx:
            if tx.sign_ins.grants_of(address, now) >= MOST_FROM_ADDRESS:
                raise TooManyRequests(
                    f"{MOST_FROM_ADDRESS} machines at your address wait to be signed in.",
                    hint=f"Wait until their codes have expired, {LIFE.seconds // 60} minutes after they were made.",
                    details={"retry_after": 60},
                )
            tx.sign_ins.add_grant(grant)
        return NewGrant(device_code, shown(user_code), grant.expires_at, grant.interval)

    def look(self, principal: Principal, user_code: str) -> DeviceGrant:
        """The grant of a user code, for the person who is to decide. Raises `NotFound`, `TooManyRequests`."""
        with self._guarded(principal), self._storage.read() as tx:
            return self._pending(tx, user_code)

    def decide(self, principal: Principal, user_code: str, *, approve: bool) -> DeviceGrant:
        """Approves or denies a grant, once. Only a person's session may: `Forbidden`. Else raises as `look`."""
        if principal.kind != "session":
            raise Forbidden("Only a person who has signed in can approve a device.", hint="Sign in on the page.")
        now = self._clock()
        with self._guarded(principal), self._storage.write() as tx:
            grant = self._pending(tx, user_code)
            until = self._sessions.ends_at(tx, principal)
            state = GrantState.APPROVED if approve else GrantState.DENIED
            values = {"state": state.value, "person": principal.owner, "decided_at": now, "until": until}
            tx.sign_ins.change_grant(grant.id, **values)
            entry = entry_of(principal, "device:approve" if approve else "device:deny")
            entry = replace(entry, object_kind="device", object_id=grant.id, object_name=grant.machine)
            tx.audit.add(replace(entry, after={"machine": grant.machine, "address": grant.address}))
            return grant._replace(state=state, person=principal.owner, decided_at=now, until=until)

    def poll(self, device_code: str, *, address: str) -> NewSession:
        """The session of a machine whose grant was approved, once.

        Raises `AuthorizationPending`, `SlowDown`, `AccessDenied`, `DeviceCodeExpired`, and `SignInRefused` when the
        person has been disabled since.
        """
        now = self._clock()
        with self._storage.write() as tx:
            found = self._answer(tx, tx.sign_ins.grant_by_device(_hash(device_code)), address, now)
        if isinstance(found, CalvinverseError):
            raise found
        return found

    def _answer(
        self, tx: Transaction, grant: DeviceGrant | None, address: str, now: datetime
    ) -> NewSession | CalvinverseError:
        """An error is returned, so that what was written with it stays."""
        if grant is None or grant.state is GrantState.USED:
            return DeviceCodeExpired("There is no sign-in with this code, or it is over.")
        if grant.expires_at <= now:
            return DeviceCodeExpired("The code has expired.")
        if grant.state is GrantState.DENIED:
            return AccessDenied("The sign-in was denied.")
        soonest = grant.polled_at and grant.polled_at + timedelta(seconds=grant.interval) - _TOLERANCE
        tx.sign_ins.change_grant(grant.id, polled_at=now)
        if soonest is not None and now < soonest:
            interval = grant.interval + INTERVAL
            tx.sign_ins.change_grant(grant.id, interval=interval)
            return SlowDown(
                f"Asked too often: wait {interval} s between two questions.", details={"interval": interval}
            )
        if grant.state is GrantState.PENDING:
            return AuthorizationPending("Nobody has approved this yet.", details={"interval": grant.interval})
        tx.sign_ins.change_grant(grant.id, state=GrantState.USED.value)
        return self._sessions.for_device(tx, grant, address, now)

    def _pending(self, tx: Transaction, user_code: str) -> DeviceGrant:
        grant = tx.sign_ins.grant_by_user(_hash(plain(user_code)))
        if grant is None or grant.state is not GrantState.PENDING or grant.expires_at <= self._clock():
            raise NotFound(
                "No machine waits with this code.",
                hint="Compare it with what the machine shows. A code is good for 10 minutes, and once.",
            )
        return grant

    def _guarded(self, principal: Principal) -> AbstractContextManager[None]:
        """By person alone, because many share an address, and only people who are signed in get here."""
        return self._wrong.guard(NotFound, f"person {principal.owner}")


def shown(user_code: str) -> str:
    """A user code as people read it: `WDJB-MJHT`."""
    return f"{user_code[:4]}-{user_code[4:]}"


def plain(typed: str) -> str:
    """A user code from what somebody has typed: small letters, spaces and hyphens make no difference."""
    return "".join(character for character in typed.upper() if character in LETTERS)[: USER_CODE_LENGTH + 1]


def _hash(code: str) -> str:
    return sha256(code.encode(errors="replace")).hexdigest()
