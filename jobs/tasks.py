"""The actions of the task graph for the meta environment."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from environments.cni import plugin_folder
from environments.wire.images import PublishImageRequest
from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel
from images.job_networks import NOT_ISOLATED, WITHOUT_CNI
from images.neighbours import ADVICE, neighbours
from images.pipeline.builder import Builder
from images.report import console
from images.toolchain import require
from jobs import deploy as deployment
from jobs.database import POSTGRESQL, Choice
from jobs.edge_options import EdgeOptions, edge_choice, told_of
from jobs.entry_domain import entry_warning
from jobs.first_ports import check_first_ports
from jobs.people import told_of_people
from jobs.places import places
from jobs.ports import block
from jobs.status import status_lines, table
from jobs.undeploy import undeploy as remove

PAUSE = "pause"
"""The image that holds the networks of jobs."""


_PARTS = ("consul", "openbao", "nomad")


def look_at_ports(**options: Any) -> None:
    """Check that no other program has a port of the first deployment from here; `options` are those of deploy."""
    first_port = options["first_port"]
    ports = None if first_port is None else block(first_port)
    of_edge = cast(EdgeOptions, {name: options[name] for name in EdgeOptions.__annotations__})
    check_first_ports(
        places(),
        ports,
        edge_choice(None if ports is None else ports.edge, of_edge),
        options["database"],
        options["web_page_port"],
        {part: options[part] for part in _PARTS},
        datetime.now(UTC),
    )


def deploy(
    channel: str = "qa",
    database: str = "",
    workers: int | None = None,
    first_port: int | None = None,
    web_page_port: int | None = None,
    listen: str = "",
    address: str = "",
    no_edge: bool = False,
    local_authority: bool = False,
    edge_certificate: str = "",
    edge_key: str = "",
    edge_ca: str = "",
    acme_directory: str = "",
    acme_email: str = "",
    acme_ca: str = "",
    acme_account: str = "",
    entry_domain: str = "",
    warnings: str = "",
    identity_providers: str = "",
    **existing: str,
) -> None:
    """Create or repair the meta environment, publish the images, and say what to do next.

    The images are those of `channel`, by their content. `database` (`sqlite`, `postgresql`) and `workers`, how many
    additional to the one in the service, stay as they were when they are left out, and so do the ports. At first these
    are the vendors' defaults, or those of a block that begins at `first_port`;
    `web_page_port` moves the web page alone. `listen` and `address` are of the edge:
    where it listens, and the host name that it answers for. `no_edge` leaves it out. Its certificate comes from
    OpenBao (`local_authority`), from files (`edge_…`) or by ACME (`acme_…`); what is not given stays as it was.
    Environments have entry points below `entry_domain`; `none`: they have none. `warnings` is the file of channels that
    deliver warnings, or `none`; `identity_providers` that of the OpenID providers by which people sign in beside the
    built-in one, or `none`.
    `existing` has `consul`, `consul_token_file`, `consul_ca_file` and so on for parts that are running already.
    """
    report = console()
    where = places()
    images = Catalogue()
    ports = None if first_port is None else block(first_port)
    wish = deployment.DeployRequest(
        image=images.deployable("provisioning", Channel(channel)).reference,
        binaries=require("consul", "bao", "nomad"),
        infra_image=_infra_image(images, Channel(channel)),
        images={
            image.name: PublishImageRequest(
                reference=image.reference, channel=image.channel, key=image.key, build=image.build
            )
            for image in images.deployables(Channel(channel))
        },
        existing=[
            deployment.Existing(part, existing[part], existing[f"{part}_token_file"], existing[f"{part}_ca_file"])
            for part in _PARTS
            if existing[part]
        ],
        ports={} if ports is None else ports.agents,
        port=None if ports is None else ports.service,
        ui_port=None if ports is None else ports.ui,
        page_port=web_page_port,
        database=Choice(
            kind=database or None,
            workers=workers,
            port=None if ports is None or database != POSTGRESQL else ports.database,
        ),
        edge=edge_choice(
            None if ports is None else ports.edge,
            EdgeOptions(
                listen=listen,
                address=address,
                no_edge=no_edge,
                local_authority=local_authority,
                edge_certificate=edge_certificate,
                edge_key=edge_key,
                edge_ca=edge_ca,
                acme_directory=acme_directory,
                acme_email=acme_email,
                acme_ca=acme_ca,
                acme_account=acme_account,
            ),
        ),
        entry_domain=entry_domain,
        warnings=warnings,
        identity_providers=identity_providers,
    )
    if not existing["nomad"] and (seen := neighbours(where.state)):
        report(f"Warning: {seen.sentence()} {ADVICE}")
    if not existing["nomad"] and plugin_folder() is None:
        report(f"Warning: {NOT_ISOLATED} {WITHOUT_CNI}")
    done = deployment.deploy(where, wish, report)
    report(f"Calvinverse {done.info.version} runs at {done.context.address}; its state is kept in {where.state}.")
    for part, address in sorted(done.info.parts.items()):
        report(f"  {part}: {address}")
    for line in told_of(wish.edge, done.meta.parameters, done.edge, done.edge_before, where.state):
        report(line)
    if warning := entry_warning(done.meta.parameters):
        report(f"Warning: {warning}")
    command = _command()
    for line in told_of_people(done.issuers, command):
        report(line)
    report(f"Make a first environment with `{command} env create demo --template web`.")
    report(f"Open the TUI with `{command} tui`.")


def _infra_image(images: Catalogue, channel: Channel) -> str:
    """What holds the networks of jobs: it has no version of its own, so that of qa will do in every channel."""
    if images.at(PAUSE, channel) is None:
        channel = Channel.QA
    return images.deployable(PAUSE, channel).reference


def dispatch(environment: str = "", images: str = "", anew: bool = False) -> None:
    """Build images in a build environment: `images` are names with commas between; empty for all."""
    from jobs.dispatch import build_remotely  # imported here, because no other task needs it

    report = console()
    names = images.replace(",", " ").split()
    built = build_remotely(places(), environment, names, report, anew=anew)
    for reference in built.references:
        print(reference, flush=True)
    if built.references:
        name = built.references[-1].partition("@")[0].rpartition("/")[2]
        report("The registry has them as long as the environment exists. Let new deployments use one with")
        report(f"`{_command()} image publish {name} --reference {built.references[-1]}`.")


def status() -> None:
    """Show what runs, where, in which version, and how healthy."""
    print(table(status_lines(places())))


def undeploy(destroy_environments: bool = False, force: bool = False) -> None:
    """Remove everything that deploy made, and what a killed build left."""
    report = console()
    if remove(places(), report, destroy_environments=destroy_environments, force=force):
        report("Everything that deploy made is removed. Built images and tools are kept.")
    else:
        report("Nothing is deployed from here.")
    Builder().clean_up_killed(report)


def _command() -> str:
    """The command line's path as the user can type it."""
    return ".venv/bin/calvinverse" if Path(".venv/bin/calvinverse").exists() else "calvinverse"
