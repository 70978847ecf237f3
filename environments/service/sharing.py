"""Sharing: gives a person, a service account, a group or everyone a role on one environment, maybe until a moment."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from environments.domain.access import GROUP, Access, EnvironmentRole, Share
from environments.domain.deadline import wanted_end
from environments.domain.environment import Environment, EventType
from environments.domain.errors import Forbidden, InvalidInput, NotFound
from environments.domain.suggesting import told
from environments.service.authorization import (
    CLOCK,
    Action,
    Principal,
    access_of,
    entry_of,
    environment_to_change,
    environment_to_read,
    may,
)
from environments.service.roles import actions_of
from environments.service.storage.audit import ENVIRONMENT
from environments.service.storage.transaction import Storage, Transaction
from environments.service.subjects import known_subject

MOST_SHARES = 200
"""Of one environment: a group is one of them, however many are in it."""

SHOWN_AFTER_END = timedelta(days=1)
"""How long the list of an environment's shares has one that has ended."""

_INSTEAD = "Only admins and auditors see it, and whoever deployed it."
_AT_ONCE = 200


@dataclass(frozen=True)
class EnvironmentAccess:
    """Who has access to an environment: its owner, and its shares by subject. `mine` is what the caller is for it."""

    environment: Environment
    shares: tuple[Share, ...]
    mine: Access


class Sharing:
    """Shares environments, and ends that. An end that was given needs nobody: from then on the share has no effect."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], new_id: Callable[[str], str]) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id

    def access(self, principal: Principal, name: str) -> EnvironmentAccess:
        """Who has access to an environment; everybody who sees it may know. Raises `UnknownEnvironment`."""
        with self._storage.read() as tx:
            environment = environment_to_read(tx, principal, name)
            return _access(tx, principal, environment)

    def share(
        self,
        principal: Principal,
        name: str,
        subject: str,
        role: EnvironmentRole,
        *,
        reveal: bool = False,
        ttl: str | None = None,
        until: datetime | None = None,
    ) -> EnvironmentAccess:
        """Gives a subject a role, in place of the one that it was given before.

        Raises `UnknownEnvironment`, `ManagedOutside`, `Forbidden` also for more than the caller's own token may do,
        `NotFound` and `NotAllowedNow` for the subject, `InvalidLifetime` for an end in the past, `InvalidInput`.
        """
        now = self._clock()
        end = wanted_end(ttl, until, now)
        with self._storage.write() as tx:
            _lock(tx, subject)
            environment = environment_to_change(tx, principal, name, _INSTEAD)
            may(tx, principal, Action.ENVIRONMENT_SHARE, environment)
            _check_gives(principal, role, reveal=reveal)
            known = known_subject(tx, principal, subject, everyone=True)
            if known == environment.owner:
                raise InvalidInput(f"{known} owns {environment.name!r} already.", hint="Owners may do everything.")
            given = Share(
                id=self._new_id("share"),
                environment_id=environment.id,
                subject=known,
                role=role,
                reveal=reveal,
                until=end,
                by=principal.owner,
                at=now,
            )
            before = tx.shares.put(given)
            if before is None and len(tx.shares.of(environment.id)) > MOST_SHARES:
                raise InvalidInput(
                    f"Environment {environment.name!r} is shared with {MOST_SHARES} already.",
                    hint="Share it with a group, or end a share.",
                )
            tx.audit.changed(before=_told(before), after=_told(given))
            _tell(tx, EventType.ENVIRONMENT_SHARED, given, principal.owner, now, f"{_words(environment, given)}")
            return _access(tx, principal, environment)

    def unshare(self, principal: Principal, name: str, subject: str | None = None) -> EnvironmentAccess | None:
        """Ends a share at once; without a subject the caller's own, which takes no role.

        None: the caller doesn't see the environment any more. Raises `UnknownEnvironment`, `Forbidden`, `NotFound`.
        """
        now = self._clock()
        with self._storage.write() as tx:
            environment = environment_to_read(tx, principal, name)
            said = principal.owner if subject is None else subject.strip()
            own = said == principal.owner
            may(tx, principal, Action.ENVIRONMENT_LEAVE if own else Action.ENVIRONMENT_SHARE, environment)
            gone = tx.shares.remove(environment.id, said)
            if gone is None:
                raise _not_shared(tx, principal, environment, said, own=own)
            tx.audit.changed(before=_told(gone))
            verb = "left" if own else f"stopped sharing with {said}"
            text = f"{principal.owner} {verb}: {environment.name}"
            _tell(tx, EventType.ENVIRONMENT_UNSHARED, gone, principal.owner, now, text)
            after = access_of(tx, principal, environment)
            return None if after.role is None else _access(tx, principal, environment)

    def forget_ended(self) -> int:
        """Deletes shares that ended a while ago, and tells so; returns how many."""
        now = self._clock()
        with self._storage.write() as tx:
            ended = tx.shares.ended(now - SHOWN_AFTER_END, _AT_ONCE)
            for share in ended:
                _forget(tx, share, now)
        return len(ended)


def _forget(tx: Transaction, share: Share, now: datetime) -> None:
    assert share.until is not None
    name, _ = tx.environments.name_and_state(share.environment_id)
    tx.shares.remove(share.environment_id, share.subject)
    text = f"{name}: the share with {share.subject} as {share.role.value} ended at {share.until:%Y-%m-%d %H:%M} UTC"
    _tell(tx, EventType.ENVIRONMENT_UNSHARED, share, CLOCK.owner, now, text)
    tx.audit.add(entry_of(CLOCK, Action.ENVIRONMENT_SHARE))
    tx.audit.changed(
        before=_told(share),
        object_kind=ENVIRONMENT,
        object_id=share.environment_id,
        object_name=name,
        rule=f"the end that {share.by} gave the share",
    )


def _lock(tx: Transaction, subject: str) -> None:
    """People are locked before environments everywhere, so that no two transactions wait for each other."""
    if not subject.strip().startswith(GROUP):
        tx.people.get(subject.strip())


def _check_gives(principal: Principal, role: EnvironmentRole, *, reveal: bool) -> None:
    """Raises `Forbidden` for a role that may do more than the caller's token."""
    actions = None if principal.scope is None else principal.scope.actions
    if actions is None:
        return
    beyond = sorted(action.value for action in actions_of(role, reveal=reveal) if action.value not in actions)
    if beyond:
        raise Forbidden(
            f"The token can't share as {role.value}: it isn't for {', '.join(beyond)} itself.",
            hint="Nobody gives more than they have: use a token without limits.",
            details={"actions": list(actions)},
        )


def _not_shared(
    tx: Transaction, principal: Principal, environment: Environment, said: str, *, own: bool
) -> InvalidInput | NotFound:
    if said == environment.owner:
        return InvalidInput(
            f"{said} owns {environment.name!r}; that is no share.",
            hint=f"Give it to somebody else: `calvinverse env transfer {environment.name} NAME`.",
        )
    known = [share.subject for share in tx.shares.of(environment.id)]
    if own:
        groups = [subject for subject in known if subject in principal.subjects]
        hint = f"You see it because it is shared with {' and '.join(groups)}." if groups else ""
        return NotFound(f"Environment {environment.name!r} isn't shared with you yourself.", hint=hint)
    message = f"Environment {environment.name!r} isn't shared with {said!r}."
    return NotFound(told(message, said, known), hint=f"See `calvinverse env access {environment.name}`.")


def _access(tx: Transaction, principal: Principal, environment: Environment) -> EnvironmentAccess:
    shares = tuple(tx.shares.of(environment.id))
    return EnvironmentAccess(environment, shares, _by_token(principal, access_of(tx, principal, environment)))


def _by_token(principal: Principal, mine: Access) -> Access:
    """What the caller is, with what their token leaves of it."""
    actions = None if principal.scope is None else principal.scope.actions
    if mine.role is None or actions is None:
        return mine
    told = f"The token is limited to {', '.join(actions) or 'reading'}."
    reveal = mine.reveal and Action.ENVIRONMENT_REVEAL.value in actions
    return mine.model_copy(update={"reveal": reveal, "reasons": (*mine.reasons, told)})


def _tell(tx: Transaction, type: EventType, share: Share, by: str, now: datetime, message: str) -> None:
    tx.events.add(type, share.environment_id, now, message=message, data={"by": by, **_data(share)})


def _data(share: Share) -> dict[str, Any]:
    return share.model_dump(mode="json", include={"subject", "role", "reveal", "until"})


def _told(share: Share | None) -> dict[str, Any]:
    return {} if share is None else {"share": _data(share)}


def _words(environment: Environment, share: Share) -> str:
    end = f" until {share.until:%Y-%m-%d %H:%M} UTC" if share.until is not None else ""
    secrets = ", with its secrets" if share.reveal else ""
    return f"{share.by} shared {environment.name} with {share.subject} as {share.role.value}{secrets}{end}"
