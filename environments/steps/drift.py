"""Helpers of drift detectors: compare an address with the inventory, and describe what no step made.

Addresses are those that a step of that kind would use: a key that somebody overwrote by hand is both a change of its
step and unexpected, under one kind and address, until a repair has restored it.
"""

from environments.domain.environment import ResourceRef, Unexpected

Known = frozenset[ResourceRef]
"""The environment's resources according to the inventory."""


def is_known(known: Known, kind: str, address: str) -> bool:
    """Whether the inventory has a resource of that kind and address."""
    return ResourceRef(kind=kind, address=address) in known


def undeclared(kind: str, address: str, detail: str = "") -> Unexpected:
    """An unexpected resource; without a detail it says that no step made it."""
    return Unexpected(kind=kind, address=address, detail=detail or "no step of this environment made it")
