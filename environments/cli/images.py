"""`calvinverse image`: the images that the service deploys. The commands for builds come from `images.cli`."""

from typing import Annotated

import typer

from environments.actions.registry import for_command
from environments.cli.extensions import IMAGES, extend
from environments.cli.options import Yes
from environments.cli.session import Session, command


@command("image", "published", examples="calvinverse image published")
def published(session: Session) -> None:
    from environments.cli.tables import table
    from environments.moments import moment

    found = session.client.images()
    rows = (
        (view.name, view.channel, view.reference, moment(view.published_at, session.zone), view.published_by)
        for view in found
    )
    session.show(found, lambda: table(("NAME", "CHANNEL", "REFERENCE", "PUBLISHED", "BY"), rows))
    if not found and not session.json:
        session.say("No image is published. Next: `calvinverse image publish NAME`, or `doit deploy` for all.")


@command(
    "image",
    "withdraw",
    examples="""
        calvinverse image withdraw web
        calvinverse image withdraw web --yes
    """,
)
def withdraw(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `calvinverse image published` shows it.")],
    yes: Yes = False,
) -> None:
    if not yes:
        session.client.image(name)  # report an unknown name before somebody has to type it
    session.confirm(for_command("image", "withdraw"), name, yes)
    gone = session.client.withdraw_image(name)
    session.show(gone, lambda: [f"{gone.name}  {gone.reference}"])
    session.say(f"Withdrawn: the image {name!r}. Next: `calvinverse image publish {name}` publishes another one.")


extend(IMAGES)
