"""Maps the records that use cases return to the models of the API."""

from collections.abc import Sequence
from typing import cast

from environments.domain.access import TokenRole
from environments.domain.environment import Environment, Resource
from environments.domain.holds import Hold
from environments.domain.lifecycle import ENDED, State
from environments.domain.plan import Plan
from environments.service.entry_points import EntryPointAddress
from environments.service.holding import HoldDetails
from environments.service.looking_first import Foreseen
from environments.service.reading import shown_outputs
from environments.service.records import (
    Accepted,
    CataloguedTemplate,
    EnvironmentDetails,
    Explanation,
    Journaled,
    NewToken,
    Output,
    Pending,
    ServiceInfo,
    TemplateDeletion,
    TemplateVersion,
    Worker,
)
from environments.service.service_accounts import ServiceAccount
from environments.service.standing import UNTOLD, EnvironmentStanding
from environments.service.storage.templates import CreateTimes, PublishedImage
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.warnings import QueuedWarning
from environments.service.warnings import ChannelStatus, TestDelivery
from environments.wire import (
    deployments,
    environments,
    holds,
    images,
    plans,
    service_accounts,
    system,
    templates,
    tokens,
    warnings,
)

_SAME = set(environments.EnvironmentView.model_fields) & set(Environment.model_fields) - {"outputs", "degraded"}
_RESOURCE = set(environments.ResourceView.model_fields)


def explanation(found: Explanation) -> environments.ExplanationView:
    """What will happen to an environment, what won't, and what happened."""
    return environments.ExplanationView(
        environment=found.environment.name,
        moments=tuple(environments.MomentView(**vars(due)) for due in found.moments),
        left_out=tuple(environments.LeftOutView(**vars(one)) for one in found.left_out),
        past=tuple(environments.PastView(**vars(one)) for one in found.past),
        pin=found.pin,
        held=None if found.held is None else _held(found.held),
        zone_database=found.zone_database,
    )


def foreseen(found: Foreseen) -> environments.CheckView:
    """What a request to create would come to."""
    return environments.CheckView(
        problems=tuple(
            environments.CheckProblemView(code=one.code, message=one.message, hint=one.hint, details=dict(one.details))
            for one in found.problems
        ),
        deadline=found.deadline,
    )


def _held(hold: Hold) -> environments.HeldView:
    return environments.HeldView(hold=hold.id, kind=hold.kind, since=hold.opened_at)


def environment(
    record: Environment,
    newest: Journaled | None = None,
    entry_points: Sequence[EntryPointAddress] = (),
    warned: Sequence[QueuedWarning] = (),
    standing: EnvironmentStanding = UNTOLD,
    cost: float | None = None,
) -> environments.EnvironmentView:
    """An environment as people see it: secrets masked."""
    return environments.EnvironmentView(
        **standing._asdict(),
        **{name: getattr(record, name) for name in _SAME},
        outputs=outputs(shown_outputs(record.outputs)),
        held_by=None if record.hold_released or record.state in ENDED else record.hold_id,
        drifted=record.drift is not None and record.drift.found,
        degraded=record.degraded if record.state is State.READY else (),
        entry_points=tuple(environments.EntryPointView(**vars(found)) for found in entry_points),
        deployment=None if newest is None else deployment(newest),
        cost=None if cost is None else round(cost, 4),
        warnings=tuple(
            warnings.WarningView(**{name: getattr(one, name) for name in warnings.WarningView.model_fields})
            for one in warned
        ),
    )


def mirrored(view: environments.EnvironmentView) -> Environment:
    """The record of an environment that another service manages, from how that service shows it."""
    fields = {name: getattr(view, name) for name in Environment.model_fields if hasattr(view, name)}
    shown = {name: output.model_dump(mode="json") for name, output in view.outputs.items()}
    return Environment(**{**fields, "outputs": shown})


def environment_details(found: EnvironmentDetails) -> environments.EnvironmentView:
    """An environment with its newest deployment and its entry points."""
    return environment(found.environment, found.newest, found.entry_points, found.warnings, found.standing, found.cost)


def outputs(found: dict[str, Output]) -> dict[str, environments.OutputView]:
    """Outputs by name."""
    return {
        name: environments.OutputView(value=output.value, description=output.description, secret=output.secret)
        for name, output in found.items()
    }


def accepted(result: Accepted, standing: EnvironmentStanding = UNTOLD) -> environments.Accepted:
    """The answer to a request that was taken."""
    return environments.Accepted(
        environment=environment(result.environment, standing=standing),
        deployment_id=result.deployment_id,
        events_after=result.events_after,
    )


def hold(found: HoldDetails) -> holds.HoldView:
    """A hold of destroys by the clock."""
    known = found.hold.model_dump(exclude={"cause"})
    return holds.HoldView(**known, environments=found.environments, names=found.names)


def resource(record: Resource) -> environments.ResourceView:
    """A line of the inventory."""
    return environments.ResourceView.model_validate(record.model_dump(include=_RESOURCE))


def drift(record: Environment) -> environments.DriftView:
    """What the last observation of an environment found."""
    return environments.DriftView(environment=record.name, drift=record.drift, observe_at=record.observe_at)


def deployment(found: Journaled) -> deployments.DeploymentView:
    """A deployment with its journal."""
    return deployments.DeploymentView(
        **{
            name: getattr(found.deployment, name) for name in deployments.DeploymentView.model_fields if name != "steps"
        },
        steps=tuple(
            deployments.StepView(
                **{name: getattr(step, name) for name in deployments.StepView.model_fields if name != "needs"},
                needs=found.needs.get(step.name, ()),
            )
            for step in found.steps
        ),
    )


def pending(found: Pending) -> deployments.PendingView:
    """Why a deployment waits."""
    return deployments.PendingView(**{name: getattr(found, name) for name in deployments.PendingView.model_fields})


def worker(found: Worker) -> deployments.WorkerView:
    """A worker with what it runs."""
    fields = {name: getattr(found.record, name) for name in deployments.WorkerView.model_fields if name != "running"}
    return deployments.WorkerView(**fields, running=found.running)


def plan(record: Plan) -> plans.PlanView:
    """A saved plan."""
    return plans.PlanView(**{name: getattr(record, name) for name in plans.PlanView.model_fields})


def template(
    found: CataloguedTemplate, creation: templates.CreationView | None = None, times: CreateTimes | None = None
) -> templates.TemplateView:
    """A template of the catalogue."""
    push, content = found
    default, maximum = content.lifetime.default, content.lifetime.maximum
    return templates.TemplateView(
        name=content.name,
        version=content.version,
        description=content.description,
        digest=push.digest,
        pushed_at=push.pushed_at,
        pushed_by=push.pushed_by,
        default_lifetime=default.total_seconds() if default else None,
        maximum_lifetime=maximum.total_seconds() if maximum else None,
        parameters_schema=content.parameters_schema(),
        steps=tuple(
            templates.TemplateStepView(name=step.name, uses=step.uses, needs=step.needs) for step in content.steps
        ),
        outputs={name: output.description for name, output in content.outputs.items()},
        host_volumes=content.host_volumes,
        network=content.network,
        source=None if push.source is None else templates.TemplateSource.model_validate(push.source),
        creation=creation,
        price=content.price,
        creates=None if times is None else templates.CreateTimesView(**times._asdict()),
    )


def template_version(found: TemplateVersion) -> templates.TemplateVersionView:
    """A version of a template in a list."""
    source = None if found.source is None else templates.TemplateSource.model_validate(found.source)
    return templates.TemplateVersionView(**{**found._asdict(), "source": source})


def template_deletion(found: TemplateDeletion) -> templates.TemplateDeletionView:
    """What was deleted from the catalogue."""
    return templates.TemplateDeletionView(**found._asdict())


def image(record: PublishedImage) -> images.ImageView:
    """A published image."""
    return images.ImageView(**record._asdict())


def token(record: TokenRecord) -> tokens.TokenView:
    """A token without its secret part."""
    return tokens.TokenView(
        id=record.id,
        owner=record.owner,
        role=cast(TokenRole, record.role),
        note=record.note,
        created_at=record.created_at,
        expires_at=record.expires_at,
        revoked_at=record.revoked_at,
        last_used_at=record.last_used_at,
        parent_id=record.parent_id,
        kind=record.kind,
        scope=record.scope,
    )


def new_token(found: NewToken) -> tokens.NewToken:
    """A token just made, with its secret."""
    return tokens.NewToken(token=token(found.token), secret=found.secret)


def service_account(found: ServiceAccount) -> service_accounts.ServiceAccountView:
    """A service account."""
    person = found.person
    return service_accounts.ServiceAccountView(
        name=person.name,
        description=person.note,
        responsible=person.responsible,
        tokens=found.tokens,
        created_at=person.created_at,
        created_by=person.created_by,
        disabled_at=person.disabled_at,
        disabled_by=person.disabled_by,
    )


def channels(found: Sequence[ChannelStatus], fault: str) -> warnings.ChannelsView:
    """The channels of warnings."""
    views = (
        warnings.ChannelView(
            channel=one.channel.value,
            configured=one.configured,
            waiting=one.count.waiting,
            failing=one.count.failing,
            fault=one.fault,
        )
        for one in found
    )
    return warnings.ChannelsView(channels=tuple(views), fault=fault)


def test_delivery(found: TestDelivery) -> warnings.TestDeliveryView:
    """What became of a test warning."""
    target = found.target
    return warnings.TestDeliveryView(channel=target.channel.value, recipient=target.recipient, fault=found.fault)


def info(found: ServiceInfo) -> system.Info:
    """What answers, and to whom."""
    return system.Info(**{name: getattr(found, name) for name in system.Info.model_fields})
