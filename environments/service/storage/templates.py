"""The port to the database: the catalogues of templates and images."""

from datetime import datetime
from typing import NamedTuple, Protocol

from environments.domain.template import Bundle
from environments.service.pages import Page


class PushedTemplate(NamedTuple):
    """An entry of the catalogue. `source` says which git repository it came from; see `TemplateSource`."""

    name: str
    digest: str
    pushed_at: datetime
    pushed_by: str
    source: dict[str, str] | None = None


class DeletedTemplate(NamedTuple):
    """A version that was deleted from the catalogue."""

    name: str
    digest: str
    deleted_at: datetime
    deleted_by: str


class CreateTimes(NamedTuple):
    """How long finished creates of a template took, from their beginning: seconds of the median and of nine tenths.

    `made`: of how many, at most the `LOOKED_AT` newest.
    """

    made: int
    median: float
    nine_tenths: float


LOOKED_AT = 200
"""Creates of a template that its times are computed from."""


class Templates(Protocol):
    """The catalogue."""

    def push(self, name: str, bundle: Bundle, by: str, now: datetime, source: dict[str, str] | None = None) -> None:
        """Stores the bundle, and makes it the newest of its name."""
        ...

    def newest(self, *, after: str = "", limit: int | None = None) -> Page[PushedTemplate]:
        """The newest template of each name, sorted by name: at most `limit`, with names greater than `after`."""
        ...

    def find(self, name: str, digest: str | None) -> PushedTemplate | None:
        """The newest entry of the name, or the newest with that digest."""
        ...

    def pushes(self, name: str, *, limit: int | None = None, skip: int = 0) -> Page[PushedTemplate]:
        """All entries of the name, newest first: at most `limit`, without the first `skip`."""
        ...

    def hold(self, name: str) -> None:
        """Locks the name until the transaction ends: no other transaction that locks it deletes or uses it meanwhile.

        Call it before reading the template.
        """
        ...

    def delete(self, name: str, digest: str | None, by: str, now: datetime) -> list[str]:
        """Deletes every version of the name, or that one; returns their digests, newest first.

        The contents stay stored as long as an environment or a deployment needs them.
        """
        ...

    def deleted(self, name: str, digest: str | None) -> list[DeletedTemplate]:
        """The deleted versions of that name (with that digest), newest first; each digest once."""
        ...

    def create_times(self, name: str) -> CreateTimes | None:
        """How long the newest creates that succeeded took; None: there are none."""
        ...

    def bundle(self, digest: str) -> Bundle | None:
        """The content with that digest."""
        ...


class PublishedImage(NamedTuple):
    """An image published under a name."""

    name: str
    reference: str
    channel: str
    key: str
    build: str
    published_at: datetime
    published_by: str
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None


class Images(Protocol):
    """Published images with their history. The current image of a name is the newest, unless it was withdrawn."""

    def publish(self, image: PublishedImage) -> None:
        """Makes it the newest of its name."""
        ...

    def current(self, *, after: str = "", limit: int | None = None) -> Page[PublishedImage]:
        """The current images, sorted by name: at most `limit`, with names greater than `after`."""
        ...

    def history(self, name: str, *, limit: int | None = None, skip: int = 0) -> Page[PublishedImage]:
        """All images of that name, newest first, withdrawn ones included. At most `limit`, without the first `skip`."""
        ...

    def withdraw(self, name: str, by: str, now: datetime) -> None:
        """Withdraws the newest image of that name."""
        ...
