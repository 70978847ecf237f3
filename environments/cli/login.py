"""Signing in from the command line: in a browser of this machine, or of another one by a short code."""

import os
import socket
import sys
import time
import webbrowser
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from environments import named_contexts, stored_sessions
from environments.addresses import check_safe_address, is_loopback
from environments.authorities import PinnedAuthority, read_authority_file
from environments.client import Client
from environments.client.loopback import Attempt, Endpoints, SignedIn
from environments.client.trust import trusted
from environments.context import Context, find_context, load_context, state_folder, stored_context
from environments.domain.errors import (
    AuthorizationPending,
    InvalidInput,
    NotFound,
    ServiceUnavailable,
    SignInRefused,
    SlowDown,
)
from environments.domain.suggesting import told
from environments.moments import coarse, moment
from environments.stored_sessions import StoredSession
from environments.wire.sign_in import (
    ClaimReportView,
    ClaimRuleView,
    DeviceRequest,
    DeviceTokenRequest,
    DeviceTokenView,
    ExchangeRequest,
    ProviderView,
)

if TYPE_CHECKING:
    from environments.cli.session import Session

_SLOWER_BY = 5
"""Seconds that are added to the interval when the service says so (RFC 8628, 3.5)."""


def sign_in(
    session: "Session", *, provider: str | None, device: bool, browser: bool, dry_run: bool, ca: Path | None
) -> None:
    """Signs in, and keeps the session for the context. Raises `SignInRefused`, `InvalidInput`, `NotFound`."""
    if session.token_file is not None:
        raise InvalidInput("--token-file has no place here: signing in makes a token.")
    if dry_run and device:
        raise InvalidInput(
            "--dry-run needs a browser on this machine.", hint="The page `/claims` of the service shows the same."
        )
    state = state_folder()
    context, new = context_for(session, state, ca)
    with Client(context.address, None, ca_file=context.ca_file, pinned=context.pinned) as client:
        if device or (browser and not dry_run and not _has_browser()):
            if not device:
                session.say("There is no browser here: sign in with one of another machine.")
            made = _by_device(session, client)
            name, secret, view, by = made.user_name, made.access_token, made.session, ""
        else:
            chosen = _provider(client, provider)
            signed = _in_browser(session, context, chosen, browser)
            request = ExchangeRequest(
                provider=chosen.name,
                identity_token=signed.identity_token,
                nonce=signed.nonce,
                machine=socket.gethostname()[:100],
            )
            if dry_run:
                report = client.try_claims(request)
                session.show(report, lambda: report_lines(report))
                return
            begun = client.exchange(request)
            name, secret, view, by = begun.user_name, begun.secret, begun.session, chosen.name
    kept = StoredSession(address=context.address, user_name=name, provider=by, ends_at=view.ends_at)
    keep(state, context, new, kept, secret)
    session.show(
        {"user_name": name, "context": context.name, "address": context.address, "session": view},
        lambda: [f"You are {_one_line(name)} at {context.address}."],
    )
    if view.ends_at is not None and view.idle_seconds is not None:
        idle = coarse(timedelta(seconds=view.idle_seconds))
        session.say(f"The session ends {moment(view.ends_at, session.zone)}, or when it isn't used for {idle}.")
    use = "" if named_contexts.current(state) == context.name else f" --context {context.name}"
    session.say(f"Next: `calvinverse{use} env list`, or `calvinverse whoami`.")


def keep(
    state: Path, context: Context, new: named_contexts.NamedContext | None, kept: StoredSession, secret: str
) -> None:
    """Stores a session for the context, and the context itself if it is new; the first one is used from now on."""
    if new is not None:
        named_contexts.store(state, context.name, new, None)
        if stored_context(state) is None and named_contexts.names(state) == [context.name]:
            named_contexts.use(state, context.name)
    stored_sessions.store(state, context.name, kept, secret)


def context_for(session: "Session", state: Path, ca: Path | None) -> tuple[Context, named_contexts.NamedContext | None]:
    """The context to sign in to, and what to store of it if it is new."""
    if not session.address:
        if ca is not None:
            raise InvalidInput("--ca is for a new context.", hint="Give its --address too.")
        context = find_context(name=session.context_name)
        if not context.name:
            raise NotFound("There is no context to sign in to.", hint="Give --address with the address of the service.")
        return context, None
    address = check_safe_address(session.address)
    for name in (named_contexts.DEFAULT, *named_contexts.names(state)):
        try:
            known = load_context(state, name)
        except (NotFound, InvalidInput):
            continue
        if known.address.rstrip("/") == address.rstrip("/"):
            return known, None
    authority = read_authority_file(ca, session.now()) if ca is not None else ""
    name = _name_of(address, named_contexts.names(state))
    new = named_contexts.NamedContext(address=address, authority=authority)
    pinned = PinnedAuthority(authority, name) if authority else None
    return Context(address=address, name=name, pinned=pinned), new


def _name_of(address: str, taken: list[str]) -> str:
    host = (urlsplit(address).hostname or "service").replace(":", "-").strip("[]-.").lower() or "service"
    names = (host[:55] if number == 1 else f"{host[:55]}-{number}" for number in range(1, len(taken) + 2))
    return next(named_contexts.check_name(name) for name in names if name not in taken)


def _provider(client: Client, wanted: str | None) -> ProviderView:
    found = client.providers()
    if not found:
        raise SignInRefused(
            "This service has no provider to sign in with.",
            hint="Use a token: `calvinverse context add`, or --token-file. An admin sets providers up.",
        )
    names = [one.name for one in found]
    if wanted is None and len(found) > 1:
        raise InvalidInput(f"There are several providers: {', '.join(names)}.", hint="Choose one with --provider.")
    chosen = found[0] if wanted is None else next((one for one in found if one.name == wanted), None)
    if chosen is None:
        raise NotFound(told(f"There is no provider {wanted!r}.", wanted or "", names))
    if not chosen.client_id or not chosen.authorization_endpoint or not chosen.token_endpoint:
        why = chosen.trouble or f"{chosen.title} has no client for programs."
        raise SignInRefused(why, hint="Sign in with `calvinverse login --device`.")
    return chosen


def _in_browser(session: "Session", context: Context, provider: ProviderView, browser: bool) -> SignedIn:
    for address in (provider.authorization_endpoint, provider.token_endpoint):
        _check_endpoint(address)
    endpoints = Endpoints(
        issuer=provider.issuer,
        client_id=provider.client_id,
        authorization=provider.authorization_endpoint,
        token=provider.token_endpoint,
        scopes=tuple(provider.scopes),
    )
    ours = _origin(provider.token_endpoint) == _origin(context.address)
    trust = (
        trusted(provider.token_endpoint, context.ca_file, context.pinned)
        if ours
        else trusted(provider.token_endpoint, None, None)
    )
    attempt = Attempt(endpoints)
    try:
        session.say(f"Sign in with {_one_line(provider.title)} in a browser of this machine, at:")
        session.say(attempt.address)
        if browser and not _opened(attempt.address):
            session.say("No browser could be opened: open the address yourself.")
        return attempt.wait(trust)
    finally:
        attempt.close()


def _check_endpoint(address: str) -> None:
    """Raises `SignInRefused` unless a provider may be at this address: it gets codes, and the browser opens it."""
    parts = urlsplit(address)
    local = parts.scheme == "http" and is_loopback(address)
    if not address.isprintable() or not parts.hostname or parts.username or not (parts.scheme == "https" or local):
        raise SignInRefused(
            f"The service names an address for signing in that isn't safe: {address[:200]!r}.",
            hint="Only https, and http on this machine, is. Tell an admin of the service.",
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:100]


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc


def _opened(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False


def _has_browser() -> bool:
    """Whether a browser that is opened here is one in front of the person."""
    if any(os.environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY")):
        return False
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return bool(os.environ.get("BROWSER"))
    return True


def _by_device(session: "Session", client: Client) -> DeviceTokenView:
    """The session of a machine that somebody approves on a page (RFC 8628)."""
    asked = client.begin_device(DeviceRequest(machine=socket.gethostname()[:100] or "a machine"))
    session.say(f"Open {_one_line(asked.verification_uri)} in a browser of any machine, sign in, and type the code:")
    session.say(f"    {_one_line(asked.user_code)}")
    session.say("Approve it only if you see this very code there.")
    interval, until = asked.interval, time.monotonic() + asked.expires_in
    while time.monotonic() < until:
        time.sleep(interval)
        try:
            return client.ask_device(DeviceTokenRequest(device_code=asked.device_code))
        except AuthorizationPending:
            continue
        except SlowDown:
            interval += _SLOWER_BY
        except ServiceUnavailable as error:
            session.say(f"{error.message} It is asked again.")
    raise SignInRefused("Nobody has approved this machine in time.")


def report_lines(report: ClaimReportView) -> list[str]:
    """The lines of `login --dry-run`."""
    lines = [
        f"{report.provider} says who you are: {report.subject} of {report.issuer}.",
        f"User name here: {report.user_name}." if report.user_name else "You have never signed in here.",
        "",
        "Claims:",
        *(f"  {claim.name} = {claim.value}" for claim in report.claims),
        "",
    ]
    for title, rules in (("Who may sign in:", report.conditions), ("Rules for roles:", report.rules)):
        if rules:
            lines += [title, *map(_rule, rules)]
    groups = ", ".join(report.groups or ()) or "none"
    if report.groups is None:
        groups = "the claim did not come; earlier ones stay"
    lines += [f"Groups: {groups}.", f"Role: {report.role}{' (kept from earlier)' if report.role_kept else ''}."]
    lines.append(f"Signing in would be refused: {report.refusal}" if report.refusal else "Signing in would succeed.")
    return lines


def _rule(rule: ClaimRuleView) -> str:
    return f"  ✓ {rule.text}" if rule.matched else f"  ✗ {rule.text}: {rule.why}"
