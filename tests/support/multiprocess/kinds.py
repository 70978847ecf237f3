"""The step kinds that a service of the fleet has templates checked with: the real ones and the gate."""

from environments.bootstrap import providers
from tests.support.multiprocess.world import GateExecutor

STEP_KINDS = {**providers.STEP_KINDS, GateExecutor.kind: GateExecutor}
