"""What a template is made of, as models: a template, its steps, outputs, lifetime and drift schedule."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from environments.domain.calendar_rule import CalendarRule, parse_rule
from environments.domain.durations import Duration as Duration  # exported from here
from environments.domain.errors import CalvinverseError
from environments.domain.preview import PreviewRule
from environments.domain.timing import TimedAction
from environments.domain.trigger import Trigger


def _read_rule(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_rule(value)
        except CalvinverseError as error:
            raise ValueError(f"{error.message.rstrip('.')}; {error.hint[:1].lower()}{error.hint[1:]}") from error
    return value


Rule = Annotated[CalendarRule, BeforeValidator(_read_rule), PlainSerializer(str, return_type=str)]
"""A rule of the calendar, written as `0 19 * * 1-5 Europe/Amsterdam`."""


MOST_RULES = 20
"""Rules of the calendar in one place."""

MOST_TRIGGERS = 20
"""Triggers of a template."""

MOST_WARNINGS = 5
"""Warnings of one deadline."""

LONGEST_EXTENSION = timedelta(days=1)
"""The longest extension by a link that no template asks for."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Lifetime(_Part):
    """How long environments of a template live; all empty: until somebody destroys them.

    `destroy` are rules of the calendar: an environment is destroyed at the first moment of any of them. It is stopped
    at each moment of a rule of `stop`, and started at each of `start`. `warn`: how
    long before its deadline its owner is warned; None: once, see `warn_at`; empty: never. `extend`: how much longer it
    lives when somebody uses the link in a warning; None: as long as `default`, at most a day.
    """

    default: Duration | None = None
    maximum: Duration | None = None
    destroy: tuple[Rule, ...] = Field(default=(), max_length=MOST_RULES)
    stop: tuple[Rule, ...] = Field(default=(), max_length=MOST_RULES)
    start: tuple[Rule, ...] = Field(default=(), max_length=MOST_RULES)
    warn: tuple[Duration, ...] | None = Field(default=None, max_length=MOST_WARNINGS)
    extend: Duration | None = None

    def rules(self) -> Iterator[tuple[TimedAction, int, CalendarRule]]:
        """Its rules of the calendar, each with what it does and its place, from 0, among those that do the same."""
        for action, rules in (
            (TimedAction.DESTROY, self.destroy),
            (TimedAction.STOP, self.stop),
            (TimedAction.START, self.start),
        ):
            for number, rule in enumerate(rules):
                yield action, number, rule

    @property
    def extension(self) -> timedelta:
        """How much longer an environment lives when somebody uses the link in a warning."""
        return self.extend or min(self.default or LONGEST_EXTENSION, LONGEST_EXTENSION)


class OnFailure(StrEnum):
    """What becomes of a deployment when a step fails for good.

    `stop`: nothing new starts, the environment has failed. `rollback`: likewise, and then the last good deployment is
    applied again. `continue`: only what needs the step is left out.
    """

    STOP = "stop"
    ROLLBACK = "rollback"
    CONTINUE = "continue"


class DriftSchedule(_Part):
    """When the environments of a template are observed for drift: a cron expression, read in a time zone."""

    schedule: str | None = None
    zone: str = "UTC"


class Step(_Part):
    """One unit of a template. `options` (written `with`) is read by the executor of the kind `uses`.

    `retries` is how often a step is tried again, with growing pauses, after an error that may pass (`transient` in
    docs/reference/error-codes.md); others are never tried again.
    """

    name: str
    uses: str
    needs: tuple[str, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict, alias="with")
    timeout: Duration | None = None
    on_failure: OnFailure = OnFailure.STOP
    retries: int = Field(default=3, ge=0, le=20)


class Output(_Part):
    """What an environment tells its user; `secret` values are references, resolved only when revealed."""

    value: str
    description: str = ""
    secret: bool = False


class Template(_Part):
    """The content of `template.toml`, checked. `host_volumes` names folders of a node that its jobs may mount.

    `network` is "host" if its jobs may use their node's network; with "bridge" each group has a network of its own.
    `limit` is how many deployments of it run at once; None: as many as the workers take. `price` is what an environment
    costs an hour, in whatever the people who read it count in. `triggers` stand on each of its environments; `preview`
    bounds what triggers may make of it for pull requests.
    """

    name: str
    version: str = "0"
    description: str = ""
    host_volumes: tuple[str, ...] = ()
    network: Literal["bridge", "host"] = "bridge"
    limit: int | None = Field(default=None, ge=1)
    price: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    lifetime: Lifetime = Lifetime()
    drift: DriftSchedule = DriftSchedule()
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    steps: tuple[Step, ...]
    outputs: dict[str, Output] = Field(default_factory=dict)
    triggers: tuple[Trigger, ...] = Field(default=(), max_length=MOST_TRIGGERS)
    preview: PreviewRule | None = None

    def step(self, name: str) -> Step:
        """The step of that name; KeyError if there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    def secret_parameters(self) -> frozenset[str]:
        """Parameters that JSON Schema's `writeOnly` marks as secrets (draft 2020-12, validation, 9.4)."""
        return frozenset(name for name, schema in self.parameters.items() if schema.get("writeOnly") is True)

    def parameters_schema(self) -> dict[str, Any]:
        """One JSON Schema (draft 2020-12) for all parameters; those without a default are required."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": dict(self.parameters),
            "required": [name for name, schema in self.parameters.items() if "default" not in schema],
            "additionalProperties": False,
        }

    def dependencies(self) -> dict[str, tuple[str, ...]]:
        """For each step, the steps that it needs."""
        return {step.name: step.needs for step in self.steps}
