"""Signing in: from what a provider says of a person to a session.

A person is known by issuer and subject for ever; names, addresses and groups are only what was said last. An identity
token is good for one session. Who may sign in, and with which role, is decided by the provider's rules each time.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from environments.domain.access import USER_NAME, Membership, Person, PersonKind, ServiceRole, TokenScope
from environments.domain.claim_rules import Judgement, RuleReport
from environments.domain.errors import Forbidden, NameTaken, NotFound, SignInRefused
from environments.service.auditing import SIGN_IN, entry_of, told_already
from environments.service.authorization import Principal
from environments.service.sessions import KIND, NewSession, Sessions, about
from environments.service.sign_in_ports import Claims, IdentityProvider, IdentityProviders
from environments.service.storage.audit import AuditEntry
from environments.service.storage.transaction import Storage, Transaction
from environments.service.user_names import user_name

_LONGEST = {"display_name": 200, "email": 320}
_LONGEST_SUBJECT = 255
_MOST_GROUPS = 500
_LONGEST_GROUP = 200
_LARGEST_VALUE = 2_000
"""Characters of a claim's value that a report keeps."""

_MOST_CLAIMS = 60
_ANEW = 5
"""How often a first sign-in starts over when somebody else was faster."""


@dataclass(frozen=True)
class RuleResult:
    """A rule of the provider: as text, whether it matched, and why."""

    text: str
    matched: bool
    why: str


@dataclass(frozen=True)
class ClaimReport:
    """What claims came, what the rules made of them, and whom they are of.

    `conditions` decide who may sign in at all: none, or one must match. `role_kept`: a rule that would give more
    couldn't be decided, so the role of the sign-in before stays. `groups` None: the claim of groups did not come.
    `refusal` is empty for somebody who may sign in. `person`: the user name; empty for somebody who never signed in.
    `claims`: name and value as text.
    """

    provider: str
    issuer: str
    subject: str
    person: str
    role: str
    groups: tuple[str, ...] | None
    refusal: str
    role_kept: bool
    conditions: tuple[RuleResult, ...]
    rules: tuple[RuleResult, ...]
    claims: tuple[tuple[str, str], ...]
    at: datetime


@dataclass(frozen=True)
class Profile:
    """Who is signed in, in which groups and with which role, by which token and until when (None: no end)."""

    person: Person | None
    owner: str
    role: str
    groups: tuple[Membership, ...]
    kind: str
    token_id: str
    provider: str
    signed_in_at: datetime
    ends_at: datetime | None
    scope: TokenScope | None = None
    """What the token is limited to."""


class SignIn:
    """Signs people in, and tells them what came of it."""

    def __init__(
        self,
        storage: Storage,
        sessions: Sessions,
        providers: IdentityProviders,
        clock: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._sessions = sessions
        self.providers = providers
        self._clock = clock

    def exchange(
        self, provider: str, identity_token: str, *, nonce: str | None, address: str, note: str = "command line"
    ) -> NewSession:
        """A session for an identity token of that provider's public client, once.

        Raises `NotFound`, `SignInRefused`, `BackendUnavailable`, `BackendError`.
        """
        known = self.providers.named(provider)
        return self.finish(known.verify(identity_token, nonce=nonce), known, address=address, note=note)

    def try_out(self, provider: str, identity_token: str, *, nonce: str | None) -> ClaimReport:
        """What an exchange of the token would do, and why; changes nothing. Raises as `exchange` does."""
        known = self.providers.named(provider)
        return self.report(known.verify(identity_token, nonce=nonce), known)

    def finish(self, claims: Claims, provider: IdentityProvider, *, address: str, note: str) -> NewSession:
        """The session of whom the claims are of. Raises `SignInRefused`; the refusal is in the audit log."""
        judgement = provider.judge(claims)
        for _ in range(_ANEW):
            # They signed in for the first time at the same moment elsewhere, or somebody else got the user name.
            with suppress(NameTaken):
                return self._finish(claims, provider, judgement, address, note)
        return self._finish(claims, provider, judgement, address, note)

    def _finish(
        self, claims: Claims, provider: IdentityProvider, judgement: Judgement, address: str, note: str
    ) -> NewSession:
        now = self._clock()
        made: NewSession | None = None
        with self._storage.write() as tx:
            # A token that has expired here may still be taken by a provider's clock that is behind.
            fresh = tx.sign_ins.use(claims.token_hash, max(claims.expires_at, now) + (now - claims.issued_at) * 2, now)
            person = _known(tx, claims)
            refusal = "This identity token was used before." if not fresh else _refusal(claims, judgement, person)
            if refusal:
                tx.audit.add(_refused(claims, provider, person, address, refusal, now))
                told_already()
            else:
                person = self._refreshed(tx, claims, provider, judgement, person, now)
                made = self._sessions.begin(tx, person, address=address, note=note)
                told = _told(claims, provider, judgement, person, now)
                tx.sign_ins.keep_report(person.name, _as_json(told), now)
                principal = Principal(person.name, "user", made.token.id, kind=KIND, address=address, at=now)
                entry = replace(entry_of(principal, SIGN_IN), role=judgement.role)
                after = {"provider": provider.name, "groups_claim": claims.groups is not None}
                tx.audit.add(replace(about(entry, made.token), after=after))
        if made is None:
            raise SignInRefused(refusal, hint="Ask an admin of Calvinverse.")
        return made

    def is_person(self, name: str) -> bool:
        """Whether a person has this user name."""
        if not USER_NAME.fullmatch(name):
            return False
        with self._storage.read() as tx:
            found = tx.people.get(name)
        return found is not None and found.kind is PersonKind.PERSON

    def report(self, claims: Claims, provider: IdentityProvider) -> ClaimReport:
        """What came, and what a sign-in with it would do; changes nothing."""
        judgement = provider.judge(claims)
        with self._storage.read() as tx:
            person = _known(tx, claims)
        return _told(claims, provider, judgement, person, self._clock())

    def last_report(self, principal: Principal, person: str = "") -> ClaimReport | None:
        """What came with the last sign-in: one's own, for an admin also another's. Raises `Forbidden`, `NotFound`."""
        person = person or principal.owner
        if person != principal.owner and principal.role != "admin":
            raise Forbidden("Only an admin can see the claims of others.")
        with self._storage.read() as tx:
            if person != principal.owner and tx.people.get(person) is None:
                raise NotFound(f"There is no person {person!r}.", hint="See them with `calvinverse user list`.")
            found = tx.sign_ins.report(person)
        return None if found is None else _from_json(*found)

    def profile(self, principal: Principal) -> Profile:
        """Who the principal is, now. Raises `Unauthenticated` when the token has just gone."""
        token = self._sessions.current(principal)
        with self._storage.read() as tx:
            person = tx.people.get(principal.owner)
            groups = tx.groups.of(principal.owner)
        issuer = person.issuer if person is not None else None
        provider = next((one.title for one in self.providers.all() if one.issuer == issuer), issuer or "")
        began = person.signed_in_at if person is not None and person.signed_in_at else token.created_at
        return Profile(
            person=person,
            owner=principal.owner,
            role=principal.role,
            groups=tuple(groups),
            kind=token.kind,
            token_id=token.id,
            provider=provider,
            signed_in_at=min(began, token.created_at),
            ends_at=token.expires_at,
            scope=principal.scope,
        )

    def _refreshed(
        self,
        tx: Transaction,
        claims: Claims,
        provider: IdentityProvider,
        judgement: Judgement,
        person: Person | None,
        now: datetime,
    ) -> Person:
        """The person with what the claims say now. Raises `NameTaken` when somebody was faster."""
        said: dict[str, Any] = {
            "display_name": _line(claims.display_name, _LONGEST["display_name"]),
            "email": _line(claims.email, _LONGEST["email"]),
            "claim_role": _role(judgement, person),
            "signed_in_at": now,
        }
        groups = _groups(claims.groups)
        if groups is not None:
            said["claim_groups"] = groups
        if person is None:
            name = user_name((claims.username, claims.display_name), tx.people.taken)
            person = Person(
                name=name,
                kind=PersonKind.PERSON,
                issuer=claims.issuer,
                subject=claims.subject,
                created_at=now,
                created_by=provider.name,
                **said,
            )
            tx.people.add(person)
        else:
            said["subject"] = claims.subject
            values = said | {"claim_role": said["claim_role"].value}
            if groups is not None:
                values["claim_groups"] = list(groups)
            tx.people.change(person.name, **values)
            person = person.model_copy(update=said)
        if groups is not None:
            tx.groups.set_claimed(person.name, provider.name, groups, now)
        return person


def _known(tx: Transaction, claims: Claims) -> Person | None:
    """The person of the claims' identity; else the one of the built-in provider for whom the user name is kept.

    Only `ManageLocalPeople.create` keeps names with an issuer and no subject, and that provider alone tells user names
    which admins have chosen.
    """
    person = tx.people.by_identity(claims.issuer, claims.subject)
    if person is None and USER_NAME.fullmatch(claims.username):
        kept = tx.people.get(claims.username)
        if kept is not None and kept.kind is PersonKind.PERSON and (kept.issuer, kept.subject) == (claims.issuer, None):
            return kept
    return person


def _refusal(claims: Claims, judgement: Judgement, person: Person | None) -> str:
    """Why they can't sign in; empty if they can."""
    if len(claims.subject) > _LONGEST_SUBJECT or not claims.subject:
        return "The provider names this person in a way that can't be stored."
    if person is not None and person.disabled_at is not None:
        return f"{person.name} is disabled."
    if not judgement.signs_in:
        return "None of the provider's conditions for signing in is met."
    return ""


def _role(judgement: Judgement, person: Person | None) -> ServiceRole:
    """The role that the rules give; that of the sign-in before if it is higher and a rule couldn't be decided."""
    role = ServiceRole(judgement.role)
    if judgement.role_undecided and person is not None and person.claim_role.rank > role.rank:
        return person.claim_role
    return role


def _refused(
    claims: Claims, provider: IdentityProvider, person: Person | None, address: str, reason: str, now: datetime
) -> AuditEntry:
    return AuditEntry(
        action=SIGN_IN,
        actor=person.name if person is not None else f"{provider.name}:{_line(claims.subject, 150)}",
        actor_kind="person",
        address=address,
        outcome="refused",
        code=SignInRefused.code,
        reason=reason,
        at=now,
    )


def _groups(said: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The groups that can be stored, each once."""
    if said is None:
        return None
    good = [value for value in dict.fromkeys(said) if value and value.isprintable() and len(value) <= _LONGEST_GROUP]
    return tuple(good[:_MOST_GROUPS])


def _line(text: str, longest: int) -> str:
    """One line of a text: what can't be shown is left out."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:longest]


def _told(
    claims: Claims, provider: IdentityProvider, judgement: Judgement, person: Person | None, now: datetime
) -> ClaimReport:
    role = _role(judgement, person)
    return ClaimReport(
        provider=provider.name,
        issuer=claims.issuer,
        subject=claims.subject,
        person=person.name if person is not None else "",
        role=role.value,
        groups=_groups(claims.groups),
        refusal=_refusal(claims, judgement, person),
        role_kept=role.value != judgement.role,
        conditions=_results(judgement.conditions),
        rules=_results(judgement.rules),
        claims=_shown(claims.raw),
        at=now,
    )


def _results(reports: Sequence[RuleReport]) -> tuple[RuleResult, ...]:
    return tuple(RuleResult(one.text, one.matched, one.why) for one in reports)


def _shown(raw: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for name, value in list(raw.items())[:_MOST_CLAIMS]:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        pairs.append((_line(name, 200), _line(text, _LARGEST_VALUE)))
    return tuple(pairs)


def _as_json(report: ClaimReport) -> dict[str, Any]:
    values = asdict(report)
    del values["at"]
    return values


def _from_json(stored: Mapping[str, Any], at: datetime) -> ClaimReport:
    groups = stored["groups"]
    return ClaimReport(
        **{
            **stored,
            "groups": None if groups is None else tuple(groups),
            "conditions": tuple(RuleResult(**one) for one in stored["conditions"]),
            "rules": tuple(RuleResult(**one) for one in stored["rules"]),
            "claims": tuple((name, value) for name, value in stored["claims"]),
            "at": at,
        }
    )
