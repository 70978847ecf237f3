"""`vault.secret`: secrets of an environment, generated once or given, in OpenBao's KV v2 mount `secret`."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from environments.domain.environment import ResourceRef
from environments.domain.errors import BackendError, InvalidParameters
from environments.domain.faults import Fault, meant
from environments.domain.json_values import as_floats, fits_floats, same
from environments.domain.names import kv_prefix
from environments.domain.plan import Action, Change
from environments.domain.references import SECRET_STEPS, SecretReference
from environments.domain.template import Bundle
from environments.providers.nomad.workload_identity import issuing_resource
from environments.providers.vault.folder import check_folder, claim_folder, folder_resource, held_by
from environments.providers.vault.ports import MOUNT, SecretHead, SecretStore
from environments.service.shapes import ANYTHING, TEXT, Shape, table
from environments.steps.base import Intended, Observation, Options, Owner, Presence, StepContext, StepRun
from environments.steps.changes import OwnThingsOnly, change
from environments.steps.marks import ABSENT, MARK, MENDS_MARK, foreign, mark, whose
from environments.steps.options import faults

SECRET_KIND = "vault.secret"
LETTERS_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


NOT_EXACT = "is a whole number that OpenBao doesn't keep exactly; write it as a string"


class Generate(BaseModel):
    """A random value: `length` characters from `alphabet`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int = Field(default=32, ge=8, le=1024)
    alphabet: str = Field(default=LETTERS_AND_DIGITS, min_length=2)


class VaultSecretOptions(Options):
    """Keys of the secret, each given in one of three ways.

    `generate`: generated once and kept. `values`: written unchanged. `from_parameters`: key → a secret parameter.
    """

    generate: dict[str, Generate] = Field(default_factory=dict)
    values: dict[str, str | int | float | bool] = Field(default_factory=dict)
    from_parameters: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _keys(self) -> "VaultSecretOptions":
        keys = [*self.generate, *self.values, *self.from_parameters]
        if not keys:
            raise ValueError("give at least one key in generate, values or from_parameters")
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"the key {twice[0]!r} is given in two ways")
        if large := [key for key, value in self.values.items() if not fits_floats(value)]:
            raise ValueError(f"the value of key {large[0]!r} {NOT_EXACT}")
        if bad := [key for key in keys if not key or "#" in key]:
            raise ValueError(f"{bad[0]!r} can't be a key of a secret")
        return self


class VaultSecret(OwnThingsOnly):
    """Writes one secret. A generated value is kept when the step is applied again."""

    kind: ClassVar[str] = SECRET_STEPS
    takes_secrets: ClassVar[bool] = True
    options: ClassVar[type[Options]] = VaultSecretOptions
    time_limit: ClassVar[timedelta] = timedelta(seconds=30)
    description: ClassVar[str] = "Keeps generated or given secrets in OpenBao, under secret/environments/<name>/<step>."

    def __init__(self, store: SecretStore, choose: Callable[[str], str] = secrets.choice) -> None:
        self._store = store
        self._choose = choose

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[Fault]:
        """Faults: unknown options, keys given twice, and parameters that are no secret parameters of the template."""
        found = faults(VaultSecretOptions, options)
        given = options.get("from_parameters")
        if isinstance(given, Mapping):
            template = bundle.template()
            known = template.secret_parameters()
            found += [
                Fault(
                    path=("with", "from_parameters", str(key)),
                    message=f"with.from_parameters.{key}: {name!r} is no parameter with writeOnly = true",
                    suggestion=meant(name, known) or _made_secret(name, template.parameters),
                )
                for key, name in given.items()
                if isinstance(name, str) and name not in known
            ]
        return found

    @classmethod
    def gives(cls, options: Mapping[str, Any], bundle: Bundle) -> Shape:
        """The shape of what `apply` returns."""
        ways = [options.get(name, {}) for name in ("generate", "values", "from_parameters")]
        keys = {key for way in ways if isinstance(way, Mapping) for key in way}
        known = all(isinstance(way, Mapping) for way in ways)
        return table({"path": TEXT, "references": table(keys) if known else ANYTHING})

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """The secret, its folder, and the identity with which it is read and written."""
        own = Intended(ResourceRef(kind=SECRET_KIND, address=f"{MOUNT}/{_path(context)}"))
        return [folder_resource(context.owner), issuing_resource(context.owner), own]

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Returns `path` (in the form for Nomad's templates) and `references`: key → the value for a secret output."""
        path = _path(context)
        run.hold(claim_folder(self._store, context.owner, run))
        head, kept = self._found(path, context.owner)
        data = self._data(context, kept)
        if head is None or head.metadata.get(MARK) != context.owner.id:
            run.before_effect()
            self._store.mark(path, mark(context.owner))
        if not _same(data, kept):
            run.before_effect()
            if not self._store.write(path, data, head.version if head else 0):
                raise BackendError(f"The secret {MOUNT}/{path} in OpenBao is being written by another program.")
        return {
            "path": f"{MOUNT}/data/{path}",
            "references": {key: SecretReference(context.owner.id, context.step, path, key) for key in data},
        }

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """The keys that would be generated, written, changed or removed: their names, never a value.

        The fingerprint depends on the current version of the secret, and not on values.
        """
        path = _path(context)
        check_folder(self._store, context.owner)
        head, kept = self._found(path, context.owner)
        lines = _lines(context, kept, lost=bool(head and head.version))
        if head is not None and head.metadata.get(MARK) != context.owner.id:
            lines.append(MENDS_MARK)
        if not lines:
            return []
        before = head.version if head else None
        action = Action.CREATE if head is None else Action.CHANGE
        return [change(action, SECRET_KIND, f"{MOUNT}/{path}", before=before, after=lines, details=lines)]

    def _found(self, path: str, owner: Owner) -> tuple[SecretHead | None, dict[str, Any]]:
        head = self._store.head(path)
        if head is not None and whose(head.metadata, owner, held=held_by(owner)) is Presence.FOREIGN:
            raise foreign(f"a secret {MOUNT}/{path} in OpenBao", owner)
        return head, (self._store.read(path) if head and head.version else None) or {}

    def _data(self, context: StepContext, kept: Mapping[str, Any]) -> dict[str, Any]:
        options: VaultSecretOptions = context.options
        generated = {
            key: kept[key] if key in kept else "".join(self._choose(rule.alphabet) for _ in range(rule.length))
            for key, rule in options.generate.items()
        }
        return {**_given(context, kept), **generated}


class SecretHandler:
    """Observes and removes a secret (`secret/environments/<name>/<step>`)."""

    kind: ClassVar[str] = SECRET_KIND

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def observe(self, address: str, owner: Owner) -> Observation:
        """Reads the metadata, which remains even when all versions are deleted."""
        head = self._store.head(address.removeprefix(f"{MOUNT}/"))
        if head is None:
            return ABSENT
        return Observation(whose(head.metadata, owner, held=held_by(owner)), f"version {head.version}")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes all versions and the metadata."""
        if self.observe(address, owner).presence is Presence.OURS:
            run.before_effect()
            self._store.remove(address.removeprefix(f"{MOUNT}/"))


def _made_secret(name: str, parameters: Mapping[str, Any]) -> str:
    return f"set writeOnly = true in [parameters.{name}]" if name in parameters else ""


def _given(context: StepContext, kept: Mapping[str, Any]) -> dict[str, Any]:
    """All keys except generated ones. Raises `InvalidParameters`."""
    options: VaultSecretOptions = context.options
    data: dict[str, Any] = dict(options.values)
    for key, parameter in options.from_parameters.items():
        if parameter in context.secrets:
            data[key] = context.secrets[parameter]
        elif key in kept:
            data[key] = kept[key]
        else:
            raise InvalidParameters(f"The secret parameter {parameter!r} has no value.")
    return data


def _lines(context: StepContext, kept: Mapping[str, Any], *, lost: bool) -> list[str]:
    """The change of each key that doesn't stay as it is. `lost`: missing keys existed, or should exist."""
    options: VaultSecretOptions = context.options
    missing = "is missing, " if lost else ""
    lines = [f"{key}: {missing}will be generated" for key in options.generate if key not in kept]
    for key, value in _given(context, kept).items():
        source = f" from parameter {options.from_parameters[key]!r}" if key in options.from_parameters else ""
        if key not in kept:
            lines.append(f"{key}: {missing}will be written{source}")
        elif not _same(kept[key], value):
            lines.append(f"{key}: will be changed{source}")
    known = {*options.generate, *options.values, *options.from_parameters}
    return [*lines, *(f"{key}: will be removed" for key in kept if key not in known)]


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values and their types are equal. OpenBao returns numbers as floats: 1.0 is 1."""
    return same(as_floats(one), as_floats(other))


def _path(context: StepContext) -> str:
    return kv_prefix(context.owner.name) + context.step
