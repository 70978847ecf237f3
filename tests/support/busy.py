"""Time limits of tests on a machine that others keep busy."""

from environments.providers.local_cluster.agents.patience import load_per_processor


def patient(seconds: float) -> float:
    """What takes `seconds` on an idle machine may take that many on this one, as busy as it is."""
    return seconds * max(1.0, load_per_processor())
