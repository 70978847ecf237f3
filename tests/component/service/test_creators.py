"""Who may create from a template, and how many; roles on the service and the last way in; why somebody can or can't."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from environments.domain.access import EnvironmentRole, Group, PersonKind, ServiceRole, TokenScope
from environments.domain.commands import CreateEnvironment, MakePlan, UpdateEnvironment
from environments.domain.errors import (
    CalvinverseError,
    Forbidden,
    InvalidInput,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
    UnknownTemplate,
)
from environments.domain.lifecycle import DeploymentKind, State
from environments.service.authorization import Action, Principal
from environments.service.storage.people import WayIn
from environments.stores.database import Database, open_database
from tests.fakes.service import FakeService, make_service
from tests.support.migrated import open_migrated
from tests.support.postgres import Postgres

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA, BOB = (Principal(name, "user", f"tok-{name}", at=NOW) for name in ("ada", "bob"))
IN_OPS = replace(BOB, groups=frozenset({"ops"}))
ADMIN = Principal("root", "admin", "tok-root", at=NOW)
AUDITOR = Principal("mia", "auditor", "tok-mia", at=NOW)


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeService]:
    def on_server(folder: Path) -> Database:
        server: Postgres = request.getfixturevalue("postgres")
        return open_database(folder, server.new_database(), server.password_file)

    service = make_service(
        tmp_path, opened=open_migrated if request.param == "sqlite" else on_server, clock=lambda: NOW
    )
    with service.database.write() as tx:
        for name in ("ada", "bob", "mia"):
            tx.people.keep(name, PersonKind.PERSON, NOW, "root")
            tx.people.change(name, signed_in_at=NOW)
        tx.groups.add(Group(name="ops", created_at=NOW))
        tx.groups.join("ops", "bob", NOW)
    yield service
    service.database.close()


def _create(service: FakeService, principal: Principal, name: str) -> None:
    service.requests.create(principal, CreateEnvironment(name=name, template="web"))


def test_only_whom_a_rule_names_creates_and_only_so_many(service: FakeService) -> None:
    _create(service, ADA, "before")
    service.creators.set(ADMIN, "web", "group:ops", 1)
    with pytest.raises(Forbidden, match="may not create environments from the template 'web'"):
        _create(service, ADA, "hers")
    with pytest.raises(Forbidden, match="may not create"):
        service.planning.plan(ADA, "hers", MakePlan(kind=DeploymentKind.CREATE, template="web"))
    plan = service.planning.plan(IN_OPS, "second", MakePlan(kind=DeploymentKind.CREATE, template="web"))
    _create(service, IN_OPS, "first")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: _create(service, IN_OPS, "third"),
        lambda: service.planning.plan(IN_OPS, "third", MakePlan(kind=DeploymentKind.CREATE, template="web")),
        lambda: service.planning.apply(IN_OPS, plan.id),
    )
    for attempt in attempts:
        with pytest.raises(Forbidden, match="You have 1 environment from the template 'web', and may have 1"):
            attempt()
    _create(service, ADMIN, "roots")
    # What they have may be updated, by those who may not create as well.
    for who, name in ((ADA, "before"), (IN_OPS, "first")):
        service.finish(name, State.READY)
        service.requests.update(who, name, UpdateEnvironment())
    # One that is being destroyed still counts.
    service.requests.destroy(IN_OPS, "first")
    with pytest.raises(Forbidden, match="may have 1 at once"):
        _create(service, IN_OPS, "third")
    service.move("first", State.DESTROYED)
    _create(service, IN_OPS, "third")
    service.creators.set(ADMIN, "web", "everyone")
    _create(service, ADA, "hers")
    _create(service, IN_OPS, "fourth")


def test_of_creates_at_once_only_the_limit_succeeds(service: FakeService) -> None:
    service.creators.set(ADMIN, "web", "ada", 2)
    start = threading.Barrier(6)
    done: list[str] = []
    refused: list[CalvinverseError] = []

    def create(number: int) -> None:
        start.wait(120)
        try:
            _create(service, ADA, f"one-{number}")
        except CalvinverseError as error:
            refused.append(error)
        else:
            done.append(f"one-{number}")

    threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(done) == 2
    assert {type(error) for error in refused} == {Forbidden}
    assert sorted(one.name for one in service.reading.listing(ADA)[0]) == sorted(done)


def test_who_sets_and_sees_the_rules(service: FakeService) -> None:
    for who in (ADA, AUDITOR):
        with pytest.raises(Forbidden, match="Only an admin can say"):
            service.creators.set(who, "web", "ada")
    with pytest.raises(Forbidden, match="Only admins and auditors"):
        service.creators.creators(ADA)
    with pytest.raises(UnknownTemplate):
        service.creators.set(ADMIN, "weeb", "ada")
    with pytest.raises(NotFound, match="nobody named"):
        service.creators.set(ADMIN, "web", "adaa")
    service.creators.set(ADMIN, "web", "ada", 3)
    assert [rule.most for rule in service.creators.creators(AUDITOR, "web")] == [3]
    template = service.catalogue.template("web").template
    own = service.creators.creations(ADA, [template])["web"]
    assert (own.allowed, own.most, own.have, own.rules) == (True, 3, 0, None)
    others = service.creators.creations(BOB, [template])["web"]
    assert not others.allowed
    assert "may not create" in others.why_not
    scoped = replace(ADA, scope=TokenScope(templates=("other",)))
    assert not service.creators.creations(scoped, [template])["web"].allowed
    with pytest.raises(NotFound, match="Did you mean 'ada'"):
        service.creators.remove(ADMIN, "web", "adaa")
    assert service.creators.remove(ADMIN, "web", "ada") == []
    assert service.creators.creations(BOB, [template])["web"].allowed


def test_the_last_way_in_stays(service: FakeService) -> None:
    grant, revoke = service.service_roles.grant, service.service_roles.revoke
    for who in (ADA, AUDITOR):
        with pytest.raises(Forbidden):
            grant(who, "bob", ServiceRole.ADMIN)
    grant(ADMIN, "ada", ServiceRole.ADMIN)
    ada = replace(ADA, role="admin")
    takes: tuple[Callable[[], object], ...] = (
        lambda: revoke(ada, "ada"),
        lambda: grant(ada, "ada", ServiceRole.AUDITOR),
        lambda: grant(ada, "ada", ServiceRole.ADMIN, ttl="1h"),
    )
    for take in takes:
        with pytest.raises(NotAllowedNow, match="No admin could get in any more"):
            take()
    assert grant(ada, "group:ops", ServiceRole.ADMIN).way_in is WayIn.PERSON
    assert revoke(ada, "ada").way_in is WayIn.PERSON
    with pytest.raises(NotAllowedNow):
        revoke(ADMIN, "group:ops")
    service.tokens.first_token("root", "test")
    assert revoke(ADMIN, "group:ops").way_in is WayIn.LOCAL_TOKEN
    with pytest.raises(InvalidInput, match="Everybody is a user"):
        grant(ADMIN, "bob", ServiceRole.USER)
    with pytest.raises(InvalidInput, match="Name a person"):
        grant(ADMIN, "everyone", ServiceRole.ADMIN)


def test_a_role_ends_at_its_moment(service: FakeService) -> None:
    service.service_roles.grant(ADMIN, "bob", ServiceRole.AUDITOR, ttl="1h")
    with service.database.read() as tx:
        assert tx.people.standing("bob", NOW + timedelta(minutes=59)).role is ServiceRole.AUDITOR
        assert tx.people.standing("bob", NOW + timedelta(hours=1)).role is ServiceRole.USER


def test_why_says_what_they_have_and_what_is_missing(service: FakeService) -> None:
    why = service.access_reasons.why
    _create(service, ADA, "demo")
    with pytest.raises(UnknownEnvironment):
        why(BOB, "me", "update", "demo")
    with pytest.raises(Forbidden, match="somebody else"):
        why(BOB, "ada", "update", "demo")
    blind = why(ADMIN, "bob", "update", "demo")
    assert not blind.allowed
    assert blind.role is None
    assert blind.missing == ("bob doesn't see demo: they don't own it, and it isn't shared with them.",)
    service.sharing.share(ADA, "demo", "group:ops", EnvironmentRole.OPERATOR, until=NOW + timedelta(hours=1))
    with pytest.raises(NotFound, match="'group:ops' is a group, and no person"):
        why(ADMIN, "group:ops", "update", "demo")
    can = why(AUDITOR, "bob", "environment:update", "demo")
    assert can.allowed
    assert can.has == (
        "ada shared it with group:ops as operator until 2026-01-01 13:00 UTC; bob is in that group by local choice "
        "since 2026-01-01.",
    )
    own = why(IN_OPS, "me", "destroy", "demo")
    assert not own.allowed
    assert own.missing == ("What is missing is the role owner on the environment.",)
    assert own.givers == ("ada can share demo.", "An admin can too.")
    over = replace(IN_OPS, at=NOW + timedelta(hours=1))
    with pytest.raises(UnknownEnvironment):
        why(over, "me", "update", "demo")
    service.service_roles.grant(ADMIN, "bob", ServiceRole.ADMIN)
    assert why(ADMIN, "bob", "destroy", "demo").allowed
    assert "root gave bob the service role admin." in why(ADMIN, "bob", "template:push").has
    with pytest.raises(InvalidInput, match="Did you mean"):
        why(ADMIN, "bob", "destory", "demo")
    with pytest.raises(InvalidInput, match="is done to an environment"):
        why(ADMIN, "bob", "destroy")
    with pytest.raises(NotFound, match="Did you mean 'bob'"):
        why(ADMIN, "bobb", "destroy", "demo")


def test_why_answers_for_every_action(service: FakeService) -> None:
    _create(service, ADA, "demo")
    for action in Action:
        for who in (ADA, ADMIN, AUDITOR):
            found = service.access_reasons.why(who, "me", action.value, "demo", "web")
            assert found.allowed or (found.missing and found.givers), action
