"""Twins of the clients of Consul, OpenBao and Nomad that live in memory and pass the same contract tests."""

from environments.adapters.memory.consul import MemoryConsul
from environments.adapters.memory.feeds import MemoryCheckFeed, MemoryJobFeed
from environments.adapters.memory.nomad import MemoryNomad
from environments.adapters.memory.nomad_access import MemoryNomadAcl
from environments.adapters.memory.vault import MemoryLogins, MemoryPki, MemorySecrets

__all__ = [
    "MemoryCheckFeed",
    "MemoryConsul",
    "MemoryJobFeed",
    "MemoryLogins",
    "MemoryNomad",
    "MemoryNomadAcl",
    "MemoryPki",
    "MemorySecrets",
]
