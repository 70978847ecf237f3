"""`edge.entrypoint`: names at the edge by which people reach services of an environment."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

from environments.domain.counting import counted
from environments.domain.dependencies import ancestors
from environments.domain.entry_points import EntryAccess, entry_hosts
from environments.domain.environment import ResourceRef
from environments.domain.errors import CalvinverseError, StepFailed, StepTimeout
from environments.domain.faults import Fault, fault_of
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.providers.edge.certificates import (
    CERTIFICATE_KIND,
    LIFETIME,
    check_role,
    role_address,
    role_fields,
    role_name,
)
from environments.providers.nomad.ports import NomadApi
from environments.providers.nomad.registered_services import JOB_STEPS, made_by, services_of, unknown_service
from environments.providers.vault.pki import differing
from environments.providers.vault.ports import CertificateAuthority
from environments.service.entry_points import EntryPoints
from environments.service.shapes import TEXT, Shape, table
from environments.steps.base import Intended, Observation, Options, Owner, Presence, StepContext, StepRun
from environments.steps.changes import OwnThingsOnly, change
from environments.steps.entry_points import Healthy, Instances
from environments.steps.marks import ABSENT, whose
from environments.steps.options import faults, has_expression

ROUTE_KIND = "edge.route"

_PAUSE = 0.1

_HEALTH_SECONDS = 10.0
"""How long a service without a healthy instance is waited for before it is published."""

_SHORT_DOMAIN = "a.b"
"""Which domain a service has isn't known when a template is pushed; what is too long below this is so below any."""


class EntryPoint(Options):
    """The entry point of one service. `access`: who may use it."""

    access: EntryAccess = EntryAccess.NOBODY


class EdgeEntryPointsOptions(Options):
    """`services`: name of the service, without the environment's → its entry point."""

    services: dict[str, EntryPoint] = Field(min_length=1)


class EdgeEntryPoints(OwnThingsOnly):
    """Publishes services, and waits until every edge serves them."""

    kind: ClassVar[str] = "edge.entrypoint"
    options: ClassVar[type[Options]] = EdgeEntryPointsOptions
    time_limit: ClassVar[timedelta] = timedelta(minutes=2)
    description: ClassVar[str] = "Makes services reachable at the edge, by host names and a certificate of their own."

    def __init__(
        self,
        entry_points: EntryPoints,
        nomad: NomadApi,
        authority: CertificateAuthority,
        instances: Instances,
        lifetime: timedelta = LIFETIME,
    ) -> None:
        self._instances = instances
        self._entry_points = entry_points
        self._nomad = nomad
        self._authority = authority
        self._lifetime = lifetime

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[Fault]:
        """Faults: unknown options and services, impossible names, and services that would be removed too early."""
        found = faults(EdgeEntryPointsOptions, options)
        if sum(step.uses == cls.kind for step in bundle.template().steps) > 1:
            message = f"a template has one step {cls.kind} at most; give all services there"
            found.append(Fault(path=("uses",), message=message))
        services = options.get("services")
        if isinstance(services, Mapping):
            known = services_of(bundle)
            for name in services:
                found += _service_faults(name, known)
            found += _order_faults(options, bundle)
        return found

    @classmethod
    def gives(cls, options: Mapping[str, Any], bundle: Bundle) -> Shape:
        """The shape of what `apply` returns."""
        services = options.get("services")
        entry = table({"access": TEXT, "url": TEXT, "subdomain_url": TEXT})
        if not isinstance(services, Mapping):
            return table({"services": table({}, open=True)})
        return table({"services": table({str(name): entry for name in services})})

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """The role for certificates and a route for each service. The routes are removed first."""
        public = _public(context)
        if not public:
            return []
        name = context.owner.name
        return [
            Intended(ResourceRef(kind=CERTIFICATE_KIND, address=role_address(name))),
            *(Intended(ResourceRef(kind=ROUTE_KIND, address=f"{name}/{service}")) for service in public),
        ]

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Returns `services`: for each its `access`, `url` and `subdomain_url`; the addresses are null for nobody.

        Raises `StepTimeout` when an edge doesn't take the routes over, or when there is none.
        """
        options: EdgeEntryPointsOptions = context.options
        owner, public = context.owner, _public(context)
        found: dict[str, Any] = {
            service: {"access": entry.access.value, "url": None, "subdomain_url": None}
            for service, entry in options.services.items()
        }
        if public:
            for service in public:
                address = self._entry_points.address(owner.name, service)
                found[service] |= {"url": address.url, "subdomain_url": address.subdomain_url}
            self._check_namespace(owner)
            fields = role_fields(owner, self._entry_points.domain(), self._lifetime)
            if differing(check_role(self._authority, owner), fields):
                run.before_effect()
                self._authority.write_role(role_name(owner.name), fields)
            self._await_instances(owner, public, run)
            run.before_effect()
            self._entry_points.publish(owner.id, public)
            self._wait(owner, public, run)
        return {"services": found}

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """Services to publish, and a role to write."""
        owner, public = context.owner, _public(context)
        if not public:
            return ()
        changes = []
        present = check_role(self._authority, owner)
        fields = role_fields(owner, self._entry_points.domain(), self._lifetime)
        if changed := differing(present, fields):
            action = Action.CREATE if present is None else Action.CHANGE
            before = None if present is None else {key: present.get(key) for key in changed}
            after = {key: fields[key] for key in changed}
            changes.append(change(action, CERTIFICATE_KIND, role_address(owner.name), before=before, after=after))
        published = {one.service for one in self._entry_points.published(owner.id)}
        for service in public:
            if service not in published:
                address = self._entry_points.address(owner.name, service)
                lines = [f"everybody who reaches the edge: {address.url}"]
                changes.append(
                    change(Action.CREATE, ROUTE_KIND, f"{owner.name}/{service}", after=address.url, details=lines)
                )
        return changes

    def _check_namespace(self, owner: Owner) -> None:
        """Raises `StepFailed` unless the services' namespace is the environment's."""
        if whose(self._nomad.namespace(owner.name), owner) is not Presence.OURS:
            raise StepFailed(
                f"There is no namespace {owner.name!r} of this environment in Nomad, so no service to lead to.",
                hint=f"Let the step need the step {JOB_STEPS} that runs the service.",
            )

    def _await_instances(self, owner: Owner, public: Sequence[str], run: StepRun) -> None:
        """Waits a moment for healthy instances: Consul's catalogue learns of health after the agent that checks it."""
        started = run.time_left
        while True:
            healthy = self._instances.healthy(owner, public)
            lacking = [service for service in public if not healthy.get(service, Healthy()).addresses]
            if not lacking:
                return
            if started - run.time_left > _HEALTH_SECONDS:
                run.log(f"no instance is healthy at a dynamic port, so people see the status 503: {', '.join(lacking)}")
                return
            run.wait(_PAUSE)

    def _wait(self, owner: Owner, public: Sequence[str], run: StepRun) -> None:
        live = 0
        try:
            for service in public:
                while True:
                    serving, live = self._entry_points.edges(owner.id, service)
                    if live and serving == live:
                        break
                    run.wait(_PAUSE)
        except StepTimeout as error:
            why = "An edge has not taken the entry points over." if live else "No edge asks for entry points."
            raise StepTimeout(why, hint="See `doit status`, and the log of job `edge` in namespace `meta`.") from error


class RouteHandler:
    """Observes and withdraws the route to a service (`<environment>/<service>`).

    An edge that has been silent for a minute is gone, and with it what it served.
    """

    kind: ClassVar[str] = ROUTE_KIND

    def __init__(self, entry_points: EntryPoints) -> None:
        self._entry_points = entry_points

    def observe(self, address: str, owner: Owner) -> Observation:
        """Whether it is published, and what the edges say."""
        service = address.rpartition("/")[2]
        published = any(one.service == service for one in self._entry_points.published(owner.id))
        serving, live = self._entry_points.edges(owner.id, service)
        if not published and not serving:
            return ABSENT
        return Observation(Presence.OURS, f"served by {serving} of {counted(live, 'edge')}")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Withdraws it, and waits until no edge serves it."""
        service = address.rpartition("/")[2]
        run.before_effect()
        self._entry_points.withdraw(owner.id, service)
        while self._entry_points.edges(owner.id, service)[0]:
            run.wait(_PAUSE)


def _public(context: StepContext) -> list[str]:
    """The services that everybody may use."""
    options: EdgeEntryPointsOptions = context.options
    return sorted(name for name, entry in options.services.items() if entry.access is EntryAccess.EVERYBODY)


def _service_faults(name: Any, known: Collection[str] | None) -> Iterator[Fault]:
    path = ("with", "services", str(name))
    if not isinstance(name, str) or has_expression(name):
        yield Fault(path=path, message="with.services: the name of a service is written out, without an expression")
        return
    if (unknown := unknown_service(name, known, path)) is not None:
        yield unknown
        return
    try:
        entry_hosts("e", name, _SHORT_DOMAIN)
    except CalvinverseError as error:
        yield fault_of(error, path)


def _order_faults(options: Mapping[str, Any], bundle: Bundle) -> Iterator[Fault]:
    """A route is removed before what the step needs: else it would lead to an instance that is stopped already."""
    template = bundle.template()
    steps = template.steps
    for own in steps:
        if own.uses != EdgeEntryPoints.kind or own.options != options:
            continue
        above = ancestors(template.dependencies(), own.name)
        for step in steps:
            made = made_by(step.options, bundle) if step.uses == JOB_STEPS else None
            if made is None or step.name in above:
                continue
            if early := sorted(set(made.services) & set(options["services"])):
                message = f"the step doesn't need the step {step.name!r}, which makes the service {early[0]!r}"
                yield Fault(path=("needs",), message=message, suggestion=f'add "{step.name}" to needs')
