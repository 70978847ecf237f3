"""Records of signing in as models of the API."""

from typing import Literal, cast

from environments.domain.errors import BackendError
from environments.service.sessions import NewSession
from environments.service.sign_in import ClaimReport, Profile, RuleResult
from environments.service.sign_in_ports import IdentityProvider
from environments.service.storage.tokens import TokenRecord
from environments.wire.sign_in import (
    ClaimReportView,
    ClaimRuleView,
    ClaimView,
    GroupOfView,
    NewSessionView,
    ProviderView,
    SessionView,
    WhoView,
)

_Role = Literal["admin", "auditor", "user"]


def provider(known: IdentityProvider) -> ProviderView:
    """A provider, whether it answers or not."""
    trouble = ""
    try:
        public = known.public()
    except BackendError as error:
        public, trouble = None, error.message
    return ProviderView(
        name=known.name,
        title=known.title,
        issuer=known.issuer,
        client_id=public.client_id if public else "",
        authorization_endpoint=public.authorization_endpoint if public else "",
        token_endpoint=public.token_endpoint if public else "",
        scopes=list(public.scopes if public else known.scopes),
        trouble=trouble,
    )


def session(token: TokenRecord, current: str = "") -> SessionView:
    """A session; `current`: the id of the token of the request."""
    return SessionView(
        id=token.id,
        owner=token.owner,
        note=token.note,
        address=token.address,
        created_at=token.created_at,
        last_used_at=token.last_used_at,
        ends_at=token.expires_at,
        idle_seconds=token.idle_seconds,
        current=token.id == current,
    )


def new_session(made: NewSession) -> NewSessionView:
    """A session with its secret."""
    return NewSessionView(
        secret=made.secret,
        user_name=made.person.name,
        display_name=made.person.display_name,
        session=session(made.token),
    )


def who(profile: Profile) -> WhoView:
    """Who the caller is."""
    person = profile.person
    signed_in = person is not None and person.issuer is not None
    return WhoView(
        user_name=profile.owner,
        display_name=person.display_name if person else "",
        email=person.email if person else "",
        role=cast(_Role, profile.role),
        groups=[GroupOfView(name=one.group, source=one.source) for one in profile.groups],
        kind=profile.kind,
        token_id=profile.token_id,
        provider=profile.provider,
        signed_in_at=profile.signed_in_at if signed_in else None,
        ends_at=profile.ends_at,
        scope=profile.scope,
    )


def claims(report: ClaimReport) -> ClaimReportView:
    """What came, and what came of it."""
    return ClaimReportView(
        provider=report.provider,
        issuer=report.issuer,
        subject=report.subject,
        user_name=report.person,
        role=cast(_Role, report.role),
        role_kept=report.role_kept,
        groups=None if report.groups is None else list(report.groups),
        refusal=report.refusal,
        conditions=list(map(_rule, report.conditions)),
        rules=list(map(_rule, report.rules)),
        claims=[ClaimView(name=name, value=value) for name, value in report.claims],
    )


def _rule(rule: RuleResult) -> ClaimRuleView:
    return ClaimRuleView(text=rule.text, matched=rule.matched, why=rule.why)
