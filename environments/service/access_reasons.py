"""Why somebody may or may not do something: what they have and because of what, what is missing, who can give it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from environments.domain.access import GROUP, EnvironmentRole, Membership, Person, ServiceRole, Share
from environments.domain.environment import Environment
from environments.domain.errors import CalvinverseError, Forbidden, InvalidInput, Unauthenticated, UnknownEnvironment
from environments.domain.suggesting import told
from environments.domain.template import Bundle
from environments.service.authorization import (
    Action,
    Principal,
    access_of,
    check_create,
    check_service,
    environment_to_read,
    may,
)
from environments.service.catalogue import unknown_template
from environments.service.roles import APPLIES, ON_ENVIRONMENTS, ON_SERVICE, short
from environments.service.storage.transaction import Storage, Transaction
from environments.service.subjects import known_person, lists_people
from environments.service.token_lines import LONGEST_LINE, principal_of

MOST_TOKENS = 20
"""Tokens that are looked at for somebody else's rights."""

ME = "me"


@dataclass(frozen=True)
class Reasons:
    """The answer. All texts are sentences. `needs`: what the action takes; `has`: what they have, because of what.

    `missing`: what they would need. `givers`: who can give it. `role` is that on the environment, None without one.
    """

    person: str
    action: Action
    environment: str | None
    template: str | None
    allowed: bool
    needs: str
    role: EnvironmentRole | None
    service_role: ServiceRole
    has: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    givers: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Asked:
    action: Action
    environment: Environment | None
    becomes: Bundle | None


class AccessReasons:
    """Answers why; changes nothing."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock

    def why(
        self,
        principal: Principal,
        person: str,
        action: str,
        environment: str | None = None,
        template: str | None = None,
    ) -> Reasons:
        """Why a person can or can't; everybody may ask about themselves (`me`), admins and auditors about anybody.

        To create takes the name of a template, other actions on environments that of one. Raises `Forbidden`,
        `NotFound`, `UnknownEnvironment` for what the caller doesn't see, `UnknownTemplate`, `InvalidInput`.
        """
        now = self._clock()
        which = read_action(action)
        own = person.strip() in (ME, principal.owner)
        if not own:
            check_service(principal, Action.ACCESS_EXPLAIN)
        with self._storage.read() as tx:
            asked = _asked(tx, principal, which, environment, template)
            if own:
                return _reasons(tx, principal, principal, asked, tx.people.get(principal.owner), now)
            found = known_person(tx, principal, person.strip())
            return _reasons(tx, principal, _as_signed_in(tx, found.name, now), asked, found, now)


def read_action(said: str) -> Action:
    """The action of that name, such as `environment:update`, `update` or `roll-back`. Raises `InvalidInput`."""
    typed = said.strip().lower().replace("-", "_").replace(" ", "_")
    by_name = {action.value: action for action in Action}
    by_short = {short(action): action for action in reversed(Action)}
    found = by_name.get(typed) or by_short.get(typed)
    if found is None:
        known = [*by_short, *by_name]
        raise InvalidInput(
            told(f"There is no action {said!r}.", typed, known), hint="See them with `calvinverse access table`."
        )
    return found


def _asked(
    tx: Transaction, principal: Principal, action: Action, environment: str | None, template: str | None
) -> _Asked:
    if action is Action.ENVIRONMENT_CREATE:
        if template is None:
            raise InvalidInput("Say from which template the environment would be created.", hint="Give --template.")
        push = tx.templates.find(template, None)
        bundle = None if push is None else tx.templates.bundle(push.digest)
        if bundle is None:
            raise unknown_template(tx, template, None)
        return _Asked(action, None, bundle)
    if action in ON_ENVIRONMENTS or action is Action.ENVIRONMENT_PIN_PAST_MAXIMUM:
        if environment is None:
            raise InvalidInput(f"{action.value} is done to an environment.", hint="Name one behind the action.")
        found = environment_to_read(tx, principal, environment)
        push = tx.templates.find(found.template, None) if action in APPLIES else None
        becomes = None if push is None else tx.templates.bundle(push.digest)
        if action in APPLIES and becomes is None:
            becomes = tx.templates.bundle(found.bundle)
        return _Asked(action, found, becomes)
    return _Asked(action, None, None)


def _as_signed_in(tx: Transaction, name: str, now: datetime) -> Principal:
    standing = tx.people.standing(name, now)
    role = standing.role.value
    return Principal(name, role, "", standing.groups, kind="session", at=now)  # type: ignore[arg-type]  # the same words


def _refused(tx: Transaction, who: Principal, asked: _Asked) -> CalvinverseError | None:
    """What refuses it to them; None: nothing does."""
    try:
        if asked.action is Action.ENVIRONMENT_CREATE and asked.becomes is not None:
            check_create(tx, who, asked.becomes.template())
        else:
            may(tx, who, asked.action, asked.environment, becomes=asked.becomes)
    except (Forbidden, UnknownEnvironment) as refused:
        return refused
    return None


def _reasons(
    tx: Transaction, asker: Principal, who: Principal, asked: _Asked, person: Person | None, now: datetime
) -> Reasons:
    refused = _refused(tx, who, asked)
    environment = asked.environment
    access = None if environment is None else access_of(tx, who, environment)
    disabled = person is not None and person.disabled_at is not None
    groups = {found.group: found for found in tx.groups.of(who.owner)}
    has = list(_of_environment(tx, who, environment, groups)) if environment is not None else []
    has += _of_service(tx, who, person, groups, now)
    has += _of_creators(tx, who, asked)
    has += _of_token(tx, who, now) if who is asker else _of_tokens(tx, who, asked, now, refused)
    missing = []
    if disabled and person is not None:
        missing.append(f"{person.name} is disabled, and can do nothing.")
    if refused is not None:
        missing.append(_missing(who, asked, refused))
    return Reasons(
        person=who.owner,
        action=asked.action,
        environment=None if environment is None else environment.name,
        template=None if asked.becomes is None or environment is not None else asked.becomes.template().name,
        allowed=refused is None and not disabled,
        needs=_needs(asked.action),
        role=None if access is None else access.role,
        service_role=ServiceRole(who.role),
        has=tuple(has),
        missing=tuple(missing),
        givers=tuple(_givers(tx, asker, asked, refused, now)) if refused is not None else (),
    )


def _needs(action: Action) -> str:
    service = ON_SERVICE.get(action)
    if action is Action.ENVIRONMENT_CREATE:
        return "Everybody may create from a template without rules about creators; else those whom a rule names."
    if action is Action.ENVIRONMENT_REVEAL:
        return "The role owner on the environment, or a share that lets reveal."
    if action in ON_ENVIRONMENTS:
        return f"The role {ON_ENVIRONMENTS[action].value} on the environment."
    if service is None or service is ServiceRole.USER:
        return "Everybody may do it to what is theirs."
    return f"The role {service.value} on the service."


def _missing(who: Principal, asked: _Asked, refused: CalvinverseError) -> str:
    if isinstance(refused, UnknownEnvironment) and asked.environment is not None:
        return f"{who.owner} doesn't see {asked.environment.name}: they don't own it, and it isn't shared with them."
    if "needs" in refused.details and asked.environment is not None and asked.action in ON_ENVIRONMENTS:
        needed = refused.details["needs"]
        if asked.action is Action.ENVIRONMENT_REVEAL:
            return "What is missing is the role owner on the environment, or a share that lets reveal."
        return f"What is missing is the role {needed} on the environment."
    return refused.message.replace("You are", f"{who.owner} is").replace("You may", f"{who.owner} may")


def _of_environment(
    tx: Transaction, who: Principal, environment: Environment, groups: dict[str, Membership]
) -> Iterator[str]:
    if who.scope is not None and not who.scope.reaches(environment.id, environment.template):
        yield "The token isn't for this environment."
    if environment.owner == who.owner:
        yield f"{who.owner} owns {environment.name}."
    elif environment.owner in who.subjects:
        yield f"{environment.owner} owns {environment.name}{_by(environment.owner, who, groups)}."
    for share in tx.shares.of(environment.id, who.subjects):
        yield _shared(share, who, groups)


def _shared(share: Share, who: Principal, groups: dict[str, Membership]) -> str:
    secrets = ", with its secrets" if share.reveal else ""
    given = f"{share.by} shared it with {share.subject} as {share.role.value}{secrets}"
    if share.until is None:
        return f"{given}{_by(share.subject, who, groups)}."
    until = f"{share.until:%Y-%m-%d %H:%M} UTC"
    if not share.holds(who.at):
        return f"{given}, and that ended at {until}."
    return f"{given} until {until}{_by(share.subject, who, groups)}."


def _by(subject: str, who: Principal, groups: dict[str, Membership]) -> str:
    """How somebody comes to be that subject, to follow a sentence; empty if they are it themselves."""
    found = groups.get(subject.removeprefix(GROUP)) if subject.startswith(GROUP) else None
    if found is None:
        return ""
    source = "by a claim" if found.source == "claim" else "by local choice"
    return f"; {who.owner} is in that group {source} since {found.since:%Y-%m-%d}"


def _of_service(
    tx: Transaction, who: Principal, person: Person | None, groups: dict[str, Membership], now: datetime
) -> Iterator[str]:
    for grant in tx.service_roles.all():
        if grant.subject in who.subjects:
            until = "" if grant.until is None else f" until {grant.until:%Y-%m-%d %H:%M} UTC"
            ended = grant.until is not None and grant.until <= now
            given = f"{grant.by} gave {grant.subject} the service role {grant.role.value}{until}"
            yield f"{given}, and that has ended." if ended else f"{given}{_by(grant.subject, who, groups)}."
    if person is not None and person.claim_role is not ServiceRole.USER:
        when = "" if person.signed_in_at is None else f" at the sign-in of {person.signed_in_at:%Y-%m-%d %H:%M} UTC"
        yield f"A rule of the provider {person.issuer} gave them the service role {person.claim_role.value}{when}."


def _of_creators(tx: Transaction, who: Principal, asked: _Asked) -> Iterator[str]:
    if asked.action is not Action.ENVIRONMENT_CREATE or asked.becomes is None:
        return
    for rule in tx.creators.of(asked.becomes.template().name):
        if rule.subject in who.subjects:
            most = "" if rule.most is None else f", {rule.most} at once for each person"
            yield f"{rule.by} lets {rule.subject} create from it{most}."


def _of_token(tx: Transaction, who: Principal, now: datetime) -> Iterator[str]:
    """What the caller's own token adds or takes."""
    standing = tx.people.standing(who.owner, now)
    if ServiceRole(who.role) is not standing.role:
        yield f"The token has the role {who.role}; without it they are {standing.role.value}."
    if who.scope is not None:
        limits = [f"{name} {', '.join(some)}" for name, some in who.scope if some is not None]
        yield f"The token is limited to {'; '.join(limits) or 'nothing'}."


def _of_tokens(
    tx: Transaction, who: Principal, asked: _Asked, now: datetime, refused: CalvinverseError | None
) -> Iterator[str]:
    """What somebody could do with tokens that have a role of their own."""
    if refused is None:
        return
    for token in [one for one in tx.tokens.living(who.owner, now) if one.role != "own"][:MOST_TOKENS]:
        try:
            holder = replace(principal_of(tx, tx.tokens.line(token.id, LONGEST_LINE), now), kind="token")
        except Unauthenticated:
            continue
        if _refused(tx, holder, asked) is None:
            yield f"With the token {token.id}, which has the role {holder.role}, they can."


def _givers(
    tx: Transaction, asker: Principal, asked: _Asked, refused: CalvinverseError, now: datetime
) -> Iterator[str]:
    on_environment = asked.environment is not None and asked.action in ON_ENVIRONMENTS
    if on_environment and asked.environment is not None:
        owners = {asked.environment.owner: None}
        for share in tx.shares.of(asked.environment.id):
            if share.role is EnvironmentRole.OWNER and share.holds(now):
                owners[share.subject] = None
        yield f"{' and '.join(owners)} can share {asked.environment.name}."
    known = [grant.subject for grant in tx.service_roles.all() if grant.role is ServiceRole.ADMIN]
    known += [claimed.person for claimed in tx.service_roles.claimed() if claimed.role is ServiceRole.ADMIN]
    named = f" ({', '.join(dict.fromkeys(known))})" if known and lists_people(asker) else ""
    yield f"An admin{named} can{' too' if on_environment else ' give it'}."
