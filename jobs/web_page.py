"""The web page of a deployment: it is there where an edge is, in front of which people are."""

from collections.abc import Mapping
from typing import Any

from environments.domain.errors import PortTaken
from images.errors import ImageNotBuilt
from images.machine import taken
from jobs.ports import SERVICE_PORT, ui_port

IMAGE = "ui"
"""The image of the web page."""

PORT = 8401
"""Its port at first, on loopback, beside a service at 8400."""


def web_page_parameters(
    edge: Mapping[str, Any], image: str | None, service: int | None, before: Mapping[str, Any] | None, port: int | None
) -> dict[str, Any]:
    """The parameters of `meta` for the web page; none without an edge, whose parameters are `edge`.

    `image` is what it runs from, None if there is none; `service` is the service's port, None if it is the usual one;
    `before` are the parameters so far. `port`: where it listens at first; None: beside the service. Raises
    `ImageNotBuilt`, and `PortTaken` before anything changes.
    """
    if not edge["edge"]:
        return {}
    if image is None:
        raise ImageNotBuilt(
            f"There is no validated image {IMAGE!r}.",
            hint=f"Run `doit build:{IMAGE}`, or leave edge and web page out with --no-edge.",
        )
    kept = (before or {}).get("ui_port")
    beside = service or (before or {}).get("port")
    chosen = kept or port or (PORT if beside in (None, SERVICE_PORT) else ui_port(beside))
    if kept is None and (reason := taken(chosen)) is not None:
        raise PortTaken(
            f"The web page can't have port {chosen}: {reason}.",
            hint=f"`ss -ltnp 'sport = {chosen}'` shows its program. Stop it, or leave the edge out with --no-edge.",
        )
    return {"ui_image": image, "ui_port": chosen}
