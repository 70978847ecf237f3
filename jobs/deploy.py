"""Creates or repairs the meta environment through the local service, then hands over to the deployed service."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from environments.belongings import claim, is_marked, is_own_token
from environments.client import Client, connect
from environments.client.bundles import read_bundle
from environments.context import Context, write_context
from environments.domain.errors import (
    CalvinverseError,
    MachineError,
    NotAllowedNow,
    ServiceUnavailable,
    StepFailed,
    UnknownEnvironment,
    UnknownRoute,
)
from environments.domain.lifecycle import BUSY, State
from environments.domain.tokens import RANDOM_BYTES, is_token_secret, known_token, token_secret
from environments.kept_files import NotKept, NotThere, read_token
from environments.private_files import write_private
from environments.state_origin import refuse_copy, remember
from environments.wire.deployments import CancelRequest
from environments.wire.environments import CreateRequest, EnvironmentView, UpdateRequest
from environments.wire.images import PublishImageRequest
from environments.wire.people_local import IssuerView
from environments.wire.system import Info
from jobs.database import IMAGE, Choice, database_parameters
from jobs.edge import IMAGE as EDGE
from jobs.edge import EdgeChoice, Source, check_edge_port, edge_parameters, first_unprivileged_port
from jobs.edge_context import EXTERNAL, context_by_edge
from jobs.entry_domain import entry_parameters
from jobs.following import follow
from jobs.identity_providers import provider_parameters
from jobs.local_service import exclusive, local_service
from jobs.meta_template import meta_bundle
from jobs.places import Places, manager, person
from jobs.taken_ports import check_ports, refuse_other_ports
from jobs.warnings import warning_parameters
from jobs.web_page import IMAGE as UI
from jobs.web_page import check_web_page_port, web_page_parameters

META = "meta"
BUILD = Path(__file__).parent / "build"

HAND_OVER_SECONDS = 60.0
"""Time limit in seconds for the deployed service to become ready for the hand-over."""

_PARTS = ("consul", "openbao", "nomad")

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Existing:
    """An existing Consul, OpenBao or Nomad, with the file that has a token for it."""

    part: str
    address: str
    token_file: str = ""
    ca_file: str = ""

    def parameters(self) -> dict[str, str]:
        """The template's parameters for it."""
        values = {"address": self.address, "token_file": self.token_file, "ca_file": self.ca_file}
        return {f"{self.part}_{name}": value for name, value in values.items()}


@dataclass(frozen=True)
class DeployRequest:
    """The inputs of a deployment: the image of the service, the tools that run the agents, and existing agents.

    `image` names the service's image by its content, `infra_image` the one that holds the networks of jobs. `images`
    has, by name, the images to publish in the deployed service for environments; one of them is PostgreSQL's. `ports`
    has the agents' ports that differ from the vendors' defaults, `port` the service's port if it isn't 8400, and
    `ui_port` that of the web page at first, if it isn't beside the service's, `page_port` the one that it gets now in
    any case. `entry_domain`: see `jobs.entry_domain`;
    `warnings`: see `jobs.warnings`; `identity_providers`: see `jobs.identity_providers`.
    """

    image: str
    binaries: Mapping[str, Path]
    infra_image: str = ""
    images: Mapping[str, PublishImageRequest] = field(default_factory=dict)
    existing: Sequence[Existing] = ()
    ports: Mapping[str, int | str] = field(default_factory=dict)
    port: int | None = None
    database: Choice = field(default_factory=Choice)
    edge: EdgeChoice = field(default_factory=EdgeChoice)
    ui_port: int | None = None
    page_port: int | None = None
    entry_domain: str = ""
    warnings: str = ""
    identity_providers: str = ""


@dataclass(frozen=True)
class Deployed:
    """The result of a deployment."""

    context: Context
    meta: EnvironmentView
    info: Info
    edge: str | None = None
    """The edge's URL; None if there is none."""
    edge_before: str | None = None
    """Its URL until then; None if there was none."""
    issuers: Sequence[IssuerView] = ()
    """The issuers of people in the deployed service."""


def deploy(where: Places, wish: DeployRequest, tell: Tell) -> Deployed:
    """Creates what is missing and repairs the rest. The local service's database remains the only owner of `meta`.

    The deployed service shows `meta` read-only. After an interruption the next call continues. The kind of the
    service's database doesn't change. Raises `CalvinverseError`.
    """
    refuse_copy(where.state, forced=False)
    claim(where.state)
    with exclusive(where):
        token = _own_token(where, tell)
        with local_service(where) as local:
            remember(where.state, where.local.name)
            before = _find_meta(local)
            refuse_other_ports(wish.port, None if before is None else before.parameters)
            edge = _edge(wish, before)
            known = None if before is None else before.parameters
            warnings = warning_parameters(wish.warnings, edge, known)
            providers = provider_parameters(wish.identity_providers, known)
            parameters = _parameters(wish, token) | _database(wish, before) | edge | warnings | providers
            page = _web_page(wish, edge, known)
            parameters |= page
            parameters["reserved_ports"] = [edge["edge_port"], page["ui_port"]] if edge["edge"] else []
            check_ports(where, parameters, known)
            check_edge_port(edge, known)
            check_web_page_port(page, known)
            source = Source(edge.get("edge_source", Source.AUTHORITY))
            parts = {"warnings": warnings["warnings"], "providers": providers["providers"]}
            local.push(meta_bundle(edge=edge["edge"], source=source, **parts))
            meta = _create_or_repair(local, before, parameters, tell)
            tell("Handing over to the deployed service.")
            address = str(meta.outputs["address"].value)
            context = Context(address=address, token_file=where.token, ca_file=where.authority, name=META)
            info = _hand_over(context, meta)
            issuers = _publish(context, wish.images, tell)
            context = context_by_edge(where, context, meta, wish.edge, tell)
            context = context.model_copy(update={"page_port": page.get("ui_port")})
        # The context is written last and atomically: until then it names the previous service.
        write_context(where.state, context)
    return Deployed(context, meta, info, _edge_url(meta), None if before is None else _edge_url(before), issuers)


def _own_token(where: Places, tell: Tell) -> str:
    """The deployer's token for the deployed service; created once and stored, again if its file holds none any more.

    Raises `MachineError` for what isn't ours in its place.
    """
    try:
        kept = read_token(where.token)
        if is_token_secret(kept):
            return kept
        raise NotKept("it holds something else")
    except NotThere:
        pass
    except NotKept as error:
        if not is_marked(where.state) and not is_own_token(where.token):
            raise MachineError(
                f"{where.token} can't be written: something else is there, which deploy didn't make.",
                hint="Move it away, and repeat `doit deploy`.",
            ) from error
        tell(f"There is no token in {where.token} any more ({error}); a new one takes its place.")
    made = token_secret(secrets.token_urlsafe(RANDOM_BYTES))
    write_private(where.token, made + "\n")
    return made


def _parameters(wish: DeployRequest, token: str) -> dict[str, Any]:
    return {
        "image": wish.image,
        "binaries": {name: str(path) for name, path in wish.binaries.items()},
        "ports": dict(wish.ports),
        **({} if wish.port is None else {"port": wish.port}),
        "infra_image": wish.infra_image,
        "deployer": person(),
        "deployer_token": known_token(token),
        **{name: value for part in wish.existing for name, value in part.parameters().items()},
    }


def _database(wish: DeployRequest, before: EnvironmentView | None) -> dict[str, Any]:
    published = wish.images.get(IMAGE)
    image = None if published is None else published.reference
    return database_parameters(wish.database, image, None if before is None else before.parameters)


def _edge(wish: DeployRequest, before: EnvironmentView | None) -> dict[str, Any]:
    published = wish.images.get(EDGE)
    image = None if published is None else published.reference
    parameters = None if before is None else before.parameters
    edge = edge_parameters(wish.edge, image, parameters, datetime.now(UTC), first_unprivileged_port())
    return edge | entry_parameters(wish.entry_domain, edge, parameters)


def _web_page(wish: DeployRequest, edge: Mapping[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    published = wish.images.get(UI)
    image = None if published is None else published.reference
    return web_page_parameters(edge, image, wish.port, known, wish.ui_port, wish.page_port)


def _edge_url(meta: EnvironmentView) -> str | None:
    external = meta.outputs.get(EXTERNAL)
    return None if external is None else str(external.value)


def _find_meta(local: Client) -> EnvironmentView | None:
    """The meta environment in any state; None if there is none."""
    try:
        meta = local.environment(META)
    except UnknownEnvironment:
        return None
    return None if meta.state is State.DESTROYED else meta


def _create_or_repair(
    local: Client, meta: EnvironmentView | None, parameters: dict[str, Any], tell: Tell
) -> EnvironmentView:
    if meta is not None and meta.state in BUSY:
        rest = _settle(local, meta, parameters)
        tell(f"An earlier deployment was interrupted while it was {meta.state.value}; {rest}.")
        meta = _after_interrupted(local, tell)
    if meta is None or meta.state is State.DESTROYED:
        tell("Creating the meta environment.")
        local.create(CreateRequest(name=META, template=META, parameters=parameters))
    elif meta.state in (State.READY, State.FAILED):
        tell("Checking the meta environment.")
        local.update(META, UpdateRequest(parameters=parameters))
    else:
        raise NotAllowedNow(
            f"The meta environment is {meta.state.value}.", hint="Finish with `doit undeploy`, then deploy again."
        )
    return follow(local, META, frozenset({State.READY}), tell)


def _settle(local: Client, meta: EnvironmentView, parameters: Mapping[str, Any]) -> str:
    """Ends an interrupted deployment that was to have other parts: they may be at fault. Says what becomes of it."""
    chosen = {name: value for name, value in parameters.items() if name.partition("_")[0] in _PARTS}
    if meta.state is State.DESTROYING or all(meta.parameters.get(name, "") == value for name, value in chosen.items()):
        return "it is continued first"
    with suppress(NotAllowedNow):  # it has just ended, or destroys
        local.cancel(META, CancelRequest(force=True))
    return "it ends first, for it was to have other parts"


def _after_interrupted(local: Client, tell: Tell) -> EnvironmentView:
    """The meta environment after the interrupted deployment has ended, successfully or not."""
    ended = frozenset(State) - BUSY
    return follow(local, META, ended, tell)


def _publish(context: Context, images: Mapping[str, PublishImageRequest], tell: Tell) -> list[IssuerView]:
    """Publishes the images in the deployed service, and pushes the template that builds them.

    Gives the issuers of people there. A repeated call changes nothing. Raises `CalvinverseError`.
    """
    with connect(context) as deployed:
        deployed.push(read_bundle(BUILD))
        if images:
            tell(f"Publishing the images: {', '.join(sorted(images))}.")
        for name, request in sorted(images.items()):
            deployed.publish_image(name, request)
        try:
            return deployed.issuers()
        except UnknownRoute:  # an image of a version without people
            return []


def _hand_over(context: Context, meta: EnvironmentView) -> Info:
    """Stores the copy of `meta` in the deployed service. A repeated call changes nothing. Raises `StepFailed`."""
    end = time.monotonic() + HAND_OVER_SECONDS
    with connect(context) as deployed:
        while True:
            try:
                problems = deployed.readiness().problems
                if not problems:
                    deployed.mirror(meta.model_copy(update={"managed_by": manager(), "deployment": None}))
                    return deployed.info()
            except ServiceUnavailable as error:
                problems = {"service": error.message}
            except CalvinverseError as error:
                raise StepFailed(
                    f"The deployed service refuses the hand-over: {error.message}", hint=error.hint
                ) from error
            if time.monotonic() > end:
                raise StepFailed(
                    f"The deployed service isn't ready: {' '.join(problems.values())}",
                    hint="See `doit status`, and the log of job `provisioning` in namespace `meta`.",
                )
            time.sleep(0.2)
