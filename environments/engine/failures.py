"""What a person reads about an error that ended a step or a deployment."""

from environments.domain.environment import Failure
from environments.domain.errors import CalvinverseError


def failure_of(error: BaseException, step: str | None = None) -> Failure:
    """What a person reads about an error."""
    if isinstance(error, CalvinverseError):
        return Failure(code=error.code, message=error.message, hint=error.hint, step=step)
    kind = type(error).__name__
    return Failure(
        code=CalvinverseError.code,
        message=f"Calvinverse has a fault: {kind} in step {step!r}." if step else f"Calvinverse has a fault: {kind}.",
        hint=CalvinverseError.default_hint,
        step=step,
    )
