"""The environment that a request asks for: checked against the template, not written yet."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.deadline import first_deadline, parse_duration
from environments.domain.environment import Deployment, Environment
from environments.domain.errors import NameTaken, NotAllowedNow, NotFound, UnknownTemplate
from environments.domain.lifecycle import ENDED, DeploymentKind, State
from environments.domain.names import META, check_environment_name, service_name
from environments.domain.template import Bundle
from environments.domain.template_parts import Template
from environments.domain.timing import Because, Source
from environments.service.authorization import Action, Allowed, Principal, check_template_name, may
from environments.service.catalogue import unknown_template
from environments.service.checking import Verdicts
from environments.service.deadlines import check_calendars, longest, new_rule, timed
from environments.service.parameters import split_secrets
from environments.service.running_again import WhyNot, any_step, check_steps
from environments.service.standing import standings
from environments.service.storage.transaction import Transaction
from environments.service.time_edits import check_action

LAST_GOOD = "last-good"
"""Given in place of a deployment's id: the deployment that last made the environment ready."""


class Draft(NamedTuple):
    """The environment that a request asks for. `secrets` are the secret parameters that come with the request.

    `allowed` proves that the caller may request it.
    """

    environment: Environment
    bundle: Bundle
    secrets: dict[str, Any]
    allowed: Allowed
    rollback_to: str | None = None
    """The earlier deployment whose template and parameters these are."""
    run_again: tuple[str, ...] = ()
    """Steps whose work is to run again."""


def new_environment(
    tx: Transaction,
    principal: Principal,
    request: CreateEnvironment,
    environment_id: str,
    now: datetime,
    verdicts: Verdicts,
) -> Draft:
    """The environment that a create request asks for.

    Raises `InvalidName`, `UnknownTemplate`, `InvalidParameters`, `InvalidLifetime`, `Forbidden`, what `Verdicts` raise.
    """
    check_template_name(principal, request.template)
    name = check_environment_name(request.name, reserved_allowed=request.template == META == request.name)
    tx.policies.share()
    tx.templates.hold(request.template)
    bundle = catalogued(tx, request.template, request.digest)
    template = bundle.template()
    environment = Environment(
        id=environment_id,
        name=name,
        owner=principal.owner,
        template=template.name,
        template_version=template.version,
        bundle=bundle.digest,
        network=template.network,
        state=State.REQUESTED,
        state_since=now,
        created_at=now,
    )
    allowed = may(tx, principal, Action.ENVIRONMENT_CREATE, environment, becomes=bundle)
    opened, secrets = split_secrets(template, verdicts.parameters(template, request.parameters))
    for service in _literal_services(template):
        service_name(name, service)
    lifetime = template.lifetime
    asked = request.ttl is not None or request.until is not None
    for asked_rule in request.asked_rules():
        check_action(asked_rule.action)
    rules = tuple(new_rule(one.action, one.rule, now, principal.owner) for one in request.asked_rules())
    check_calendars(tx, rules)
    chosen = first_deadline(
        now,
        default=lifetime.default,
        maximum=longest(tx, environment, lifetime.maximum) if asked else lifetime.maximum,
        ttl=None if request.ttl is None else parse_duration(request.ttl),
        until=request.until,
    )
    changes = timed(
        tx,
        environment,
        template,
        now,
        parameters=opened,
        template_maximum=now + lifetime.maximum if lifetime.maximum else None,
        **_chosen(chosen if asked or lifetime.default else None, principal.owner if asked else ""),
        rules=rules,
    )
    check_name_free(tx, principal, name)
    return Draft(environment.model_copy(update=changes), bundle, secrets, allowed)


def _chosen(at: datetime | None, by: str) -> dict[str, Any]:
    """`by` empty: the template's default lifetime."""
    if at is None:
        return {}
    because = Because(source=Source.PERSON, by=by) if by else Because(source=Source.LIFETIME)
    return {"set_deadline": at, "set_because": because}


def check_name_free(tx: Transaction, principal: Principal, name: str) -> None:
    """Raises `NameTaken`, with what this principal can do: not everybody may see whose the name is."""
    try:
        tx.environments.check_free(name)
    except NameTaken as taken:
        seen = tx.environments.named(name, sight=principal.sight)
        if seen is not None and seen.state not in ENDED:
            may_do = standings(tx, principal, [seen])[seen.id].may
            ways = ["Choose another name"]
            if "update" in may_do:
                ways.append(f"change that one with `calvinverse env update {name}`")
            if "destroy" in may_do:
                ways.append(f"destroy it first with `calvinverse env destroy {name}`")
            raise NameTaken(taken.message, hint=f"{_either(ways)}.") from None
        if principal.sight.unlimited or taken.hint != NameTaken.default_hint:
            raise
        raise NameTaken(
            f"The name {name!r} is taken.",
            hint="Choose another name: it belongs to somebody else, so it isn't in your `calvinverse env list`.",
        ) from None


def updated(
    tx: Transaction,
    principal: Principal,
    environment: Environment,
    request: UpdateEnvironment,
    now: datetime,
    verdicts: Verdicts,
    why_not_again: WhyNot = any_step,
    *,
    action: Action = Action.ENVIRONMENT_UPDATE,
) -> Draft:
    """The environment with the newest (or named) version of its template and changed parameters.

    Raises `UnknownTemplate`, `InvalidParameters`, `Forbidden`, what `Verdicts` raise, and `InvalidInput` for a step
    that can't be run again.
    """
    bundle = catalogued(tx, environment.template, request.digest)
    allowed = may(tx, principal, action, environment, becomes=bundle)
    template = bundle.template()
    given = {**environment.parameters, **(request.parameters or {})}
    # Parameters that the new version doesn't have are dropped, unless this request gives them.
    given = {name: value for name, value in given.items() if name in template.parameters or _asked(request, name)}
    # Secrets that are in OpenBao stay there unless the request brings new ones.
    opened, secrets = split_secrets(template, verdicts.parameters(template, given, known=template.secret_parameters()))
    again = check_steps(request.run_again, bundle, why_not_again)
    return Draft(with_version(tx, environment, bundle, opened, now), bundle, secrets, allowed, run_again=again)


def rolled_back(
    tx: Transaction,
    principal: Principal,
    environment: Environment,
    wanted: str | None,
    now: datetime,
    *,
    action: Action = Action.ENVIRONMENT_ROLL_BACK,
) -> Draft:
    """The environment that an earlier deployment was to make. `wanted` None or `last-good`: the last good deployment.

    Secret parameters stay as they are in OpenBao. Raises `NotFound`, `NotAllowedNow` and `Forbidden`.
    """
    good = _earlier(tx, environment, wanted)
    bundle = tx.templates.bundle(good.bundle)
    if not good.template or bundle is None:
        raise NotAllowedNow(
            f"What deployment {good.id!r} applied is no longer stored.", hint="Update the environment instead."
        )
    allowed = may(tx, principal, action, environment, becomes=bundle)
    back = with_version(tx, environment, bundle, good.parameters, now)
    return Draft(back, bundle, {}, allowed, rollback_to=good.id)


def check_awaiting(environment: Environment) -> None:
    """Raises `NotAllowedNow` unless something of the environment awaits promotion."""
    if not environment.awaiting_promotion:
        raise NotAllowedNow(
            f"Nothing of environment {environment.name!r} awaits promotion.",
            hint='Only canaries of a step `nomad.job` with `promotion = "manual"` await promotion, after an update.',
        )


def unchanged(tx: Transaction, principal: Principal, action: Action, environment: Environment) -> Draft:
    """The environment as the last request asked for it. Raises `UnknownTemplate` and `Forbidden`."""
    bundle = tx.templates.bundle(environment.bundle)
    if bundle is None:
        raise UnknownTemplate(f"The content of template {environment.template!r} is gone.")
    return Draft(environment, bundle, {}, may(tx, principal, action, environment))


def catalogued(tx: Transaction, template: str, digest: str | None) -> Bundle:
    """The content of the newest (or named) version of a template. Raises `UnknownTemplate`."""
    push = tx.templates.find(template, digest)
    bundle = None if push is None else tx.templates.bundle(push.digest)
    if bundle is None:
        raise unknown_template(tx, template, digest)
    return bundle


def _earlier(tx: Transaction, environment: Environment, wanted: str | None) -> Deployment:
    if wanted in (None, LAST_GOOD):
        good = None if environment.last_good is None else tx.deployments.get(environment.last_good)
        if good is None:
            raise NotAllowedNow(
                f"Environment {environment.name!r} has never been ready, so there is nothing to roll back to.",
                hint="Update, retry or destroy it.",
            )
        return good
    found = tx.deployments.get(str(wanted))
    if found is None or found.environment_id != environment.id:
        raise NotFound(
            f"Environment {environment.name!r} has no deployment {wanted!r}.",
            hint=f"`calvinverse env history {environment.name}` lists its deployments.",
        )
    if found.kind is DeploymentKind.DESTROY:
        raise NotAllowedNow(f"Deployment {found.id!r} was a destroy, so there is nothing to roll back to.")
    return found


def with_version(
    tx: Transaction, environment: Environment, bundle: Bundle, parameters: Mapping[str, Any], now: datetime
) -> Environment:
    """The environment with this version of its template, and parameters; its deadline follows the version's rules."""
    template = bundle.template()
    changes: dict[str, Any] = {
        "bundle": bundle.digest,
        "template_version": template.version,
        "parameters": dict(parameters),
        "network": environment.network_by(bundle.digest, template.network),
    }
    if bundle.digest != environment.bundle:
        changes["template_rules_from"] = now
    return environment.model_copy(update=timed(tx, environment, template, now, **changes))


def _asked(request: UpdateEnvironment, name: str) -> bool:
    return request.parameters is not None and name in request.parameters


def _either(ways: Sequence[str]) -> str:
    """`A`, `A, or b`, or `A, b, or c`."""
    return ways[0] if len(ways) == 1 else f"{', '.join(ways[:-1])}, or {ways[-1]}"


def _literal_services(template: Template) -> set[str]:
    """Names of services that steps name without an expression: enough to refuse a name that is too long at once."""
    found = {json.dumps(step.options.get("service")) for step in template.steps if "service" in step.options}
    return {json.loads(name) for name in found if "{{" not in name and name.startswith('"')}
