"""What the step kind `opentofu.module` needs of others: tofu, a state backend, keys, run records and credentials."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, Protocol

from environments.domain.errors import MachineError
from environments.domain.plan import Change
from environments.steps.base import Holder, Intended, Owner, StepRun

TIME_LIMIT = timedelta(minutes=30)
"""How long applying or destroying a module may take, unless its step has a `timeout`."""

STATE_KIND = "opentofu.state"
"""The state of a step's module; its address is `<environment>/<step>`."""

OUTPUT_KIND = "opentofu.output"
"""Of changes in a plan; outputs are no resources."""

RESOURCE_KIND = "opentofu.resource"
"""One thing that a module makes; its address is `<environment>/<step>/<address in the module>`."""

MODULE_KEY_KIND = "vault.module_key"
"""The key of an environment that encrypts states, plans and run records; its address is the environment's name."""


CredentialPart = Literal["consul", "nomad", "openbao"]
"""A part of the cluster that a module may work with, in the environment's own places."""


@dataclass(frozen=True)
class StateAccess:
    """Where tofu's HTTP backend finds a state (the same address for LOCK and UNLOCK), and its credential.

    `ca`: the certificates that the address is checked with (PEM); empty: those of the machine.
    """

    address: str
    username: str
    password: str = field(repr=False)
    ca: str = ""


class StateBackend(Protocol):
    """Stores the states of modules. `holder` is who holds the environment; states that others write are kept aside."""

    def open(self, owner: Owner, step: str, holder: Holder | None, *, encrypted: bool = True) -> StateAccess:
        """Access for one run of tofu, read-only without a holder. Unless `encrypted` is False, unencrypted states are
        refused.
        """
        ...

    def exists(self, owner: Owner, step: str) -> bool:
        """Whether there is any state of the step, including an empty one; cheap."""
        ...

    def remove(self, owner: Owner, step: str, holder: Holder) -> None:
        """Deletes all versions, those kept aside included, the run record and the lock. Idempotent.

        Raises `LeaseLost`.
        """
        ...

    def keep_aside(self, owner: Owner, step: str, holder: Holder, content: bytes, why: str) -> None:
        """Keeps a state that tofu could not save. Also allowed to a worker that lost the environment."""
        ...

    def aside(self, owner: Owner, step: str) -> bytes | None:
        """The newest state kept aside that is newer than the current one: same lineage, higher serial.

        Also when there is no current one. Both are readable in an encrypted state.
        """
        ...


class ModuleKeys(Protocol):
    """One key for each environment, kept in OpenBao: base64 of 32 random bytes."""

    def key(self, owner: Owner) -> str:
        """The key, made when there is none."""
        ...

    def existing(self, owner: Owner) -> str | None:
        """The key; None when there is none."""
        ...


class RunRecords(Protocol):
    """What a module was last run with, for its destroy; sealed with the environment's key by the implementation."""

    def save(self, owner: Owner, step: str, content: bytes, holder: Holder) -> None:
        """Replaces the run record of the step. Raises `LeaseLost`."""
        ...

    def load(self, owner: Owner, step: str) -> bytes | None:
        """The run record of the step; None when there is none, or its key is gone."""
        ...


@dataclass(frozen=True)
class Module:
    """A module folder as content, and what it is run with. `encrypted`: whether state and plans are.

    `lock` is the lock file of providers that an earlier run made; empty: the one among the files, or a new one.
    `credentials` are the parts of the cluster that it works with.
    """

    files: Mapping[str, bytes]
    variables: Mapping[str, Any]
    encrypted: bool = True
    parallelism: int = 10
    lock: bytes = b""
    credentials: tuple[CredentialPart, ...] = ()


@dataclass(frozen=True)
class IssuedCredentials:
    """Credentials for one use of tofu: variables of its process, and CAs (PEM) by the variable that names their file.

    `secrets` are the values that must not be shown.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificates: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)


class CredentialBroker(Protocol):
    """Issues credentials that are good for the environment's own places and for a short time."""

    def resources(self, owner: Owner, parts: Sequence[CredentialPart]) -> Sequence[Intended]:
        """What issuing makes or may leave: to be written down before anything is issued. All of it is shared."""
        ...

    def missing(self, owner: Owner, parts: Sequence[CredentialPart]) -> Sequence[Change]:
        """What issuing would have to make or repair first; reads only. Raises `ForeignResource`."""
        ...

    def issue(
        self, owner: Owner, parts: Sequence[CredentialPart], seconds: float, run: StepRun
    ) -> AbstractContextManager[IssuedCredentials]:
        """Makes what is missing, and credentials that are revoked after the block and expire in about `seconds` anyway.

        They live for a minute at least and an hour at most. Raises `ForeignResource`, `BackendError`, `Interrupted`.
        """
        ...


class NoCredentials:
    """A `CredentialBroker` for a service without a cluster."""

    def resources(self, owner: Owner, parts: Sequence[CredentialPart]) -> Sequence[Intended]:
        """None."""
        return ()

    def missing(self, owner: Owner, parts: Sequence[CredentialPart]) -> Sequence[Change]:
        """None."""
        return ()

    def issue(
        self, owner: Owner, parts: Sequence[CredentialPart], seconds: float, run: StepRun
    ) -> AbstractContextManager[IssuedCredentials]:
        """Raises `MachineError`."""
        raise MachineError("This service has no cluster, so it can't issue credentials to a module.")


@dataclass(frozen=True)
class Place:
    """Where one run of tofu belongs: whose module, the state and key it works with, and its credentials."""

    owner: Owner
    step: str
    access: StateAccess
    key: str = field(repr=False)
    credentials: IssuedCredentials = IssuedCredentials()


@dataclass(frozen=True)
class Planned:
    """What tofu is about to do. `made` are addresses that will be created or replaced; `lock` the providers' lock."""

    made: tuple[str, ...]
    changed: tuple[str, ...] = ()
    destroyed: tuple[str, ...] = ()
    lock: bytes = b""

    @property
    def empty(self) -> bool:
        """Whether no resource changes."""
        return not (self.made or self.changed or self.destroyed)


@dataclass(frozen=True)
class Output:
    """An output of a module; the value of a sensitive one isn't read."""

    value: Any
    sensitive: bool = False


class UnsavedStates(Protocol):
    """States of one module that tofu could not save."""

    def keep(self, content: bytes, why: str) -> None:
        """Keeps one; `why` is for the log."""
        ...

    def newer(self) -> bytes | None:
        """The one that succeeds the current state, if any: it must be saved before anything is planned."""
        ...


@dataclass(frozen=True)
class Settlement:
    """What tofu has done, when its state holds all of it: the addresses it began to work on, and what it destroyed."""

    began: frozenset[str]
    gone: frozenset[str]


Settled = Callable[[Settlement], None]
"""Called once the state holds all that tofu did, also if it failed; not if tofu was killed, as then that is unknown."""


class Tofu(Protocol):
    """OpenTofu. Every method waits for its end, or raises.

    When `run` has to stop, tofu is asked to stop, then killed, and has ended before the interruption is raised. Raises
    `InvalidTemplate` (the module is wrong), `BackendUnavailable` (state locked or away), `StepFailed` (a provider
    failed), `MachineError` (no tofu, no provider).
    """

    def apply(
        self,
        place: Place,
        module: Module,
        run: StepRun,
        before: Callable[[Planned], None],
        settled: Settled,
        *,
        unsaved: UnsavedStates,
        targets: Sequence[str] = (),
    ) -> Mapping[str, Output]:
        """Plans, calls `before` with the plan, and applies exactly that plan; gives the outputs.

        `targets` restricts it to those addresses and what they need.
        """
        ...

    def plan(self, place: Place, module: Module, run: StepRun) -> Sequence[Change]:
        """What `apply` would do; the addresses of the changes are those in the module, or outputs. Reads only."""
        ...

    def destroy(self, place: Place, module: Module, run: StepRun, settled: Settled, *, unsaved: UnsavedStates) -> None:
        """Destroys everything that is in the state."""
        ...

    def addresses(self, place: Place, *, encrypted: bool) -> frozenset[str]:
        """The addresses of all managed resources in the state. Raises `BackendUnavailable`. Reads only."""
        ...
