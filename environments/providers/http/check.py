"""`check.http`: checks over HTTP that a service, at the address that Consul knows, answers as it should."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal, Protocol

from pydantic import Field, field_validator

from environments.domain.errors import BackendUnavailable, StepFailed, StepTimeout
from environments.domain.faults import Fault
from environments.domain.names import META, is_label, service_name
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.domain.template_parts import Duration
from environments.providers.consul.ports import Catalogue, Instance
from environments.providers.nomad.ports import SLICE, NomadApi
from environments.providers.nomad.registered_services import services_of, unknown_service
from environments.providers.nomad.rules import group_services
from environments.service.shapes import TEXT, Shape, table
from environments.steps.base import Intended, Options, Owner, StepContext, StepRun
from environments.steps.changes import OwnThingsOnly, change
from environments.steps.options import faults, has_expression

_PAUSE = 0.1
_ONE_REQUEST = 5.0
"""Seconds that an answer may take."""

_QUICK = 2.0
"""Seconds that an answer may take while a plan is made."""


@dataclass(frozen=True)
class Answer:
    """What came back: status and text."""

    status: int
    text: str


class NoAnswer(Exception):
    """A request failed: refused, timed out, or with a certificate that isn't trusted or has other names."""


class Web(Protocol):
    """What this step needs to ask a service."""

    def get(self, url: str, *, ca: str | None, limit: float) -> Answer:
        """The answer to a GET, as a whole within `limit` seconds. Redirects aren't followed.

        An https address must show a certificate of `ca` (PEM) that covers it. Raises `NoAnswer`.
        """
        ...


class CertificateChain(Protocol):
    """Where the CA of the environments' certificates comes from."""

    def chain(self) -> str:
        """The CA's certificates, PEM."""
        ...

    def parts_chain(self) -> str:
        """The certificates, PEM, of the CA that signs for the parts of the meta environment alone."""
        ...


class CheckHttpOptions(Options):
    """`service`: its name without the environment's. `contains`: a text that the answer must hold."""

    service: str
    path: str = "/"
    status: int = Field(default=200, ge=100, le=599)
    contains: str | None = None
    scheme: Literal["http", "https"] | None = None
    timeout: Duration | None = None

    @field_validator("path")
    @classmethod
    def _path(cls, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError("a path begins with '/'")
        return path


class CheckHttp(OwnThingsOnly):
    """Waits until every healthy instance of the service gives the wanted answer."""

    kind: ClassVar[str] = "check.http"
    only_checks: ClassVar[bool] = True
    options: ClassVar[type[Options]] = CheckHttpOptions
    time_limit: ClassVar[timedelta] = timedelta(seconds=60)
    description: ClassVar[str] = "Asks every instance of a service over HTTP, with TLS verified against OpenBao's CA."

    def __init__(self, catalogue: Catalogue, web: Web, authority: CertificateChain, nomad: NomadApi) -> None:
        self._catalogue = catalogue
        self._web = web
        self._authority = authority
        self._nomad = nomad

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[Fault]:
        """Unknown options, wrong values, and a service that no step makes."""
        found = faults(CheckHttpOptions, options)
        name = options.get("service")
        if isinstance(name, str) and not has_expression(name):
            path = ("with", "service")
            if (unknown := unknown_service(name, services_of(bundle), path)) is not None:
                found.append(unknown)
            elif not is_label(name):
                found.append(Fault(path=path, message=f"with.service: {name!r} can't be the name of a service"))
        return found

    @classmethod
    def gives(cls, options: Mapping[str, Any], bundle: Bundle) -> Shape:
        """What `apply` gives."""
        return table({"service": TEXT, "instances": Shape(kind=list)})

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """None: it makes nothing."""
        return []

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Gives `service` and `instances`, the addresses that answered.

        Raises `StepTimeout` with the last outcome: after the step's time limit, or `timeout` if that is shorter; and
        `StepFailed` at once for a service of which no instance is wanted.
        """
        options: CheckHttpOptions = context.options
        name = service_name(context.owner.name, options.service)
        ca = self._ca(context.owner)
        limit = options.timeout.total_seconds() if options.timeout else None
        started = run.time_left
        outcome, index, checked = f"Consul knows no healthy instance of {name}", 0, False
        try:
            while True:
                run.before_effect()
                if limit is not None and started - run.time_left > limit:
                    raise StepTimeout(f"The check took longer than {limit:g} s.")
                index, instances = self._catalogue.instances(name, index=index, wait=SLICE if index else 0.0)
                passing = [found for found in instances if found.passing]
                if not passing:
                    if not (instances or checked):
                        checked = True
                        self._refuse_unwanted(context.owner.name, name, options.service)
                    continue
                problem, urls = self._ask(passing, options, run, ca)
                if problem is None:
                    return {"service": name, "instances": urls}
                if problem != outcome:
                    run.log(problem)
                outcome, index = problem, 0
                run.wait(_PAUSE)
        except StepTimeout as error:
            raise StepTimeout(
                f"The service {options.service!r} did not answer as it should: {outcome}.", hint=error.hint
            ) from error

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """A service that doesn't answer as it should when asked once; `apply` would wait until it does.

        Nothing for a service that isn't registered: the step that runs it reports that.
        """
        options: CheckHttpOptions = context.options
        name = service_name(context.owner.name, options.service)
        _, instances = self._catalogue.instances(name)
        passing = [found for found in instances if found.passing]
        if not instances:
            return ()
        many = len(instances) > 1
        problem = f"none of its {len(instances)} instances passes its checks" if many else "it doesn't pass its checks"
        if passing:
            answered, _ = self._ask(passing, options, run, self._ca(context.owner), limit=_QUICK)
            if answered is None:
                return ()
            problem = f"{answered} now"
        return [change(Action.CHANGE, self.kind, name, after=options.model_dump(mode="json"), details=[problem])]

    def _refuse_unwanted(self, namespace: str, name: str, label: str) -> None:
        found = (self._nomad.job(namespace, job) for job in self._nomad.jobs(namespace))
        groups = [
            group
            for job in found
            if job is not None and not job.get("Stop")
            for group in job.get("TaskGroups") or ()
            if any(service.get("Name") == name for service in group_services(group))
        ]
        if groups and not any(group.get("Count") for group in groups):
            raise StepFailed(
                f"The service {label!r} can't answer: its group has count = 0, so it has no instances.",
                hint="Give the group an instance, or take the check out of the template.",
            )

    def _ca(self, owner: Owner) -> Callable[[], str]:
        """Only a part of the meta environment may have a certificate of the parts' CA."""
        if owner.name != META:
            return self._authority.chain
        return lambda: self._authority.chain() + "\n" + self._authority.parts_chain()

    def _ask(
        self,
        instances: Sequence[Instance],
        options: CheckHttpOptions,
        run: StepRun,
        chain: Callable[[], str],
        limit: float = _ONE_REQUEST,
    ) -> tuple[str | None, list[str]]:
        urls: list[str] = []
        for instance in instances:
            scheme = options.scheme or instance.metadata.get("scheme") or _scheme(instance)
            host = f"[{instance.address}]" if ":" in instance.address else instance.address
            url = f"{scheme}://{host}:{instance.port}{options.path}"
            try:
                ca = chain() if scheme == "https" else None
                answer = self._web.get(url, ca=ca, limit=max(0.1, min(limit, run.time_left)))
            except NoAnswer as error:
                return f"{url} gave no answer: {error}", urls
            except BackendUnavailable as error:
                return error.message.rstrip("."), urls
            if answer.status != options.status:
                return f"{url} answered {answer.status} instead of {options.status}", urls
            if options.contains is not None and options.contains not in answer.text:
                return f"the answer of {url} doesn't hold {options.contains!r}", urls
            urls.append(url)
        return None, urls


def _scheme(instance: Instance) -> str:
    return "https" if "https" in instance.tags else "http"
