"""A service in this process whose engine works on the real cluster, without HTTP."""

from pathlib import Path

from environments.providers.backend.connections import Connections, TokenFile
from environments.providers.nomad.client import NomadClient
from environments.steps.registry import StepRegistry
from tests.support.cluster import Cluster
from tests.support.engine_harness import EngineHarness
from tests.support.web_harness import tools


class RealEngineHarness(EngineHarness):
    """A service in this process on the real cluster; with each `reopen` it shows another token to Nomad."""

    connections: Connections

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.connections = cluster.connections
        self.admin = self.connections.caller("nomad", timeout=30)
        self.tokens: list[str] = []
        super().__init__(folder)

    def make_registry(self) -> StepRegistry:
        self.tools = tools(self.connections)
        return self.tools

    @property
    def nomad(self) -> NomadClient:
        return NomadClient(lambda: self.connections)

    def change_token(self) -> None:
        """What happens each hour, and with each start of the service."""
        body = {"Name": "another", "Type": "management"}
        made = self.admin.call("POST", "/v1/acl/token", body)
        self.tokens.append(made["AccessorID"])
        file = self.folder / f"token-{len(self.tokens)}"
        file.write_text(made["SecretID"])
        file.chmod(0o600)
        assert self.connections.nomad is not None
        nomad = self.connections.nomad.model_copy(update={"authentication": TokenFile(token_file=file)})
        self.connections = self.connections.model_copy(update={"nomad": nomad})

    def reopen(self) -> None:
        """Another start of the service, with another token."""
        self.stop()
        self.change_token()
        self.open()
        self.worker.start()

    def close(self) -> None:
        self.stop()
        for accessor in self.tokens:
            self.admin.call("DELETE", f"/v1/acl/token/{accessor}")
