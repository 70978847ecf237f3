"""`nomad.job`: runs a job in the environment's own namespace, and waits until it is healthy."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from environments.domain.environment import ResourceRef
from environments.domain.errors import CalvinverseError, InvalidJob, InvalidTemplate
from environments.domain.faults import Fault, Path, meant
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.providers.consul.ports import Catalogue
from environments.providers.nomad import plan as nomad_plan
from environments.providers.nomad import values as nomad_values
from environments.providers.nomad.check import job_faults
from environments.providers.nomad.done import RUN, Completion, ends_by_itself, why_not_again
from environments.providers.nomad.given_up import given_up
from environments.providers.nomad.incidents import event_marks
from environments.providers.nomad.namespace import NAMESPACE_KIND, whose_job
from environments.providers.nomad.plan import RETRY
from environments.providers.nomad.ports import JOB_KIND, Job, JobPlaces, JobPlan, NomadApi
from environments.providers.nomad.promotion import canaried, promotes_itself, refuse_failed
from environments.providers.nomad.registered import Outcome, Registered
from environments.providers.nomad.registered_services import ENVIRONMENT_VARIABLE, made_by, service_shapes
from environments.providers.nomad.rollout import RolloutWatcher
from environments.providers.nomad.rules import adopt, declared, job_label
from environments.providers.nomad.scaling import started, what_runs
from environments.providers.nomad.service_addresses import addresses
from environments.providers.nomad.stopping import stop_jobs
from environments.service.shapes import ANYTHING, TEXT, Shape, table
from environments.steps.base import (
    AWAITING_PROMOTION,
    Intended,
    Options,
    Owner,
    Presence,
    StepContext,
    StepRun,
)
from environments.steps.changes import OwnThingsOnly, change
from environments.steps.marks import foreign
from environments.steps.options import faults, has_expression
from environments.steps.secret_words import Words, no_words

MANUAL = "manual"
_REGISTRATIONS = 5


class NomadJobOptions(Options):
    """`file`: the job file in HCL, in the template's folder. `variables`: values for the variables that it declares.

    `promotion`: whether healthy canaries are promoted at once, or on request.
    """

    file: str
    variables: dict[str, Any] = Field(default_factory=dict)
    promotion: Literal["automatic", "manual"] = "automatic"


class NomadJob(OwnThingsOnly):
    """Registers the job and follows its rollout; follows batch jobs until they have completed."""

    kind: ClassVar[str] = "nomad.job"
    options: ClassVar[type[Options]] = NomadJobOptions
    time_limit: ClassVar[timedelta] = timedelta(minutes=5)
    description: ClassVar[str] = "Runs a Nomad job in the environment's namespace and waits until it is healthy."
    plans_itself: ClassVar[bool] = True
    """True, because `apply` must run for an unchanged job too: its services may have other ports than before."""

    promotes: ClassVar[bool] = True
    stops: ClassVar[bool] = True

    def __init__(
        self,
        nomad: NomadApi,
        catalogue: Catalogue,
        places: JobPlaces,
        *,
        trusted: frozenset[str] = frozenset({"meta"}),
        words: Words = no_words,
    ) -> None:
        """`trusted`: environments whose jobs may ask for any identity; people can't create environments of these names.

        `words` gives the secrets of an environment, which are removed from quoted output of its tasks.
        """
        self._nomad = nomad
        self._catalogue = catalogue
        self._places = places
        self._trusted = trusted
        self._words = words

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[Fault]:
        """Faults: unknown options, a missing file, and those of the job file that static checks find."""
        found = faults(NomadJobOptions, options)
        file = options.get("file")
        if not isinstance(file, str) or has_expression(file):
            return found
        try:
            text = bundle.text(file)
        except InvalidTemplate as error:
            suggestion = meant(file, bundle.files)
            message = f"with.file: {error.message[0].lower()}{error.message[1:].rstrip('.')}"
            return [*found, Fault(path=("with", "file"), message=message, suggestion=suggestion)]
        return [*found, *job_faults(file, text, options.get("variables"), bundle.template())]

    @classmethod
    def claims(cls, options: Mapping[str, Any], bundle: Bundle) -> dict[str, Path]:
        """The job that the job file defines."""
        file = options.get("file")
        if not isinstance(file, str) or has_expression(file):
            return {}
        try:
            label = job_label(bundle.text(file))
        except CalvinverseError:
            return {}  # its faults are reported elsewhere
        return {f"the Nomad job {label!r}": ("with", "file")}

    @classmethod
    def gives(cls, options: Mapping[str, Any], bundle: Bundle) -> Shape:
        """The shape of what `apply` returns, as far as the job file tells."""
        made = made_by(options, bundle)
        services = ANYTHING if made is None else service_shapes(made)
        waiting = Shape(kind=bool)
        return table({"job": TEXT, "namespace": TEXT, "services": services, AWAITING_PROMOTION: waiting})

    @classmethod
    def why_not_again(cls, options: Mapping[str, Any], bundle: Bundle) -> str:
        """Why the job can't be run again; empty for a job that runs to completion and starts when it is registered."""
        file = options.get("file")
        return why_not_again(bundle.text(file)) if isinstance(file, str) and not has_expression(file) else ""

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """The job, and the places that the job can read and write."""
        label = job_label(context.bundle.text(context.options.file))
        job = Intended(ResourceRef(kind=JOB_KIND, address=f"{context.owner.name}/{label}"))
        return [*self._places.resources(context.owner), job]

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Returns `job`, `namespace` and `services`: for each service its `name`, `address`, `port` and `url`.

        Also `awaiting_promotion`: whether canaries await promotion; then the services are those of the version before.
        """
        owner = context.owner
        job, completion = self._read(context)
        self._places.claim(owner, run)
        if context.options.promotion == MANUAL and (groups := sorted(promotes_itself(job))):
            raise InvalidJob(
                f"The step is promoted manually, but group {groups[0]!r} of job {job['ID']!r} has auto_promote = true.",
                hint='Remove `auto_promote` from the job file, or `promotion = "manual"` from the step.',
            )
        if context.promotes and canaried(job):
            refuse_failed(self._nomad, owner.name, job["ID"])
        present, outcome, new = self._present(job["ID"], owner), Outcome(), False
        if not completion.done:
            # Events that exist already were reported when they happened.
            known = event_marks(self._nomad.allocations(owner.name, job["ID"])[1]) if present else frozenset()
            registered = self._register(job, completion, context, run)
            job, new = registered.job, registered.new
            words = partial(self._words, owner)
            watcher = RolloutWatcher(
                self._nomad, self._catalogue, registered, run, words, known, promotes=_promotes(context)
            )
            outcome = watcher.until_healthy()
            self._places.notice_logins()
        completion.ended(run)
        return {
            "job": job["ID"],
            "namespace": owner.name,
            "services": addresses(self._catalogue, job, owner, outcome, run, tell=new),
            AWAITING_PROMOTION: outcome.awaiting,
        }

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """The changes of the job, from Nomad's own plan, and those of its namespace and policy.

        A job that the step made earlier and no longer defines isn't part of it: the engine knows that job from the
        inventory and destroys it after the step.
        """
        owner = context.owner
        job, completion = self._read(context)
        shared = self._places.plan(owner)
        address = f"{owner.name}/{job['ID']}"
        # there is no job in a namespace that doesn't exist
        missing = any((found.kind, found.action) == (NAMESPACE_KIND, Action.CREATE) for found in shared)
        present = None if missing else self._present(job["ID"], owner)
        if completion.done:
            return shared
        if present is not None and context.promotes and canaried(job):
            refuse_failed(self._nomad, owner.name, job["ID"])
        again = nomad_plan.why_again(completion) if completion.ran or present is not None else None
        if context.stopped:
            # A start makes the job anew, whatever else somebody has changed in it.
            lines = [] if present is None else what_runs(present)
            return [*shared, *([change(Action.CHANGE, JOB_KIND, address, after=lines, details=lines)] if lines else [])]
        if present is None:
            return [*shared, nomad_plan.created(JOB_KIND, address, job, self._read(context)[0], again)]
        retry = self._retry(present, owner)
        plan = self._difference(present, _marked(job, present, retry, completion.run_again), owner)
        if not plan.edits and _promotes(context) and canaried(job):
            rollout = self._nomad.rollout(owner.name, job["ID"])
            if rollout is not None and rollout.awaits_promotion:
                return [*shared, nomad_plan.promoted(JOB_KIND, address, rollout)]
        restless: frozenset[nomad_plan.Place] = frozenset()
        if plan.edits and (other := self._read(context)[0]) != job:
            # A function in the file, such as uuidv4, may return another value each time.
            other = _marked(other, present, retry, completion.run_again)
            restless = nomad_plan.restless(plan, self._difference(present, other, owner))
        replaces = nomad_plan.of_another_kind(present, job)
        return [*shared, *nomad_plan.changed(JOB_KIND, address, plan, again, restless, replaces=replaces)]

    def _read(self, context: StepContext) -> tuple[Job, Completion]:
        options: NomadJobOptions = context.options
        text = context.bundle.text(options.file)
        label = job_label(text)
        variables = dict(options.variables)
        if ENVIRONMENT_VARIABLE in declared(text, variables):
            variables.setdefault(ENVIRONMENT_VARIABLE, context.owner.name)
        job = nomad_values.read(self._nomad.parse, text, variables)
        trusted = context.owner.name in self._trusted
        job = adopt(
            job,
            label,
            context.owner,
            trusted=trusted,
            volumes=context.host_volumes,
            host_network=context.host_network,
        )
        resource = ResourceRef(kind=JOB_KIND, address=f"{context.owner.name}/{label}")
        completion = Completion(context, text, job, resource)
        if context.starts:
            completion.keep()
        return job, completion

    def _register(self, job: Job, completion: Completion, context: StepContext, run: StepRun) -> Registered:
        """Registers the job unless it is up to date; returns it as Nomad has it."""
        name, owner = job["ID"], context.owner
        for attempt in range(_REGISTRATIONS):
            present = self._present(name, owner)
            scaled = started(job, present) if context.starts else job
            wanted = _marked(scaled, present, self._retry(present, owner), completion.run_again)
            if present is not None and self._is_there(wanted, present, owner):
                evaluation = self._nomad.newest_evaluation(owner.name, name)
                return Registered(wanted, present.get("Version", 0), evaluation, new=False)
            completion.begins(run)
            if present is not None and nomad_plan.of_another_kind(present, wanted):
                run.log(f"job {name} is destroyed and created again: Nomad can't change its type or how it is started")
                stop_jobs(self._nomad, owner.name, [name], run)
                present = None
            run.before_effect()
            try:
                index = present["JobModifyIndex"] if present else 0
                evaluation = self._nomad.register(owner.name, wanted, index)
            except InvalidJob:
                # Somebody else has registered it in between: read it again.
                found = self._nomad.job(owner.name, name)
                if attempt == _REGISTRATIONS - 1 or (found["JobModifyIndex"] if found else 0) == index:
                    raise
                continue
            current = (self._nomad.job(owner.name, name) or {}) if present else {}
            version = current.get("Version", 0)
            run.log(f"job {name} registered in namespace {owner.name}, version {version}")
            return Registered(wanted, version, evaluation)
        raise AssertionError("unreachable")

    def _is_there(self, wanted: Job, present: Job, owner: Owner) -> bool:
        """Whether Nomad has exactly this job already; then it isn't registered again.

        Nomad stores with a job the token that registered it. The service's token changes each hour and at each start,
        and the same job with another token is a new version, so Nomad would replace instances and run completed jobs
        again.
        """
        if present.get("Stop") or self._difference(present, wanted, owner).edits:
            return False
        if not ends_by_itself(wanted) or present.get("Status") != "dead":
            return True
        # Nothing of it is running: it has ended, or Nomad has deleted the record of what ran of this version.
        version = present.get("Version", 0)
        return any(found.job_version == version for found in self._nomad.allocations(owner.name, wanted["ID"])[1])

    def _difference(self, present: Job, wanted: Job, owner: Owner) -> JobPlan:
        return nomad_plan.whole(self._nomad.plan(owner.name, wanted), present, wanted)

    def _present(self, name: str, owner: Owner) -> Job | None:
        present = self._nomad.job(owner.name, name)
        if present is not None and whose_job(present, owner.name, owner) is Presence.FOREIGN:
            raise foreign(f"a Nomad job {name!r} in namespace {owner.name!r}", owner)
        return present

    def _retry(self, present: Job | None, owner: Owner) -> dict[str, str]:
        """The metadata that restarts a failed version; unchanged if nothing has failed."""
        if present is None:
            return {}
        if not present.get("Stop") and given_up(self._nomad, owner.name, present):
            return {RETRY: str(present.get("Version", 0))}
        before = (present.get("Meta") or {}).get(RETRY)
        return {RETRY: before} if before is not None else {}


def _promotes(context: StepContext) -> bool:
    return context.promotes or context.options.promotion != MANUAL


def _marked(job: Job, present: Job | None, retry: Mapping[str, str], run_again: str) -> Job:
    return {**job, "Meta": {**job["Meta"], **retry, **_run(present, run_again)}}


def _run(present: Job | None, run_again: str) -> dict[str, str]:
    """The metadata that runs an equal job again; unchanged without such a request."""
    mark = run_again or ((present or {}).get("Meta") or {}).get(RUN)
    return {RUN: mark} if mark else {}
