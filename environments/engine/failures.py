"""Converts errors that ended a step or a deployment into failures for people."""

from environments.domain.cleaning import Cleaner
from environments.domain.environment import Failure
from environments.domain.errors import CalvinverseError

LONGEST = 4000
"""Characters of a message; the rest of a longer one is cut off, visibly."""

PLAIN = Cleaner()
"""Cleans texts of control characters; knows no secrets."""


def failure_of(error: BaseException, step: str | None = None, cleaner: Cleaner = PLAIN) -> Failure:
    """The failure for an error. Its message is cleaned, because messages may quote output of any program."""
    if isinstance(error, CalvinverseError):
        message, hint = (cleaner.clean(text, LONGEST) for text in (error.message, error.hint))
        return Failure(code=error.code, message=message, hint=hint, step=step)
    kind = type(error).__name__
    return Failure(
        code=CalvinverseError.code,
        message=f"Calvinverse has a bug: {kind} in step {step!r}." if step else f"Calvinverse has a bug: {kind}.",
        hint=CalvinverseError.default_hint,
        step=step,
    )
