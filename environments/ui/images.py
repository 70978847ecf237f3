"""Published images: what deployments use, what was published before, and what differs; admins publish and withdraw."""

from starlette.responses import Response

from environments.ui import rooms
from environments.ui.asking import Ask, Field, pages_of
from environments.ui.listing import (
    Button,
    Cell,
    Code,
    Column,
    Facts,
    Link,
    Section,
    Table,
    admins_only,
    place,
    table,
    told,
)
from environments.ui.visit import Visit
from environments.wire.images import ImageView, PublishImageRequest

_IMAGES: tuple[Column[ImageView], ...] = (
    Column("Name", lambda one: Link(one.name, place("images", one.name))),
    Column("Reference", lambda one: Code(one.reference)),
    Column("Channel", lambda one: one.channel),
    Column("Build", lambda one: one.build),
    Column("Published by", lambda one: one.published_by),
    Column("Published", lambda one: one.published_at),
)
_HISTORY: tuple[Column[ImageView], ...] = (
    Column("Published", lambda one: one.published_at),
    Column("By", lambda one: one.published_by),
    Column("Reference", lambda one: Code(one.reference)),
    Column("Channel", lambda one: one.channel),
    Column("Build", lambda one: one.build),
    Column("Withdrawn", lambda one: one.withdrawn_at),
)
_COMPARED = {"reference": "Reference", "channel": "Channel", "key": "Inputs", "build": "Build"}
_MOST = 200
"""Lines of the history."""


def images(visit: Visit) -> Response:
    """The published image of each name."""
    return told(
        visit,
        "Images",
        [table(_IMAGES, visit.client.images(), "No image is published.")],
        intro="Deployments use these images; an environment keeps the one that it was deployed with.",
        beside=rooms.SERVICE,
        buttons=[Button("Publish an image", "/images/publish", admins_only(visit))],
    )


def image(visit: Visit) -> Response:
    """One name: what stands behind it, and what did before."""
    name = visit.params["name"]
    history = visit.client.image_history(name)[:_MOST]
    now = history[0]
    facts: list[tuple[str, Cell]] = [
        ("Reference", Code(now.reference)),
        ("Channel", now.channel),
        ("Inputs", Code(now.key) if now.key else None),
        ("Build", now.build),
        ("Published by", now.published_by),
        ("Published", now.published_at),
        ("Withdrawn by", now.withdrawn_by or ""),
        ("Withdrawn", now.withdrawn_at),
    ]
    sections: list[Section] = [Facts(facts), *_difference(visit, history), table(_HISTORY, history, "", "History")]
    path = visit.link("/images/publish", name=name, reference=now.reference, channel=now.channel)
    return told(
        visit,
        name,
        sections,
        up=Link("Images", "/images"),
        buttons=[
            Button("Publish another, or promote this one", path, admins_only(visit)),
            *([] if now.withdrawn_at else [_withdrawing(visit, name)]),
        ],
    )


def _withdrawing(visit: Visit, name: str) -> Button:
    return Button("Withdraw", f"{place('images', name)}/withdraw", admins_only(visit), danger=True)


def _difference(visit: Visit, history: list[ImageView]) -> list[Table]:
    """Between the newest and the one before, or the one whose reference the address names."""
    now, earlier = history[0], history[1:]
    wanted = visit.asked("with")
    before = next((one for one in earlier if not wanted or one.reference == wanted), None)
    if before is None:
        return []
    rows: list[list[Cell]] = [
        [title, Code(getattr(before, field)), Code(getattr(now, field))]
        for field, title in _COMPARED.items()
        if getattr(before, field) != getattr(now, field)
    ]
    return [Table(["What", "Before", "Now"], rows, "Nothing differs.", "What differs from the one before")]


def _publish(visit: Visit) -> Ask:
    return Ask(
        "image.publish",
        "Publish an image",
        ["Deployments use it from now on; what runs already keeps its image. Publishing an earlier one goes back."],
        "/images",
        [
            Field("name", "Name", required=True),
            Field("reference", "Reference", help="An id or a digest: sha256:…, or NAME@sha256:…", required=True),
            Field("channel", "Channel", help="How far it has come, such as qa or production.", required=True),
            Field("key", "Inputs", help="What the inputs of its build were, if that is known."),
            Field("build", "Build", help="Which build made it, if that is known."),
        ],
    )


def _do_publish(visit: Visit) -> str:
    name = visit.typed("name").strip()
    request = PublishImageRequest(
        reference=visit.typed("reference").strip(),
        channel=visit.typed("channel").strip(),
        key=visit.typed("key").strip(),
        build=visit.typed("build").strip(),
    )
    return place("images", visit.client.publish_image(name, request).name)


def _withdraw(visit: Visit) -> Ask:
    one = visit.client.image(visit.params["name"])
    return Ask(
        "image.withdraw",
        f"Withdraw {one.name}",
        [
            "New deployments of templates that use it are refused until an image is published under that name again.",
            "What runs with it already keeps it.",
        ],
        place("images", one.name),
        [Field("name", "The image's name", typed=one.name)],
        sections=[Facts([("Reference", Code(one.reference)), ("Channel", one.channel)])],
        danger=True,
    )


def _do_withdraw(visit: Visit) -> None:
    visit.client.withdraw_image(visit.params["name"])


PAGES = (
    ("GET", "/images", images),
    *pages_of("/images/publish", _publish, _do_publish),
    ("GET", "/images/{name}", image),
    *pages_of("/images/{name}/withdraw", _withdraw, _do_withdraw),
)
