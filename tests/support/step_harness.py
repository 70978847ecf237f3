"""All step kinds of an environment on twins in memory: what the executors' unit tests stand on."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from environments.domain.environment import ResourceRef
from environments.domain.errors import Interrupted, StepTimeout
from environments.domain.plan import Change
from environments.domain.template import Bundle, make_bundle
from environments.providers.consul import provide as consul
from environments.providers.edge import provide as edge
from environments.providers.http import provide as http
from environments.providers.http.check import Answer, CheckHttp, NoAnswer
from environments.providers.job_places import provide as job_places
from environments.providers.local_cluster.agents.patience import Patience
from environments.providers.nomad import provide as nomad
from environments.providers.vault import provide as vault
from environments.providers.vault.secret import VaultSecret
from environments.steps.base import Executor, Holder, Intended, Owner, Presence, StepContext
from environments.steps.registry import StepRegistry, registry_of
from tests.fakes.backends.consul import MemoryConsul
from tests.fakes.backends.entry_points import MemoryEntryPoints
from tests.fakes.backends.nomad import MemoryNomad
from tests.fakes.backends.vault import MemoryLogins, MemoryPki, MemorySecrets, MemoryVault
from tests.fakes.inline_executor import InlineExecutor
from tests.support.parts import memory_parts

ALPHA = Owner("env-1", "alpha")
NOW = datetime(2026, 1, 1, tzinfo=UTC)

JOB = """
variable "environment" {}
variable "text" {}
variable "count" {}
job "web" {
  type = "service"
  group "group" {
    network {
      mode = "bridge"
    }
    count = var.count
    service {
      name = "${var.environment}--web"
    }
    task "task" {
      driver = "docker"
      config {
        image = "web"
      }
      template {
        data = "it is ${var.text}"
      }
    }
  }
}
"""

TEMPLATE = """
[template]
name = "t"
[parameters.pin]
type = "string"
writeOnly = true
[[steps]]
name = "one"
uses = "consul.kv"
"""


class Run:
    """A step in progress. It is interrupted at its `stop_at`-th effect, and out of time after `limit` seconds."""

    def __init__(self, *, stop_at: int = 0, limit: float = 10.0) -> None:
        self.lines: list[str] = []
        self.effects = 0
        self.intended: list[ResourceRef] = []
        self.held: list[ResourceRef] = []
        self.marks: dict[tuple[str, str], tuple[str, ...]] = {}
        self._stop_at = stop_at
        self._patience = Patience(limit)

    @property
    def time_left(self) -> float:
        """Seconds, of which a busy machine has more."""
        return self._patience.left()

    @property
    def holder(self) -> Holder | None:
        """Always the same."""
        return Holder("dep-1", "worker-1", 1)

    @property
    def sure_for(self) -> float:
        """As long as a lease."""
        return 10.0

    def intend(self, resources: Sequence[Intended]) -> None:
        """Keeps them."""
        self.intended += [item.ref for item in resources]

    def hold(self, resources: Sequence[ResourceRef]) -> None:
        """Keeps them."""
        self.held += resources

    def gone(self, resources: Sequence[ResourceRef]) -> None:
        """Keeps them no more."""
        self.intended = [ref for ref in self.intended if ref not in resources]

    def finished(self, resource: ResourceRef, marks: Sequence[str]) -> None:
        """Keeps the marks."""
        self.marks[resource.kind, resource.address] = tuple(marks)

    def before_effect(self) -> None:
        """Counts."""
        self.effects += 1
        if self.effects == self._stop_at:
            raise Interrupted("The worker died.")
        if self.time_left <= 0:
            raise StepTimeout("The step took longer than its time limit.")

    def wait(self, seconds: float) -> None:
        """Sleeps."""
        time.sleep(seconds)
        self.before_effect()

    def log(self, line: str) -> None:
        """Keeps the line."""
        self.lines.append(line)


@dataclass
class FakeWeb:
    """Answers of services by address; everything else answers 200."""

    answers: dict[str, Answer | str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def get(self, url: str, *, ca: str | None, limit: float) -> Answer:
        """The answer, or no answer where a text says why."""
        self.asked.append((url, ca))
        answer = self.answers.get(url, Answer(200, "ok"))
        if isinstance(answer, str):
            raise NoAnswer(answer)
        return answer


class StepHarness:
    """One cluster in memory, and the registry on it. Calls that may run side by side do so in `pool`.

    `domain` is that of entry points.
    """

    def __init__(self, pool: Callable[[], futures.Executor] = InlineExecutor, domain: str = "apps.example.org") -> None:
        self.consul = MemoryConsul()
        self.nomad = MemoryNomad(self.consul)
        self.secrets = MemorySecrets()
        self.pki = MemoryPki(NOW)
        self.logins = MemoryLogins()
        self.finished: dict[tuple[str, str], tuple[str, ...] | None] = {}
        self.web = FakeWeb()
        vault_api = MemoryVault(self.secrets, self.pki, self.logins)
        self.entry_points = MemoryEntryPoints(domain)
        parts = memory_parts(self.consul, self.nomad, vault_api, lambda: NOW, pool, self.entry_points)
        registry = registry_of([provider.provide(parts) for provider in (nomad, consul, vault, http, job_places, edge)])
        own: list[Executor] = [
            VaultSecret(self.secrets, choose=lambda alphabet: alphabet[0]),
            CheckHttp(self.consul, self.web, self.pki, self.nomad),
        ]
        executors = {**registry.executors, **{executor.kind: executor for executor in own}}
        self.registry: StepRegistry = replace(registry, executors=executors)

    def context(
        self,
        uses: str,
        options: Mapping[str, Any],
        *,
        owner: Owner = ALPHA,
        step: str = "one",
        secrets: Mapping[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
        before: Bundle | None = None,
        run_again: str = "",
        starts: bool = False,
        stopped: bool = False,
    ) -> StepContext:
        """A step with these options, which knows what has run to its end so far."""
        read = self.registry.executors[uses].options.model_validate(options)
        inputs = repr(sorted(options.items()))
        return StepContext(
            owner,
            step,
            read,
            bundle(files),
            {},
            secrets or {},
            inputs=inputs,
            finished=dict(self.finished),
            before=before,
            run_again=run_again,
            starts=starts,
            stopped=stopped,
        )

    def apply(self, uses: str, options: Mapping[str, Any], run: Run | None = None, **more: Any) -> dict[str, Any]:
        """Applies such a step."""
        run = run or Run()
        try:
            return self.registry.executors[uses].apply(self.context(uses, options, **more), run)
        finally:
            self.finished |= run.marks

    def plan(self, uses: str, options: Mapping[str, Any], run: Run | None = None, **more: Any) -> list[Change]:
        """What applying such a step would do. Planning itself must have no effects."""
        run = run or Run()
        found = list(self.registry.executors[uses].plan(self.context(uses, options, **more), run))
        assert run.effects == 0
        return found

    def resources(self, uses: str, options: Mapping[str, Any], **more: Any) -> Sequence[Intended]:
        """What such a step may make."""
        return self.registry.executors[uses].resources(self.context(uses, options, **more))

    def presence(self, kind: str, address: str, owner: Owner = ALPHA) -> Presence:
        """What an independent reading of the backends finds."""
        return self.registry.handlers[kind].observe(address, owner).presence

    def stop(self, kind: str, address: str, run: Run | None = None, owner: Owner = ALPHA) -> None:
        """Stops a resource."""
        stop = self.registry.stop_of(kind)
        assert stop is not None
        stop(address, owner, run or Run())

    def destroy(self, kind: str, address: str, run: Run | None = None, owner: Owner = ALPHA) -> None:
        """Takes a resource away."""
        self.registry.handlers[kind].destroy(address, owner, run or Run())


def bundle(files: Mapping[str, str] | None = None) -> Bundle:
    """A template's folder with a job file."""
    texts = {"template.toml": TEMPLATE, "web.nomad.hcl": JOB, **(files or {})}
    return make_bundle({path: text.encode() for path, text in texts.items()})
