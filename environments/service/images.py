"""Published images: an admin publishes content under a name, and deployments use it."""

from collections.abc import Callable
from datetime import datetime

from environments.domain.errors import ImageNotPublished
from environments.domain.images import check_image_name, check_reference
from environments.domain.names import check_label
from environments.domain.suggesting import MOST_SUGGESTED_FROM, told
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.pages import Page
from environments.service.storage.templates import PublishedImage
from environments.service.storage.transaction import Storage, Transaction


class Images:
    """Publishes and lists images. A deployment reads them when it starts; a running environment keeps its images."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock

    def publish(
        self, principal: Principal, name: str, reference: str, channel: str, *, key: str = "", build: str = ""
    ) -> PublishedImage:
        """Makes an image the newest of its name. Publishing the same image again changes nothing.

        Only an admin may do this. Raises `Forbidden`, `InvalidName`, `InvalidImage`.
        """
        check_service(principal, Action.IMAGE_PUBLISH)
        image = PublishedImage(
            name=check_image_name(name),
            reference=check_reference(reference),
            channel=check_label(channel, "a channel"),
            key=key,
            build=build,
            published_at=self._clock(),
            published_by=principal.owner,
        )
        with self._storage.write() as tx:
            may(tx, principal, Action.IMAGE_PUBLISH)
            before = _newest(tx, name)
            tx.audit.changed(object_kind="image", object_name=name)
            if before is not None and _content(before) == _content(image):
                return before
            tx.images.publish(image)
            tx.audit.changed(
                before=before and {"reference": before.reference},
                after={"reference": reference, "channel": channel, "build": build},
                object_kind="image",
                object_name=name,
            )
        return image

    def images(self, *, after: str = "", limit: int | None = None) -> Page[PublishedImage]:
        """The newest image of each name, without withdrawn ones: at most `limit`, with names greater than `after`."""
        with self._storage.read() as tx:
            return tx.images.current(after=after, limit=limit)

    def image(self, name: str) -> PublishedImage:
        """The newest image of that name. Raises `ImageNotPublished`."""
        with self._storage.read() as tx:
            image = _newest(tx, name)
            if image is None:
                raise _unknown(tx, name)
        return image

    def history(self, name: str, *, limit: int | None = None, skip: int = 0) -> Page[PublishedImage]:
        """Every image published under that name, newest first; at most `limit`, without the first `skip`.

        Raises `ImageNotPublished`.
        """
        with self._storage.read() as tx:
            images = tx.images.history(name, limit=limit, skip=skip)
            if not images and not skip:
                raise _unknown(tx, name)
        return images

    def withdraw(self, principal: Principal, name: str) -> PublishedImage:
        """Withdraws the image from new deployments; its history stays. Raises `Forbidden`, `ImageNotPublished`."""
        now = self._clock()
        with self._storage.write() as tx:
            may(tx, principal, Action.IMAGE_WITHDRAW)
            image = _newest(tx, name)
            if image is None:
                raise _unknown(tx, name)
            tx.images.withdraw(name, principal.owner, now)
            tx.audit.changed(before={"reference": image.reference}, object_kind="image", object_name=name)
        return image._replace(withdrawn_at=now, withdrawn_by=principal.owner)


def references(tx: Transaction) -> dict[str, str]:
    """Name → reference of every image that new deployments use."""
    return {image.name: image.reference for image in tx.images.current()}


def _newest(tx: Transaction, name: str) -> PublishedImage | None:
    history = tx.images.history(name, limit=1)
    return history[0] if history and history[0].withdrawn_at is None else None


def _content(image: PublishedImage) -> tuple[str, ...]:
    return (image.reference, image.channel, image.key, image.build)


def _unknown(tx: Transaction, name: str) -> ImageNotPublished:
    known = [image.name for image in tx.images.current(limit=MOST_SUGGESTED_FROM)]
    return ImageNotPublished(told(f"No image {name!r} is published.", name, known))
