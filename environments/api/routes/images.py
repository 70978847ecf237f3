"""Routes of published images."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from environments.api import presenting
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, Skip, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import Forbidden, ImageNotPublished, InvalidImage, InvalidName
from environments.wire.images import ImageView, PublishImageRequest


def image_routes(service: Service) -> APIRouter:
    """Everything below /v1/images."""
    router = APIRouter(prefix="/v1", tags=["images"])
    images = service.images

    @router.get("/images", responses=problems())
    def list_images(
        caller: Caller,
        request: Request,
        response: Response,
        limit: Limit = PAGE,
        after: Annotated[str, Query(description="Only those whose names come behind this one.")] = "",
    ) -> list[ImageView]:
        """Lists the images that deployments use, by name."""
        found = images.images(after=after, limit=limit)
        link_next(request, response, found, limit, after=found[-1].name if found else after)
        return [presenting.image(one) for one in found]

    @router.get("/images/{name}", responses=problems(ImageNotPublished))
    def show_image(caller: Caller, name: str) -> ImageView:
        """Shows the image that is published under a name."""
        return presenting.image(images.image(name))

    @router.get("/images/{name}/history", responses=problems(ImageNotPublished))
    def list_image_history(
        caller: Caller, request: Request, response: Response, name: str, limit: Limit = PAGE, skip: Skip = 0
    ) -> list[ImageView]:
        """Lists every image that was published under a name, newest first."""
        found = images.history(name, limit=limit, skip=skip)
        link_next(request, response, found, limit, skip=skip + len(found))
        return [presenting.image(one) for one in found]

    @router.put("/images/{name}", responses=problems(Forbidden, InvalidName, InvalidImage))
    def publish_image(caller: Caller, name: str, request: PublishImageRequest) -> ImageView:
        """Publishes an image under a name, for later deployments; the same image again changes nothing. Admins only.

        The reference must be an id or a digest: a tag is refused.
        """
        image = images.publish(caller, name, request.reference, request.channel, key=request.key, build=request.build)
        return presenting.image(image)

    @router.delete("/images/{name}", responses=problems(Forbidden, ImageNotPublished))
    def withdraw_image(caller: Caller, name: str) -> ImageView:
        """Withdraws an image from deployments; jobs that run it continue. Admins only."""
        return presenting.image(images.withdraw(caller, name))

    return router
