"""`opentofu.module`: applies an OpenTofu module; the service stores its state, encrypted and fenced."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

from environments.domain.environment import ResourceRef
from environments.domain.errors import InvalidTemplate, StepFailed
from environments.domain.faults import Fault
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.providers.opentofu.check import module_check, module_outputs
from environments.providers.opentofu.keys import module_key_resource
from environments.providers.opentofu.ports import (
    OUTPUT_KIND,
    RESOURCE_KIND,
    STATE_KIND,
    TIME_LIMIT,
    CredentialBroker,
    CredentialPart,
    Module,
    ModuleKeys,
    NoCredentials,
    Output,
    Place,
    Planned,
    RunRecords,
    Settlement,
    StateBackend,
    Tofu,
)
from environments.providers.opentofu.removal import Modules
from environments.providers.opentofu.rules import module_faults, module_files
from environments.providers.opentofu.run_record import RunRecord
from environments.service.shapes import Shape
from environments.steps.base import Intended, Options, Owner, StepContext, StepRun
from environments.steps.changes import change
from environments.steps.options import faults, has_expression


class OpenTofuModuleOptions(Options):
    """`folder`: the module's folder in the template. `variables`: values of variables that it declares.

    `outputs`: names of those that the step gives on; without it all that aren't sensitive. `encryption`: whether state
    and plans are encrypted with the environment's key. `parallelism`: how many resources are worked on at once.
    `credentials`: parts of the cluster for whose providers each run gets a credential, good for the environment only.
    """

    folder: str
    variables: dict[str, Any] = Field(default_factory=dict)
    outputs: list[str] | None = None
    encryption: bool = True
    parallelism: int = Field(default=10, ge=1, le=100)
    credentials: list[CredentialPart] = Field(default_factory=list)


class OpenTofuModule:
    """Plans, records what will be made, applies exactly that plan, and gives the outputs."""

    kind: ClassVar[str] = "opentofu.module"
    options: ClassVar[type[Options]] = OpenTofuModuleOptions
    time_limit: ClassVar[timedelta] = TIME_LIMIT
    description: ClassVar[str] = "Applies an OpenTofu module; its state is kept by the service, encrypted."
    plans_itself: ClassVar[bool] = True
    """`apply` plans and changes only what differs: no plan is needed before it (see `engine.stepping`)."""

    def __init__(
        self,
        tofu: Tofu,
        backend: StateBackend,
        keys: ModuleKeys,
        records: RunRecords,
        broker: CredentialBroker | None = None,
    ) -> None:
        self._tofu = tofu
        self._backend = backend
        self._keys = keys
        self._records = records
        self._broker = broker or NoCredentials()
        self.modules = Modules(tofu, backend, keys, records, self._broker)
        """What modules made; shared with the handlers, so that they forget what they saw before an apply."""

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[Fault]:
        """Unknown options, a folder without a module, and all that can be seen of the module."""
        found = faults(OpenTofuModuleOptions, options)
        folder = options.get("folder")
        if isinstance(folder, str) and not has_expression(folder):
            found += module_check(folder, options, bundle, bundle.template())
        return found

    @classmethod
    def gives(cls, options: Mapping[str, Any], bundle: Bundle) -> Shape:
        """What `apply` gives, as far as the module tells."""
        return module_outputs(options, bundle)

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """The state, the key, and what credentials need. The module's own resources are known after its plan."""
        owner, parts = context.owner, _parts(context.options)
        state = ResourceRef(kind=STATE_KIND, address=f"{owner.name}/{context.step}")
        return [module_key_resource(owner), *self._broker.resources(owner, parts), Intended(state)]

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Gives the outputs of the module that aren't sensitive, by name."""
        owner, step, holder = context.owner, context.step, run.holder
        assert holder is not None
        module = self._module(context)
        run.before_effect()
        access = self._backend.open(owner, step, holder, encrypted=module.encrypted)
        place = Place(owner, step, access, self._keys.key(owner))
        before = self._record(owner, step)
        if before is not None and before.in_flight and not before.matches(module):
            # What a killed run of another version may have made can only be recorded with that version.
            before = self.modules.adopt(place, before, run)
        carried = before.in_flight if before is not None else frozenset()
        if before is not None and before.module.files == module.files:
            module = replace(module, lock=before.module.lock)
        made = before.made if before is not None else frozenset()
        record = RunRecord(module, carried, made)

        def write_down(planned: Planned) -> None:
            nonlocal record
            record = RunRecord(
                replace(module, lock=planned.lock), carried | set(planned.made), made | set(planned.made)
            )
            self._records.save(owner, step, record.dump(), holder)
            # Includes resources of an earlier run that could not report them: this run settles them.
            run.intend([Intended(_ref(owner, step, address)) for address in sorted(record.made | set(planned.changed))])
            run.before_effect()

        def settled(done: Settlement) -> None:
            nonlocal record
            record = replace(record, in_flight=carried - done.began, made=record.made - done.gone)
            self._records.save(owner, step, record.dump(), holder)
            run.gone([_ref(owner, step, address) for address in sorted(done.gone)])

        unsaved = self.modules.unsaved(owner, step, run)
        try:
            with self.modules.with_credentials(place, module, run) as authorized:
                outputs = self._tofu.apply(authorized, module, run, write_down, settled, unsaved=unsaved)
        finally:
            self.modules.forget(owner, step)
        if record.in_flight:
            self._records.save(owner, step, record.with_in_flight(()).dump(), holder)
        return self._given(context, outputs, run, tell=before is None or not before.matches(module))

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """What the module would make, change, replace and destroy.

        A module that has never been applied with its credentials can't tell: a plan issues no credentials that need
        policies first. That depends on the module alone, so a saved plan stays valid while other steps make what they
        share.
        """
        owner, step = context.owner, context.step
        module = self._module(context)
        record = self._record(owner, step)
        missing = self._broker.missing(owner, module.credentials)
        if module.credentials and (missing or record is None or not record.usable_for(module)):
            action = Action.CREATE if record is None else Action.CHANGE
            line = "what it makes is known when it is applied: it has not been applied with its credentials yet"
            return [*missing, change(action, STATE_KIND, f"{owner.name}/{step}", details=[line])]
        if record is not None and record.module.files == module.files:
            module = replace(module, lock=record.module.lock)
        # A plan makes nothing, not even a key: without a key there is nothing to read.
        key = self._keys.existing(owner) or base64.b64encode(secrets.token_bytes(32)).decode()
        place = Place(owner, step, self._backend.open(owner, step, None, encrypted=module.encrypted), key)
        with self.modules.with_credentials(place, module, run) as authorized:
            found = self._tofu.plan(authorized, module, run)
        prefix = f"{owner.name}/{step}"
        things = [
            told.model_copy(update={"address": f"{prefix}/{told.address}"})
            for told in found
            if told.kind != OUTPUT_KIND
        ]
        outputs = [told for told in found if told.kind == OUTPUT_KIND and _is_given(context, told.address)]
        if outputs and (record is not None or not things):
            # For a module that is created, the changes of its resources are enough.
            action = Action.CREATE if record is None else Action.CHANGE
            lines = [f"output {line}" for told in outputs for line in told.details]
            prints = [told.fingerprint for told in outputs]
            things.append(change(action, STATE_KIND, prefix, after=prints, details=lines))
        return things

    def plan_removal(self, step: str, owner: Owner) -> Sequence[Change]:
        """Nothing: all that a module makes is its step's own."""
        return ()

    def remove(self, step: str, owner: Owner, run: StepRun) -> None:
        """Nothing to do."""

    def _record(self, owner: Owner, step: str) -> RunRecord | None:
        content = self._records.load(owner, step)
        return None if content is None else RunRecord.load(content)

    def _module(self, context: StepContext) -> Module:
        options: OpenTofuModuleOptions = context.options
        files = module_files(context.bundle, options.folder)
        wrong = list(module_faults(files, options.variables, options.outputs))
        if wrong:
            raise InvalidTemplate(f"The module in {options.folder!r} is wrong: {'; '.join(wrong)}.")
        return Module(files, options.variables, options.encryption, options.parallelism, credentials=_parts(options))

    def _given(
        self, context: StepContext, outputs: Mapping[str, Output], run: StepRun, *, tell: bool
    ) -> dict[str, Any]:
        for name in context.options.outputs or ():
            if name not in outputs:
                raise StepFailed(f"The module of step {context.step!r} gives no output {name!r}.")
        given = {name: output for name, output in outputs.items() if _is_given(context, name)}
        hidden = sorted(name for name, output in given.items() if output.sensitive)
        if hidden and tell:
            run.log(f"not given on, because they are sensitive: {', '.join(hidden)}")
        return {name: output.value for name, output in given.items() if not output.sensitive}


def _is_given(context: StepContext, output: str) -> bool:
    wanted: list[str] | None = context.options.outputs
    return wanted is None or output in wanted


def _parts(options: OpenTofuModuleOptions) -> tuple[CredentialPart, ...]:
    return tuple(dict.fromkeys(options.credentials))


def _ref(owner: Owner, step: str, address: str) -> ResourceRef:
    return ResourceRef(kind=RESOURCE_KIND, address=f"{owner.name}/{step}/{address}")
