"""Published images in the API."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, WithJsonSchema

from environments.domain import shapes
from environments.wire.fields import Label, NoNul, Request, ShownLabel, View, Word


class ImageView(View):
    """An image as it was published. `reference` names its content: `sha256:<hex>` or `<repository>@sha256:<hex>`.

    `channel` says how far it has come (`qa`, `production`), `key` and `build` which inputs and which build made it.
    """

    name: ShownLabel
    reference: Annotated[str, WithJsonSchema(shapes.REFERENCE)]
    channel: ShownLabel
    key: str = ""
    build: str = ""
    published_at: datetime
    published_by: str
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None


class PublishImageRequest(Request):
    """Says which image stands behind a name from now on; see `ImageView`."""

    reference: Annotated[Word, WithJsonSchema(shapes.REFERENCE)]
    channel: Label
    key: Annotated[str, NoNul] = Field(default="", max_length=200)
    build: Annotated[str, NoNul] = Field(default="", max_length=200)
