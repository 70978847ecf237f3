"""How deep lists and objects may be in each other: what is deeper, nobody could write down, store or show again."""

from environments.domain.json_values import DEEPEST, deeper_than

__all__ = ["DEEPEST", "deeper_than"]
