"""The local cluster: Consul, OpenBao and Nomad on loopback, under supervisor, all below one state folder."""

from environments.adapters.agents.agent import Agent, AgentStatus
from environments.adapters.agents.host import LocalCluster
from environments.adapters.agents.local import LocalAgents
from environments.adapters.agents.ports import Ports, free_ports

__all__ = ["Agent", "AgentStatus", "LocalAgents", "LocalCluster", "Ports", "free_ports"]
