"""`cluster.trust`: configures the rights of jobs in Consul, OpenBao and Nomad; existing clusters are only checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from pydantic import Field

from environments.domain.errors import StepFailed
from environments.domain.faults import Fault
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.service.shapes import TEXT, Shape, table
from environments.steps.base import Intended, Options, StepContext, StepRun
from environments.steps.changes import OwnThingsOnly, change
from environments.steps.options import faults


@dataclass(frozen=True)
class Lack:
    """A setting that is missing or wrong: `what`, in which part (`where`), and the call or the advice that fixes it.

    `ours`: in a part that runs here, so the service fixes it.
    """

    what: str
    where: str
    fix: str
    ours: bool = False


class TrustKeeper(Protocol):
    """What this step needs of the cluster."""

    def establish(
        self, external_address: str, before_effect: Callable[[], None], log: Callable[[str], None]
    ) -> Sequence[Lack]:
        """Makes what is missing in the parts that run here, and gives what is missing in those of others. Idempotent.

        Raises `BackendError`.
        """
        ...

    def lacking(self, external_address: str) -> Sequence[Lack] | None:
        """All required settings that are missing; None when there is no cluster yet. Changes nothing.

        Raises `BackendError`.
        """
        ...

    def keep_authority(self) -> str:
        """The authority (PEM) of the parts of the meta environment, kept in a file for clients.

        Raises `BackendError`.
        """
        ...


class ClusterTrustOptions(Options):
    """`external_address`, by which people reach the service: for signing in with OpenBao; empty: it isn't set up."""

    external_address: str = Field("", max_length=300, pattern=r"^(https?://[^/?#\s]+)?$")


class ClusterTrust(OwnThingsOnly):
    """Sets up, or verifies, the trust between the parts of the cluster."""

    kind: ClassVar[str] = "cluster.trust"
    only_for_meta: ClassVar[bool] = True
    options: ClassVar[type[Options]] = ClusterTrustOptions
    time_limit: ClassVar[timedelta] = timedelta(minutes=1)
    description: ClassVar[str] = "Gives jobs their environment's rights; on a cluster of others, says what is missing."
    plans_itself: ClassVar[bool] = True
    """`apply` verifies all of it each time, renews credentials, and changes only what differs."""

    def __init__(self, keeper: TrustKeeper) -> None:
        self._keeper = keeper

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[Fault]:
        """Unknown options."""
        return faults(ClusterTrustOptions, options)

    @classmethod
    def gives(cls, options: Mapping[str, Any], bundle: Bundle) -> Shape:
        """What `apply` gives."""
        return table({"authority": TEXT})

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """None: all of it is inside agents that are resources themselves, or nothing is made."""
        return []

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Gives `authority`, the certificate (PEM) that clients of the meta environment's parts pin.

        Raises `StepFailed` naming everything that an administrator of the cluster has to fix.
        """
        options: ClusterTrustOptions = context.options
        lacking = self._keeper.establish(options.external_address, run.before_effect, run.log)
        for lack in lacking:
            run.log(f"{lack.where} lacks {lack.what}. To fix it: {lack.fix}")
        if lacking:
            raise _refusal(lacking)
        return {"authority": self._keeper.keep_authority()}

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """What would be set up in the parts that run here. Raises `StepFailed` as `apply` does."""
        options: ClusterTrustOptions = context.options
        lacking = self._keeper.lacking(options.external_address)
        if lacking is None:
            lines = ["all of it, once its agents run"]
            return [change(Action.CREATE, self.kind, "cluster", details=lines)]
        if theirs := [lack for lack in lacking if not lack.ours]:
            raise _refusal(theirs)
        return [
            change(
                Action.CHANGE, self.kind, f"{lack.where}: {lack.what}", after=lack.fix, details=["isn't as it must be"]
            )
            for lack in lacking
        ]


def _refusal(lacking: Sequence[Lack]) -> StepFailed:
    names = "; ".join(f"{lack.what} ({lack.where})" for lack in lacking)
    return StepFailed(
        f"The existing cluster lacks what Calvinverse needs: {names}.",
        hint="The log of this step says how to fix each; then retry.",
        details={"missing": [{"what": lack.what, "where": lack.where, "mend": lack.fix} for lack in lacking]},
    )
