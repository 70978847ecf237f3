"""The web page of a deployment: it is there where an edge is, in front of which people are."""

from collections.abc import Mapping
from typing import Any

from environments.domain.errors import InvalidInput, PortTaken
from images.errors import ImageNotBuilt
from images.machine import taken
from jobs.ports import SERVICE_PORT, ui_port

IMAGE = "ui"
"""The image of the web page."""

NAME = "ui.calvinverse.internal"
"""The name in its certificate."""

PORT = 8401
"""Its port at first, on loopback, beside a service at 8400."""


def web_page_parameters(
    edge: Mapping[str, Any],
    image: str | None,
    service: int | None,
    before: Mapping[str, Any] | None,
    port: int | None,
    chosen_port: int | None = None,
) -> dict[str, Any]:
    """The parameters of `meta` for the web page; none without an edge, whose parameters are `edge`.

    `image` is what it runs from, None if there is none; `service` is the service's port, None if it is the usual one;
    `before` are the parameters so far. `port`: where it listens at first; None: beside the service.
    `chosen_port`: where it listens from now on; None: as before. Raises `ImageNotBuilt`, `InvalidInput`.
    """
    if chosen_port is not None and not 0 < chosen_port < 65536:
        raise InvalidInput(f"The web page can't have port {chosen_port}.", hint="Choose one from 1 to 65535.")
    if not edge["edge"]:
        if chosen_port is not None:
            raise InvalidInput(
                "Without an edge there is no web page, and so no port for it.",
                hint="Leave --web-page-port out, or set the edge up with --listen 127.0.0.1:8443.",
            )
        return {}
    if image is None:
        raise ImageNotBuilt(
            f"There is no validated image {IMAGE!r}.",
            hint=f"Run `doit build:{IMAGE}`, or leave edge and web page out with --no-edge.",
        )
    kept = (before or {}).get("ui_port")
    beside = service or (before or {}).get("port")
    chosen = chosen_port or kept or port or (PORT if beside in (None, SERVICE_PORT) else ui_port(beside))
    return {"ui_image": image, "ui_port": chosen}


def check_web_page_port(page: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
    """Raises `PortTaken` if somebody else listens at the port that the web page is to have, before anything changes.

    `page` are its parameters, `before` those so far.
    """
    port = page.get("ui_port")
    if port is None or (before or {}).get("ui_port") == port:
        return
    if (reason := taken(port)) is not None:
        raise PortTaken(
            f"The web page can't have port {port}: {reason}.",
            hint=f"`ss -ltnp 'sport = {port}'` shows its program. Stop it, or choose another port with "
            "--web-page-port PORT.",
        )
