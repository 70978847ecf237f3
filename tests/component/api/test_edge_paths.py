"""What the edge knows of the paths of the service and of the web page, compared with what these serve."""

import re
from pathlib import Path
from typing import cast

from environments.api.app import create_app
from environments.bootstrap.sign_in import pages
from environments.service.built_in_provider import AUTHORIZE_PATH, ENDPOINTS, PROVIDER_PATH
from environments.service.extend_links import PATH
from environments.ui.app import HEALTH, PAGES
from environments.ui.files import OF_OTHERS, OWN
from environments.web.app import Pages
from images.edge.app.web_page_routes import BELOW, EXACTLY, SERVICE
from tests.fakes.service import make_service
from tests.support.access.routes import routes_of


def of_service(folder: Path) -> set[str]:
    """All paths that the service serves, but for the front page, which is the web page's behind an edge."""
    service = make_service(folder)
    try:
        front = pages(service, service.world.derive, service.clock, "")
        shown = cast(Pages, front.kwargs["pages"]).paths
        app = create_app(service, front=front)
        served = {route.split(" ", 1)[1] for route in routes_of(app)}
    finally:
        service.database.close()
    return (served | set(shown) | {f"{PROVIDER_PATH}/{endpoint}" for endpoint in ENDPOINTS}) - {"/"}


def test_every_path_of_the_service_reaches_it_and_no_more_than_needed_is_named(tmp_path: Path) -> None:
    paths = of_service(tmp_path)
    assert {AUTHORIZE_PATH, PATH, "/v1/environments", "/openapi.json", "/account"} <= paths
    assert [path for path in sorted(paths) if not re.fullmatch(SERVICE, path)] == []
    assert [path for path in EXACTLY if path not in paths] == []
    assert [path for path in BELOW if not any(found == path or found.startswith(f"{path}/") for found in paths)] == []


def test_no_path_of_the_web_page_is_taken_for_one_of_the_service() -> None:
    files = [f"/ui/{name}" for name in (*OWN, *OF_OTHERS)]
    assert [
        path for path in ("/", HEALTH, *files, *(path for _, path, _ in PAGES)) if re.fullmatch(SERVICE, path)
    ] == []
