"""The principals of open streams: they stand as their people do by now."""

from datetime import timedelta
from pathlib import Path

from environments.domain.access import ServiceRole, ServiceRoleGrant
from tests.fakes.plans import NOW
from tests.fakes.service import make_service


def test_a_service_role_that_ends_by_the_clock_ends_for_open_streams(tmp_path: Path) -> None:
    moments = [NOW]
    service = make_service(tmp_path, clock=lambda: moments[0])
    made = service.tokens.create_token(service.admin, "ada")
    with service.database.write() as tx:
        tx.tokens.add(made.token._replace(role="own"))
        end = NOW + timedelta(hours=1)
        tx.service_roles.put(ServiceRoleGrant(subject="ada", role=ServiceRole.ADMIN, until=end, by="root", at=NOW))
    principal = service.tokens.authenticate(made.secret)
    assert principal.role == "admin"
    moments[0] += timedelta(hours=2)  # nothing is written: only the clock goes on
    after = service.tokens.refreshed([principal], whole=False)[principal.token_id]
    assert after is not None
    assert after.role == "user"
    assert not after.sees_all
    service.database.close()
