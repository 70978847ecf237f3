"""Steps that a person wants to run again although they are done."""

from collections.abc import Callable, Sequence

from environments.domain.environment import Environment
from environments.domain.errors import InvalidInput
from environments.domain.lifecycle import DeploymentKind, StepState
from environments.domain.suggesting import suggestion
from environments.domain.template import Bundle
from environments.domain.template_parts import Step
from environments.service.storage.deployments import newest_of
from environments.service.storage.transaction import Transaction

WhyNot = Callable[[Step, Bundle], str]
"""Why a step can't be run again, in words; empty if it can, or if only its deployment will tell."""


def any_step(step: Step, bundle: Bundle) -> str:
    """Allows any step to run again: for services without step kinds."""
    return ""


def check_steps(wanted: Sequence[str], bundle: Bundle, why_not: WhyNot) -> tuple[str, ...]:
    """The steps without repetitions. Raises `InvalidInput` for a step that doesn't exist or can't be run again."""
    steps = {step.name: step for step in bundle.template().steps}
    for name in wanted:
        if name not in steps:
            hint = suggestion(name, steps) or f"It has: {', '.join(steps)}."
            raise InvalidInput(f"The template has no step {name!r} to run again.", hint=hint)
        if reason := why_not(steps[name], bundle):
            raise InvalidInput(
                f"The step {name!r} can't be run again: {reason}.",
                hint="Only batch and sysbatch jobs that start with their deployment are run again.",
            )
    return tuple(dict.fromkeys(wanted))


def left_to_run(tx: Transaction, environment: Environment) -> dict[str, str]:
    """Steps that the newest deployment was to run again and didn't; the next deployment runs them again."""
    newest = newest_of(tx.deployments, environment.id)
    if newest is None or not newest.run_again or newest.kind is DeploymentKind.DESTROY:
        return {}
    done = {step.name for step in tx.journal.steps(newest.id) if step.state is StepState.DONE}
    return {name: wish for name, wish in newest.run_again.items() if name not in done}
