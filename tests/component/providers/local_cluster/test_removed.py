"""Agents that are removed side by side: what they share goes once, with the last of them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from environments.providers.local_cluster.agents.agent import Agent
from environments.providers.local_cluster.agents.local import LocalAgents


def test_two_that_go_at_the_same_moment_remove_what_they_share_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = LocalAgents(tmp_path / "state", {})
    for name in ("consul", "openbao"):
        agents.agent(name).folder.mkdir(parents=True)
    both_gone = threading.Barrier(2)

    def remove(agent: Agent) -> None:
        agent.folder.rmdir()
        both_gone.wait(timeout=120)

    shared: list[Path] = []
    monkeypatch.setattr(Agent, "remove", remove)
    monkeypatch.setattr(agents.supervisor, "shut_down", lambda: shared.append(agents.site.folder))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(agents.remove_one, ("consul", "openbao")))
    assert shared == [agents.site.folder]
    assert not agents.site.folder.exists()
