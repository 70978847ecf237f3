"""The use cases, the database and the HTTP application in this process; there is no engine."""

import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from environments.api.app import create_app
from tests.fakes.service import FakeService, make_service
from tests.support.asgi import AsgiTransport, Loop
from tests.support.views import WEB, environment_id

KINDS = ("consul.kv", "nomad.job", "vault.secret", "vault.certificate", "check.http", "opentofu.module")


def _numbered_ids() -> Callable[[str], str]:
    """Ids that a test can foretell: `dep-new-1`, `plan-1`."""
    numbers: Counter[str] = Counter()

    def new_id(kind: str) -> str:
        numbers[kind] += 1
        number = numbers[kind]
        return {"env": environment_id(f"number {number}"), "dep": f"dep-new-{number}"}.get(kind, f"{kind}-{number}")

    return new_id


def start_service(clock: Callable[[], datetime], ending: ExitStack) -> FakeService:
    """A service with the template `web` on a database of its own, which `ending` removes."""
    folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))
    service = make_service(folder, clock=clock, new_id=_numbered_ids(), kinds=KINDS, template=WEB)
    ending.callback(service.database.close)
    return service


def start_api(service: FakeService, ending: ExitStack) -> AsgiTransport:
    """The API before a service, and the way to it; `ending` stops it."""
    loop = Loop()
    ending.callback(loop.close)
    app = create_app(service)
    lifespan = app.router.lifespan_context(app)
    loop.run(lifespan.__aenter__())
    ending.callback(lambda: loop.run(lifespan.__aexit__(None, None, None)))
    return AsgiTransport(app, loop.loop)
