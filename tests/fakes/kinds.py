"""The step kinds of the service without its engine."""

from collections.abc import Mapping
from typing import Any

from environments.bootstrap.providers import STEP_KINDS
from environments.domain.template import Bundle
from environments.service.inspecting import StepKind


class AnyKind:
    """A step kind that finds nothing wrong."""

    def check(self, options: Mapping[str, Any], bundle: Bundle) -> list[str]:
        return []


KINDS: dict[str, StepKind] = {**STEP_KINDS, "fake": AnyKind()}
KINDS_HERE = f"{__name__}:KINDS"
"""What a checking process is told to know them by."""
