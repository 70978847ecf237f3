"""Tokens of CI systems, exchanged for short tokens of service accounts: no secret is stored in the CI system."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import structlog

from environments.domain.access import PersonKind, TokenScope
from environments.domain.claim_rules import RuleReport, judge_program
from environments.domain.errors import SignInRefused, TooManyRequests
from environments.service.auditing import told_already
from environments.service.records import NewToken
from environments.service.roles import Action
from environments.service.service_accounts import CI_KIND
from environments.service.service_accounts import KIND as ACCOUNT
from environments.service.sign_in_ports import CiEntry, CiIssuers
from environments.service.storage.audit import AuditEntry
from environments.service.storage.transaction import Storage, Transaction
from environments.service.token_lines import fresh

ACTION = "account:exchange"
"""How the audit log names an exchange."""

LONGEST = timedelta(hours=1)
"""How long an exchanged token lives at most."""

MOST_LIVING = 1000
"""Exchanged tokens of one account that are valid at once."""

_TOLD = (
    "sub",
    "repository",
    "repository_id",
    "ref",
    "environment",
    "event_name",
    "job_workflow_ref",
    "actor",
    "run_id",
    "run_attempt",
    "project_path",
    "project_id",
    "ref_type",
    "pipeline_source",
    "user_login",
    "pipeline_id",
    "job_id",
)
"""Claims of GitHub and GitLab that the audit log keeps: which job it was, of which repository or project."""

_LONGEST_TOLD = 200
_ASK = "Ask an admin: the audit log says why."

log = structlog.get_logger()


class CiExchange:
    """Exchanges identity tokens of CI systems by the rules in the file of identity providers."""

    def __init__(
        self, storage: Storage, issuers: CiIssuers, clock: Callable[[], datetime], new_id: Callable[[str], str]
    ) -> None:
        self._storage = storage
        self._issuers = issuers
        self._clock = clock
        self._new_id = new_id

    def exchange(self, rule: str, identity_token: str, *, address: str) -> NewToken:
        """A token of the rule's account for an identity token that fits the rule, once.

        Raises `SignInRefused` (with names of claims and values of the caller's own token, but not what the rule wants,
        which is in the audit log), `TooManyRequests`, `BackendUnavailable`, `BackendError`.
        """
        claims = self._issuers.verify_program(rule, identity_token)
        entry = next((one for one in self._issuers.entries() if one.name == rule), None)
        if entry is None:
            raise SignInRefused("There is no CI system of this name.")
        reports = judge_program(entry.claims, claims)
        now = self._clock()
        made: NewToken | None = None
        with self._storage.write() as tx:
            refusal, reason = self._refusal(tx, entry, reports, claims, identity_token, now)
            about = AuditEntry(
                action=ACTION,
                actor=entry.account,
                actor_kind=CI_KIND,
                address=address,
                object_kind=ACCOUNT,
                object_id=entry.account,
                object_name=entry.account,
                rule=entry.name,
                at=now,
            )
            if refusal is not None:
                tx.audit.add(about)
                tx.audit.changed(outcome="refused", code=refusal.code, reason=reason, after=_told(claims))
                told_already()
            else:
                made = self._make(entry, now, address)
                tx.tokens.add(made.token)
                tx.audit.add(about)
                ends = made.token.expires_at
                kept = {"made": made.token.id, "expires_at": ends.isoformat() if ends else None, **_told(claims)}
                tx.audit.changed(after=kept, token_id=made.token.id)
        if made is None:
            assert refusal is not None
            raise refusal
        return made

    def _refusal(
        self,
        tx: Transaction,
        entry: CiEntry,
        reports: tuple[RuleReport, ...],
        claims: Mapping[str, object],
        token: str,
        now: datetime,
    ) -> tuple[SignInRefused | TooManyRequests | None, str]:
        """What is answered, None if the token is good; and the reason for the audit log."""
        missed = [report for report in reports if not report.matched]
        if missed:
            names = [name for name, report in zip(entry.claims, reports, strict=True) if not report.matched]
            ours = ", ".join(f"`{name}` is {_value(claims.get(name))}" for name in names)
            reason = "; ".join(f"{report.text}: {report.why}" for report in missed)
            hint = "An admin sees in the audit log what the rule wants: `calvinverse audit list`."
            return SignInRefused(f"The rule {entry.name!r} is not for this job: {ours}.", hint=hint), reason
        account = tx.people.get(entry.account)
        if account is None or account.kind is not PersonKind.SERVICE_ACCOUNT:
            log.error("ci.account_missing", rule=entry.name, account=entry.account)
            why = f"The rule names {entry.account!r}, which is no service account."
            told = f"The rule {entry.name!r} can't be used now."
            return SignInRefused(told, hint=_ASK), why
        unknown = sorted(set(entry.actions or ()) - {action.value for action in Action})
        if unknown:
            why = f"The rule names actions that there aren't: {', '.join(unknown)}."
            return SignInRefused(f"The rule {entry.name!r} can't be used now.", hint=_ASK), why
        if account.disabled_at is not None:
            told = f"The service account of the rule {entry.name!r} is disabled."
            return SignInRefused(told, hint="Ask an admin."), told
        living = [one for one in tx.tokens.living(entry.account, now) if one.kind == CI_KIND]
        if len(living) >= MOST_LIVING:
            first = min(one.expires_at for one in living if one.expires_at is not None)
            after = max(1, int((first - now).total_seconds()) + 1)
            told = f"{entry.account} has {len(living)} valid tokens of CI systems; the limit is {MOST_LIVING}."
            return TooManyRequests(told, details={"retry_after": after}), told
        issued, ends = _moment(claims, "iat", now), _moment(claims, "exp", now)
        # A token that has expired here may still be taken by a clock that is behind.
        used_until = max(ends, now) + abs(now - issued) * 2
        if not tx.sign_ins.use(sha256(token.encode()).hexdigest(), used_until, now):
            told = "This identity token was used before."
            return SignInRefused(told, hint="Get another one from the CI system for each sign-in."), told
        return None, ""

    def _make(self, entry: CiEntry, now: datetime, address: str) -> NewToken:
        made = fresh(self._new_id("tok"), entry.account, "own", f"by the rule {entry.name}", now)
        limited = entry.actions is not None or entry.templates is not None
        token = made.token._replace(
            expires_at=now + min(entry.ttl, LONGEST),
            kind=CI_KIND,
            scope=TokenScope(actions=entry.actions, templates=entry.templates) if limited else None,
            address=address,
        )
        return made._replace(token=token)


def _moment(claims: Mapping[str, object], name: str, otherwise: datetime) -> datetime:
    """A time of a verified token."""
    value = claims.get(name)
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else otherwise


def _told(claims: Mapping[str, object]) -> dict[str, str]:
    return {name: _value(claims[name]) for name in _TOLD if claims.get(name) is not None}


def _value(value: object) -> str:
    """A claim's value on one line."""
    if value is None:
        return "missing"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:_LONGEST_TOLD]
