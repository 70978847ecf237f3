"""Routes of warnings: the channels that deliver them."""

from fastapi import APIRouter

from environments.api import presenting
from environments.api.concurrency import BackendCalls
from environments.api.guard import Caller
from environments.api.ports import Service
from environments.api.problems import problems
from environments.domain.errors import Forbidden
from environments.wire.warnings import ChannelsView, TestDeliveryView


def warning_routes(service: Service, backend_calls: BackendCalls) -> APIRouter:
    """/v1/warnings."""
    router = APIRouter(prefix="/v1/warnings", tags=["service"])

    @router.get("/channels", responses=problems(Forbidden))
    def show_warning_channels(caller: Caller) -> ChannelsView:
        """Shows the channels that deliver warnings, and what they haven't delivered yet (admins)."""
        return presenting.channels(*service.warnings.status(caller))

    @router.post("/test", responses=problems(Forbidden))
    async def test_warning_channels(caller: Caller) -> list[TestDeliveryView]:
        """Sends a test warning by each channel, and gives what became of it (admins)."""
        found = await backend_calls.run(caller.owner, lambda: service.warnings.test(caller))
        return [presenting.test_delivery(one) for one in found]

    return router
