"""The shipped template `web` on a real cluster, made and taken away by the executors alone, without the engine."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import environments
from environments.domain.environment import ResourceRef, Unexpected
from environments.domain.plan import Change
from environments.domain.template import Bundle, make_bundle
from environments.domain.template_parts import Step
from environments.providers.backend.connections import Connections
from environments.providers.consul import provide as consul
from environments.providers.http import provide as http
from environments.providers.job_places import provide as job_places
from environments.providers.nomad import provide as nomad
from environments.providers.vault import provide as vault
from environments.providers.vault.secret import VaultSecret
from environments.service.rendering import render
from environments.steps.base import Intended, Owner, Presence, StepContext
from environments.steps.registry import StepRegistry, registry_of
from tests.support import images_here
from tests.support.parts import parts_of
from tests.support.step_harness import Run

WEB = Path(environments.__file__).parent / "templates" / "web"


def tools(connections: Connections) -> StepRegistry:
    """Every step kind that needs a cluster."""
    parts = parts_of(lambda: connections, Path("no state on this machine"))
    return registry_of([provider.provide(parts) for provider in (nomad, consul, vault, http, job_places)])


def folder(path: Path, changes: Mapping[str, str] | None = None) -> Bundle:
    """A template's folder, with files changed."""
    files = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    return make_bundle({**files, **{name: text.encode() for name, text in (changes or {}).items()}})


@dataclass
class Made:
    """An environment: its outputs by step, what it may have made, and the log."""

    box: StepRegistry
    owner: Owner
    bundle: Bundle
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    intended: list[Intended] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    secrets: Mapping[str, Any] = field(default_factory=dict)
    """The secret parameters that come with the request."""

    def apply(
        self, steps: Iterable[str] | None = None, limit: float = 60.0, *, checked: bool = True, **parameters: Any
    ) -> None:
        """Applies steps (all) in their order. Unless `checked`, as if the check of a template had let it pass."""
        for step in self.bundle.template().steps:
            if steps is not None and step.name not in steps:
                continue
            executor = self.box.executors[step.uses]
            faults = executor.check(step.options, self.bundle)
            assert not checked or not [fault for fault in faults if isinstance(fault, str) or not fault.warning]
            context = self._context(step, parameters)
            self.intended += [item for item in executor.resources(context) if item not in self.intended]
            run = Run(limit=limit)
            try:
                self.outputs[step.name] = executor.apply(context, run)
            finally:
                self.log += run.lines

    def plan(self, **parameters: Any) -> dict[str, list[Change]]:
        """What applying each step would do now, for those that would do anything."""
        found = {}
        for step in self.bundle.template().steps:
            run = Run()
            changes = list(self.box.executors[step.uses].plan(self._context(step, parameters), run))
            assert run.effects == 0
            if changes:
                found[step.name] = changes
        return found

    def unexpected(self) -> list[Unexpected]:
        """What the drift detectors find beside what it has made."""
        known = frozenset(item.ref for item in self.intended)
        steps = frozenset(step.name for step in self.bundle.template().steps)
        return [
            found for detector in self.box.drift_detectors for found in detector.unexpected(self.owner, known, steps)
        ]

    def _context(self, step: Step, parameters: Mapping[str, Any]) -> StepContext:
        template = self.bundle.template()
        defaults = {name: schema.get("default") for name, schema in template.parameters.items()}
        names = {
            "parameters": {**defaults, **parameters},
            # Without the step `trust`, the service behind an edge has no TLS.
            "steps": {"trust": {"authority": ""}, **self.outputs},
            "environment": {"name": self.owner.name},
            "images": images_here.ByName(),
        }
        options = self.box.executors[step.uses].options.model_validate(render(step.options, names, step.name))
        return StepContext(
            self.owner,
            step.name,
            options,
            self.bundle,
            names["parameters"],
            secrets=self.secrets if step.uses == VaultSecret.kind else {},
            host_volumes=frozenset(template.host_volumes),
            host_network=template.network == "host",
        )

    @property
    def url(self) -> str:
        """Where the service answers."""
        return str(self.outputs["app"]["services"]["web"]["url"])

    def in_order_of_destruction(self) -> list[ResourceRef]:
        """Own resources backwards, then shared ones from the highest rank down."""
        own = [item for item in reversed(self.intended) if not item.shared]
        shared = sorted((item for item in self.intended if item.shared), key=lambda item: -item.rank)
        return [item.ref for item in [*own, *shared]]

    def destroy(self) -> None:
        """Takes everything away; each resource must be gone when its handler returns."""
        for ref in self.in_order_of_destruction():
            handler = self.box.handlers[ref.kind]
            handler.destroy(ref.address, self.owner, Run(limit=60))
            found = handler.observe(ref.address, self.owner)
            assert found.presence is not Presence.OURS, (ref, found)

    def left(self) -> list[ResourceRef]:
        """What an independent reading of the backends still finds."""
        return [
            ref
            for ref in self.in_order_of_destruction()
            if self.box.handlers[ref.kind].observe(ref.address, self.owner).presence is Presence.OURS
        ]


def new_owner(prefix: str = "w") -> Owner:
    """An environment that no other test has."""
    return Owner(f"env-{uuid4().hex[:8]}", f"{prefix}{uuid4().hex[:6]}")


def leftovers(connections: Connections) -> dict[str, set[str]]:
    """Everything that environments make, as the vendors' own APIs list it."""
    consul, vault, nomad = connections.caller("consul"), connections.caller("vault"), connections.caller("nomad")

    def keys(path: str) -> set[str]:
        found = vault.get(f"{path}?list=true")
        return set(found["data"]["keys"]) if found else set()

    return {
        "keys": set(consul.get("/v1/kv/?keys=true") or ()),
        "policies": {policy["Name"] for policy in consul.get("/v1/acl/policies")},
        "consul tokens": {token["AccessorID"] for token in consul.get("/v1/acl/tokens")},
        "services": set(consul.get("/v1/catalog/services")),
        "namespaces": {namespace["Name"] for namespace in nomad.get("/v1/namespaces")},
        "jobs": {job["ID"] for job in nomad.get("/v1/jobs?namespace=*") or ()},
        "allocations": {
            found["ID"]
            for found in nomad.get("/v1/allocations?namespace=*") or ()
            if found["ClientStatus"] not in ("complete", "failed", "lost")
        },
        "secrets": keys("/v1/secret/metadata/environments"),
        "roles": keys("/v1/pki/roles"),
        "leases": keys("/v1/sys/leases/lookup/pki/issue"),
        "good certificates": keys("/v1/pki/certs") - keys("/v1/pki/certs/revoked"),
        "entities": keys("/v1/identity/entity/id"),
        "aliases": keys("/v1/identity/entity-alias/id"),
        "openbao tokens": keys("/v1/auth/token/accessors"),
    }


def until(true: Any, seconds: float = 10.0) -> None:
    """Waits until something holds; fails when it doesn't in time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it doesn't come true"
        time.sleep(0.05)
