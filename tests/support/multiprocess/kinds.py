"""The step kinds that the service has templates checked with: the real ones and the gate."""

from environments.bootstrap import providers
from tests.support.multiprocess.shared_files import GateExecutor

STEP_KINDS = {**providers.STEP_KINDS, GateExecutor.kind: GateExecutor}
