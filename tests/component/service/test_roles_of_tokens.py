"""A token never does more than the person whose it is may do at the moment."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.domain.access import Group, Person, PersonKind, ServiceRole, ServiceRoleGrant
from environments.domain.access import TokenRole as Role
from environments.domain.errors import Unauthenticated
from environments.service.authorization import Principal
from environments.service.token_scopes import WantedScope
from tests.fakes.service import FakeService, make_service

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    made = make_service(tmp_path)
    yield made
    made.database.close()


def role_with(service: FakeService, owner: str, role: Role) -> str:
    secret = service.tokens.create_token(service.admin, owner, role).secret
    return service.tokens.authenticate(secret).role


def test_tokens_follow_the_role_of_a_person(service: FakeService) -> None:
    with service.database.write() as tx:
        tx.people.add(Person(name="ada", kind=PersonKind.PERSON, created_at=NOW))
    secret = service.tokens.create_token(service.admin, "ada", "auditor").secret
    assert service.tokens.authenticate(secret).role == "user"
    with service.database.write() as tx:
        tx.service_roles.put(ServiceRoleGrant(subject="ada", role=ServiceRole.ADMIN, by="root", at=NOW))
    assert service.tokens.authenticate(secret).role == "auditor"
    with service.database.write() as tx:
        tx.service_roles.remove("ada")
    assert service.tokens.authenticate(secret).role == "user"


def test_an_unclaimed_owner_has_no_other_role_than_that_of_the_token(service: FakeService) -> None:
    assert role_with(service, "agent", "admin") == "admin"
    assert role_with(service, "agent", "user") == "user"


def test_the_local_admin_token_counts_whoever_its_owner_becomes(service: FakeService) -> None:
    secret = service.tokens.first_token("operator", "test")
    with service.database.write() as tx:
        tx.people.change("operator", kind=PersonKind.PERSON, issuer="https://id.example.net", subject="s-1")
    assert service.tokens.authenticate(secret).role == "admin"


def test_tokens_of_a_service_account_end_with_the_person_who_made_them(service: FakeService) -> None:
    with service.database.write() as tx:
        for name in ("ada", "grace"):
            tx.people.add(Person(name=name, kind=PersonKind.PERSON, created_at=NOW))
        tx.groups.add(Group(name="builders", created_at=NOW))
        tx.groups.join("builders", "ada", NOW)
        tx.groups.join("builders", "grace", NOW)
    groups = frozenset({"builders"})
    ada, grace = (Principal(name, "user", f"tok-{name}", groups, kind="session") for name in ("ada", "grace"))
    accounts = service.service_accounts
    accounts.create(ada, "svc-builds", responsible="group:builders")
    made = {one.owner: accounts.create_token(one, "svc-builds", WantedScope()).secret for one in (ada, grace)}
    service.tokens.first_token("operator", "test")  # else there would be no way in
    service.people.disable(service.admin, "ada")
    with pytest.raises(Unauthenticated):
        service.tokens.authenticate(made["ada"])
    assert service.tokens.authenticate(made["grace"]).owner == "svc-builds"
