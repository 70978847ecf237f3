"""What computes a plan, and for which wanted state."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from environments.domain.environment import Environment
from environments.domain.lifecycle import DeploymentKind
from environments.domain.plan import StepPlan
from environments.domain.template import Bundle


@dataclass(frozen=True)
class Target:
    """The wanted state of an environment: its record with the new bundle's digest and the new parameters.

    `secrets` are the secret parameters that come with the request; earlier ones stay in OpenBao. `run_again` has the
    steps whose work is to run again, each with the id of the deployment that first requested it. Plans use only the
    names. The kind `stop` stands for an environment that is stopped: its plan finds what differs from that.
    """

    kind: DeploymentKind
    environment: Environment
    bundle: Bundle
    secrets: dict[str, Any]
    run_again: Mapping[str, str] = field(default_factory=dict)


class Planner(Protocol):
    """Computes plans by observing the backends."""

    def plan(self, target: Target, troubles: MutableMapping[str, str] | None = None) -> tuple[StepPlan, ...]:
        """The plan of each step, in the order in which the steps run; changes nothing.

        With `troubles`, a step that can't be observed is added there (step → why) and has no changes. Without, its
        error is raised: any `CalvinverseError`.
        """
        ...
