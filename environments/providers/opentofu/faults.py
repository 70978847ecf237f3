"""The failure of a run of tofu as one of the service's errors.

A module and its providers may write any text. So texts decide only where tofu itself must have written them: in errors
without a place and a resource, before tofu has worked on anything. Whether the state is the cause is found by reading
it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Literal

from environments.domain.errors import (
    BackendDenied,
    BackendError,
    BackendUnavailable,
    CalvinverseError,
    InvalidTemplate,
    MachineError,
    StepFailed,
)
from environments.providers.opentofu.messages import LONGEST, Diagnostic, Messages

StateTrouble = Literal["refused", "away", "unreadable"]
"""What is wrong with a state: the service refuses the credential, it doesn't answer, or tofu can't read what it has."""

_LOCKED = "Error acquiring the state lock"
_NOT_INSTALLED = "Failed to install provider"
_PROVIDERS = (
    "Failed to query available provider packages",
    _NOT_INSTALLED,
    "Failed to resolve provider packages",
    "Required plugins are not installed",
    "Inconsistent dependency lock file",
    "Could not retrieve providers for locking",
    "Incompatible provider version",
    "Invalid provider registry host",
)
_OUTDATED = (
    "Required plugins are not installed",
    "Inconsistent dependency lock file",
    "Backend initialization required",
    "Module not installed",
    "Module source has changed",
    "Module version requirements have changed",
)
_SAVING = "Failed to save state"
_PANICKED = 2
"""The exit status of a Go program that panics; an error of tofu's is 1."""
_ANSWER = re.compile(r"HTTP error: (\d{3})\b")


def nothing_wrong() -> StateTrouble | None:
    """For whom the state can't be to blame."""
    return None


def disturbed(status: int, said: Messages) -> bool:
    """Whether `init` failed as it does where another run fills the shared cache of providers at the same moment.

    It replaces what is there, and who looks meanwhile misses the provider that it has just installed: OpenTofu 1.12
    panics or says so (internal/providercache/installer.go, ensureProviderVersionInstalled).
    """
    errors = said.errors()
    return status == _PANICKED if not errors else any(found.summary == _NOT_INSTALLED for found in errors)


def outdated(said: Messages) -> bool:
    """Whether tofu failed because what `init` had left ready doesn't fit any more."""
    return not said.walked and any(not error.address and error.summary.startswith(_OUTDATED) for error in said.errors())


def error_of(
    messages: Messages,
    complaint: str,
    phase: str,
    *,
    unsaved: bool = False,
    ask: Callable[[], StateTrouble | None] = nothing_wrong,
) -> CalvinverseError:
    """What went wrong in a run of tofu that failed. `phase` is its command: `init`, `plan`, `apply`, `destroy`, …

    `unsaved`: whether it left a state that it could not hand in. `ask` finds out what is wrong with the state.
    """
    errors = messages.errors()
    if not errors:
        text = " ".join(" ".join((*messages.plain, messages.clean(complaint))).split())
        return StepFailed(f"tofu {phase} failed and didn't say why: {text[-LONGEST:] or 'no output'}.")
    text = _sentences(errors)
    bare = [found for found in errors if found.bare]
    if bare and unsaved:
        return _unsaved(bare, text)
    if bare and not messages.walked:
        if any(found.summary == _LOCKED for found in bare):
            return BackendUnavailable(
                f"The state of the module is locked by another run: {text}",
                hint="It is retried automatically; the lock of a run that has died is broken when its deployment ends.",
            )
        if any(found.summary.startswith(_PROVIDERS) for found in bare):
            return MachineError(
                f"A provider of the module can't be had: {text}",
                hint="Put it in the service's mirror (setting `providers`), or let the service reach its registry.",
                details={"diagnostics": [found.sentence() for found in errors]},
            )
    if bare and (trouble := ask()) is not None:
        return _of_state(trouble, text)
    placed = phase == "init" or (phase == "plan" and not messages.walked and bool(errors[0].place))
    if placed and all(not found.address for found in errors):
        return InvalidTemplate(
            f"The module is wrong: {text}",
            hint="Fix the module and check it with `tofu validate`.",
            details={"problems": [found.sentence() for found in errors]},
        )
    return StepFailed(
        f"tofu {phase} failed: {text}",
        details={"diagnostics": [found.sentence() for found in errors]},
    )


def _of_state(trouble: StateTrouble, text: str) -> CalvinverseError:
    match trouble:
        case "refused":
            return BackendDenied(f"The service refuses the module its state: {text}")
        case "away":
            return BackendUnavailable(f"The module's state can't be reached: {text}")
        case "unreadable":
            return BackendError(
                f"The module's state can't be decrypted: {text}",
                hint="The key of the environment in OpenBao isn't the one that the state was encrypted with.",
            )


def _unsaved(bare: Iterable[Diagnostic], text: str) -> CalvinverseError:
    """What the service answered to a state that tofu has kept as a file instead."""
    status = next((int(found[1]) for error in bare if (found := _answer(error))), None)
    if status in (401, 403):
        return _of_state("refused", text)
    if status is not None and status < 500:
        return BackendError(f"The service doesn't take the module's state: {text}")
    return _of_state("away", text)


def _answer(error: Diagnostic) -> re.Match[str] | None:
    return _ANSWER.search(error.detail) if error.summary == _SAVING else None


def _sentences(errors: Iterable[Diagnostic]) -> str:
    found = [error.sentence() for error in errors]
    more = f" And {len(found) - 3} more errors." if len(found) > 3 else ""
    return "; ".join(text.rstrip(".") for text in found[:3]) + "." + more
