"""`calvinverse image`: the images that were built in this checkout."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from environments.cli.session import Session, command
from images.cli.lookup import newest, open_catalogue, standing

if TYPE_CHECKING:
    from environments.client import Client

Name = Annotated[str, typer.Argument(metavar="NAME", help="A folder of images/, such as web.")]
Build = Annotated[
    str,
    typer.Argument(
        metavar="[BUILD]",
        help="qa, production, ~N (N validated ones before the last), a build's id, the start of its key.",
    ),
]


@command("image", "list", examples="calvinverse image list")
def list_images(session: Session) -> None:
    from environments.cli.tables import table
    from images.cli.tables import rows_of_images

    catalogue = open_catalogue()
    found = {name: standing(catalogue, name) for name in catalogue.names()}
    session.show(found, lambda: table(*rows_of_images(catalogue, session.zone)))
    if not found:
        session.say("No image has been made here yet. Next: `doit build`.")


@command(
    "image",
    "show",
    examples="""
        calvinverse image show web
        calvinverse image show web production
        calvinverse image show web ~1 -o json
    """,
)
def show(session: Session, name: Name, build: Build = "") -> None:
    from images.cli.tables import details, history

    catalogue = open_catalogue()
    record = catalogue.find(name, build or newest(catalogue, name))
    entries = [entry for entry in catalogue.journal(name).entries() if entry.build == record.build]
    data = {**record.model_dump(mode="json"), "tools": record.tools, "journal": entries, "folder": record.folder}

    def lines() -> Any:
        yield from details(catalogue, record, session.zone)
        if not build:
            yield from history(catalogue, name, session.zone)

    session.show(data, lines)


@command(
    "image",
    "diff",
    more="Without builds: the two newest validated ones. With one: that one and the newest.",
    examples="""
        calvinverse image diff web
        calvinverse image diff web production qa
    """,
)
def diff(session: Session, name: Name, before: Build = "", after: Build = "") -> None:
    from images.catalogue.difference import difference
    from images.cli.tables import differences

    catalogue = open_catalogue()
    old, new = catalogue.find(name, before or "~1"), catalogue.find(name, after or "~0")
    packages = difference(catalogue.packages(old), catalogue.packages(new))
    names = sorted(old.inputs.keys() | new.inputs.keys())
    inputs = [each for each in names if old.inputs.get(each) != new.inputs.get(each)]
    data = {
        "before": old.build,
        "after": new.build,
        "same_image": old.image_id == new.image_id,
        "packages": packages,
        "inputs": inputs,
        "size": new.size - old.size,
    }
    session.show(data, lambda: differences(old, new, packages, inputs))


@command(
    "image",
    "promote",
    examples="""
        calvinverse image promote web
        calvinverse image promote web --build ~1
        calvinverse image promote web --undo
    """,
)
def promote(
    session: Session,
    name: Name,
    build: Annotated[str, typer.Option("--build", metavar="BUILD", help="This build instead of the newest.")] = "qa",
    undo: Annotated[bool, typer.Option("--undo", help="Undo the last promotion.")] = False,
) -> None:
    from images.catalogue import promotion

    catalogue = open_catalogue()
    if undo:
        left, now = promotion.undo(catalogue, name)
        session.show({"left": left.build, "production": now.build if now else None}, lambda: [])
        session.say(f"{left.reference} is no longer in production; {now.reference if now else 'nothing'} is again.")
        return
    record = promotion.promote(catalogue, name, build)
    session.show({"production": record.build, "reference": record.reference}, lambda: [record.reference])
    session.say(
        f"Next: `calvinverse image publish {name} --channel production`, or `doit deploy --channel production`."
    )


@command(
    "image",
    "push",
    more="The reference with the digest there always names this image.",
    examples="calvinverse image push web 127.0.0.1:5000",
)
def push(
    session: Session,
    name: Name,
    registry: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The registry.")],
    build: Annotated[str, typer.Option("--build", metavar="BUILD", help="As in `image show`.")] = "qa",
) -> None:
    from images.catalogue.push import push as push_build

    catalogue = open_catalogue()
    reference = push_build(catalogue, catalogue.find(name, build), registry)
    session.show({"reference": reference}, lambda: [reference])
    session.say(f"Next: `calvinverse image publish {name} --reference {reference}`.")


@command(
    "image",
    "publish",
    more="""
        Templates then name it as `{{ images.NAME }}`. Only validated images can be published, and only by digest: a
        deployment runs the very image that was published when it began. `doit deploy` publishes all of them.
    """,
    examples="""
        calvinverse image publish web
        calvinverse image publish web --channel production
        calvinverse image publish web --reference 127.0.0.1:5000/calvinverse/web@sha256:…
    """,
)
def publish(
    session: Session,
    name: Name,
    channel: Annotated[str, typer.Option("--channel", metavar="CHANNEL", help="qa or production.")] = "qa",
    reference: Annotated[
        str,
        typer.Option("--reference", metavar="REPOSITORY@DIGEST", help="As it was pushed; default: the image here."),
    ] = "",
) -> None:
    from environments.domain.errors import InvalidInput
    from environments.wire.images import PublishImageRequest
    from images.catalogue.journal import Channel

    if channel not in tuple(Channel):
        raise InvalidInput(f"There is no channel {channel!r}.", hint="There are qa and production.")
    catalogue = open_catalogue()
    found = catalogue.deployable(name, Channel(channel), reference)
    view = session.client.publish_image(
        name,
        PublishImageRequest(reference=found.reference, channel=found.channel, key=found.key, build=found.build),
    )
    session.show(view, lambda: [f"{view.name}  {view.reference}"])
    session.say("New deployments use it; `calvinverse env update` brings it to environments that are there.")


@command(
    "image",
    "verify",
    more="""
        The signature over the provenance is checked with the public keys of OpenBao's transit engine, or with those of
        --public-key; then that record, files and image are those that were signed.
    """,
    examples="""
        calvinverse image verify web
        calvinverse image verify web production --public-key images.pub
    """,
)
def verify(
    session: Session,
    name: Name,
    build: Build = "qa",
    public_key: Annotated[
        Path | None, typer.Option("--public-key", metavar="FILE", help="PEM; default: ask OpenBao.")
    ] = None,
) -> None:
    from images.catalogue.attestation import public_keys
    from images.catalogue.attesting import verify_build
    from images.catalogue.transit import find_signer

    catalogue = open_catalogue()
    record = catalogue.find(name, build)
    keys = public_keys(public_key) if public_key else find_signer(catalogue.state).required().public_keys()
    verified = verify_build(catalogue, record, keys)
    data = {"image": name, "build": record.build, "image_id": record.image_id, "key": verified.keyid}
    session.show(data, lambda: [f"{record.reference}  {record.image_id}"])
    session.say(f"Verified: made by {record.build}, signed with {verified.keyid}.")


@command(
    "image",
    "sign",
    more="For builds that were made while no OpenBao ran; others are signed when they are made.",
    examples="calvinverse image sign web",
)
def sign(session: Session, name: Name, build: Build = "qa") -> None:
    from images.catalogue.attesting import sign as sign_build

    catalogue = open_catalogue()
    record = catalogue.find(name, build)
    sign_build(record, catalogue.state)
    session.show({"build": record.build}, lambda: [record.build])
    session.say(f"Next: `calvinverse image verify {name}`.")


@command(
    "image",
    "prune",
    more="""
        Keeps the newest validated ones, those in qa and production and the target of an undo, those of containers,
        those that the service has published, those that Calvinverse itself runs from, and the parents of all these.
        Records are kept.
    """,
    examples="""
        calvinverse image prune --dry-run
        calvinverse image prune --keep 3
    """,
)
def prune(
    session: Session,
    keep: Annotated[int, typer.Option("--keep", metavar="N", min=1, help="How many of each image to keep.")] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
) -> None:
    from environments.cli.tables import table
    from images.catalogue.prune import prune as prune_images
    from images.report import size

    catalogue = open_catalogue()
    done = prune_images(catalogue, keep, _published(session), dry=dry_run)
    rows = [(record.image, record.build, record.reference, size(record.size)) for record in done.removed]
    data = {
        "removed": [record.build for record in done.removed],
        "kept": {record.build: why for record, why in done.kept},
    }
    session.show(data, lambda: table(("IMAGE", "BUILD", "REFERENCE", "SIZE"), rows) if rows else [])
    for record, why in done.kept:
        session.say(f"{record.reference} stays, for {why}.")
    if not rows:
        session.say("There is nothing to remove.")
    elif dry_run:
        session.say("Nothing was removed. Next: the same without --dry-run.")


def _published(session: Session) -> list[str]:
    """The images that the service deploys and runs from; none without a service, because then nothing is deployed."""
    from environments.domain.errors import ServiceUnavailable, Unauthenticated

    try:
        return [*(view.reference for view in session.client.images()), *_of_meta(session.client)]
    except (ServiceUnavailable, Unauthenticated) as error:
        session.say(f"The service wasn't asked what it deploys: {error.message}")
        return []


def _of_meta(client: "Client") -> list[str]:
    """The images of the meta environment: Nomad may use its own one, for the networks of jobs, in no container now."""
    from environments.domain.errors import UnknownEnvironment
    from environments.domain.names import META

    try:
        parameters = client.environment(META).parameters
    except UnknownEnvironment:
        return []
    return [value for name, value in parameters.items() if name.endswith("image") and isinstance(value, str) and value]
