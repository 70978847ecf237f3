"""The port to the database: the catalogues of templates and images."""

from datetime import datetime
from typing import NamedTuple, Protocol

from environments.domain.template import Bundle
from environments.service.pages import Page


class PushedTemplate(NamedTuple):
    """A line of the catalogue. `source` says which git repository it came from; see `TemplateSource`."""

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


class Templates(Protocol):
    """The catalogue."""

    def push(self, name: str, bundle: Bundle, by: str, now: datetime, source: dict[str, str] | None = None) -> None:
        """Keeps the bundle, and makes it the newest of its name."""
        ...

    def newest(self, *, after: str = "", limit: int | None = None) -> Page[PushedTemplate]:
        """The newest of each name, by name; at most `limit`, those whose names come behind `after`."""
        ...

    def find(self, name: str, digest: str | None) -> PushedTemplate | None:
        """The newest push of the name, or the newest with that digest."""
        ...

    def hold(self, name: str) -> None:
        """Locks the name until the end of the transaction: nobody else who holds it deletes or uses it meanwhile.

        Call it before reading the template.
        """
        ...

    def delete(self, name: str, digest: str | None, by: str, now: datetime) -> list[str]:
        """Deletes every version of the name, or that one; returns their digests, newest first.

        The contents stay as long as an environment or a deployment needs them.
        """
        ...

    def deleted(self, name: str, digest: str | None) -> list[DeletedTemplate]:
        """What was deleted under that name (with that digest), the newest first; each digest once."""
        ...

    def bundle(self, digest: str) -> Bundle | None:
        """The content."""
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
    """Published images with their history. The newest of a name counts, unless it was withdrawn."""

    def publish(self, image: PublishedImage) -> None:
        """Makes it the newest of its name."""
        ...

    def current(self, *, after: str = "", limit: int | None = None) -> Page[PublishedImage]:
        """Those that count, by name; at most `limit`, those whose names come behind `after`."""
        ...

    def history(self, name: str, *, limit: int | None = None, skip: int = 0) -> Page[PublishedImage]:
        """All of that name, newest first; withdrawn ones too. At most `limit`, without the first `skip`."""
        ...

    def withdraw(self, name: str, by: str, now: datetime) -> None:
        """Makes the newest of that name count no more."""
        ...
