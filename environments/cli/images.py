"""`calvinverse image`: the images that the service deploys. The commands for builds come from `images.cli`."""

import typer

from environments.cli.extensions import IMAGES, extend, sort_by_registry
from environments.cli.session import Session, command


def image_commands() -> typer.Typer:
    """The commands for the service and those of a checkout, in one group."""
    app = typer.Typer(
        help="See, compare, promote, verify and remove images.", no_args_is_help=True, rich_markup_mode=None
    )

    @command(app, "image", "published", examples="calvinverse image published")
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

    extend(app, IMAGES)
    sort_by_registry(app, "image")
    return app
