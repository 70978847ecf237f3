"""The database and the number of workers of the deployed service, which later deployments keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from environments.domain.errors import InvalidInput, NotAllowedNow
from images.errors import ImageNotBuilt

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

IMAGE = "postgres"
"""The image of PostgreSQL."""

_TITLES = {SQLITE: "SQLite", POSTGRESQL: "PostgreSQL"}


@dataclass(frozen=True)
class Choice:
    """The user's choices. None: as before; at the first deployment, SQLite and no additional worker.

    `kind` is `sqlite` or `postgresql`; `port` is PostgreSQL's on loopback.
    """

    kind: str | None = None
    workers: int | None = None
    port: int | None = None


def title(kind: str) -> str:
    """The display name of a kind of database."""
    return _TITLES.get(kind, kind)


def database_parameters(choice: Choice, image: str | None, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of `meta` for a choice; other parameters stay as they are.

    `image` is PostgreSQL's image, None if there is none; `before` has the present parameters, None at the first time.
    Raises `NotAllowedNow` for another kind than before, `InvalidInput` for several workers on SQLite, `ImageNotBuilt`.
    """
    kept = None if before is None else str(before.get("database", SQLITE))
    kind = choice.kind or kept or SQLITE
    if kept is not None and kind != kept:
        raise NotAllowedNow(
            f"The deployed service keeps its data in {title(kept)}, and an update doesn't move it to {title(kind)}.",
            hint=f"Leave the option out, or say `--database {kept}`. To start over with {title(kind)}, destroy the "
            "environments and the service with `doit undeploy --destroy-environments` first.",
        )
    if kind == SQLITE:
        if choice.workers:
            raise InvalidInput(
                "Additional workers need a database that they can share with the service, which SQLite isn't.",
                hint="Leave --workers out, or choose --database postgresql at the first deployment.",
            )
        return {"database": kind}
    if image is None:
        raise ImageNotBuilt(f"There is no validated image {IMAGE!r} for PostgreSQL.", hint=f"Run `doit build:{IMAGE}`.")
    given = {"workers": choice.workers, "database_port": choice.port}
    return {
        "database": kind,
        "postgres_image": image,
        **{name: value for name, value in given.items() if value is not None},
    }
