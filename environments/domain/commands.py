"""What somebody asks to be done with an environment, checked for its types only."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from environments.domain.lifecycle import DeploymentKind
from environments.domain.timing import TimedAction


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True)


class AskedRule(_Command):
    """A rule of the calendar, and what happens at its moments."""

    action: TimedAction = TimedAction.DESTROY
    rule: str


class CreateEnvironment(_Command):
    """Create an environment. At most one of `ttl` (a duration such as `2h`) and `until` (UTC) sets its lifetime."""

    name: str
    template: str
    digest: str | None = None
    """A particular version of the template; None: the newest."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    ttl: str | None = None
    until: datetime | None = None
    rules: tuple[str | AskedRule, ...] = ()
    """Rules of the calendar, beside those of its template; a text is a rule that destroys it."""

    def asked_rules(self) -> list[AskedRule]:
        """The rules, each once."""
        found = (AskedRule(rule=rule) if isinstance(rule, str) else rule for rule in self.rules)
        return list(dict.fromkeys(found))


class UpdateEnvironment(_Command):
    """Apply the newest (or the named) version of the environment's template, and changed parameters.

    `run_again` names steps whose batch jobs run again, even though they have finished with the same inputs.
    """

    digest: str | None = None
    parameters: dict[str, Any] | None = None
    run_again: tuple[str, ...] = ()


class MakePlan(_Command):
    """Plan a change of an environment.

    Create takes `template`, `digest`, `parameters`, `ttl`, `until` and `rules`; update `digest`, `parameters` and
    `run_again`; repair, promote and destroy nothing. `rollback_to` (a deployment's id, or `last-good`) plans an update
    back to what that deployment applied.
    """

    kind: DeploymentKind
    template: str | None = None
    digest: str | None = None
    parameters: dict[str, Any] | None = None
    ttl: str | None = None
    until: datetime | None = None
    rules: tuple[str | AskedRule, ...] | None = None
    rollback_to: str | None = None
    run_again: tuple[str, ...] | None = None
