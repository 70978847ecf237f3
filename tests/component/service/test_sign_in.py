"""Signing in: who somebody is, which session they get, and what is refused."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.access import Group, Person, PersonKind, ServiceRole
from environments.domain.claim_rules import Condition, RoleRule
from environments.domain.errors import (
    AccessDenied,
    AuthorizationPending,
    DeviceCodeExpired,
    Forbidden,
    InvalidInput,
    NotFound,
    SignInRefused,
    SlowDown,
    TooManyRequests,
    Unauthenticated,
)
from environments.service.authorization import Principal
from environments.service.device_grant import LETTERS, MOST_FROM_ADDRESS, MOST_WRONG_CODES, NewGrant
from environments.service.sessions import MOST, NewSession
from environments.service.storage.audit import AuditEntry, AuditFilter
from tests.fakes.identity import MemoryProvider
from tests.fakes.service import FakeService, make_service

HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 27, 16, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, time: timedelta) -> None:
        self.now += time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(tmp_path: Path, clock: Clock) -> Iterator[FakeService]:
    made = make_service(tmp_path, clock=clock)
    yield made
    made.database.close()


@pytest.fixture
def corp(service: FakeService) -> MemoryProvider:
    return service.identity.providers[0]


def sign_in(service: FakeService, subject: str = "s-1", username: str = "ada", **claims: Any) -> NewSession:
    provider = service.identity.providers[0]
    token = provider.identity_token(subject, preferred_username=username, **claims)
    return service.sign_in.exchange("corp", token, nonce=None, address="192.0.2.7")


def principal_of(service: FakeService, made: NewSession) -> Principal:
    return service.tokens.authenticate(made.secret, "192.0.2.7")


def entries(service: FakeService, action: str) -> list[AuditEntry]:
    with service.database.read() as tx:
        return [one.entry for one in tx.audit.list(AuditFilter(action=action))]


def groups_of(service: FakeService, person: str) -> list[str]:
    with service.database.read() as tx:
        return [one.group for one in tx.groups.of(person)]


def test_somebody_new_gets_a_user_name_and_a_session(service: FakeService) -> None:
    made = sign_in(service, name="Ada Lovelace", email="ada@example.net", email_verified=True)
    assert (made.person.name, made.person.kind) == ("ada", PersonKind.PERSON)
    assert (made.person.display_name, made.person.email) == ("Ada Lovelace", "ada@example.net")
    principal = principal_of(service, made)
    assert (principal.owner, principal.role, principal.kind) == ("ada", "user", "session")
    [entry] = entries(service, "session:sign_in")
    assert (entry.actor, entry.address, entry.outcome) == ("ada", "192.0.2.7", "allowed")


def test_an_email_that_is_not_verified_is_not_kept(service: FakeService) -> None:
    assert sign_in(service, email="boss@example.net").person.email == ""


def test_a_person_is_known_by_issuer_and_subject_alone(service: FakeService) -> None:
    assert sign_in(service, "s-1", "ada").person.name == "ada"
    assert sign_in(service, "s-1", "lovelace", email="x@example.net", email_verified=True).person.name == "ada"
    assert sign_in(service, "s-2", "ada").person.name == "ada-2"
    other = MemoryProvider("other", "Other")
    service.identity.providers.append(other)
    token = other.identity_token("s-1", preferred_username="ada")
    assert service.sign_in.exchange("other", token, nonce=None, address="").person.name == "ada-3"


def test_the_name_of_an_early_owner_is_never_given_away(service: FakeService) -> None:
    service.tokens.create_token(service.admin, "ada")
    service.tokens.create_token(service.admin, "Grace")
    assert sign_in(service, "s-1", "ada").person.name == "ada-2"
    assert sign_in(service, "s-2", "grace").person.name == "grace-2"


def test_two_first_sign_ins_at_once_make_one_person(service: FakeService) -> None:
    found: list[str] = []
    ready = threading.Barrier(4)

    def one() -> None:
        ready.wait(60)
        found.append(sign_in(service).person.name)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == ["ada"] * 4


def test_an_identity_token_is_good_once(service: FakeService, corp: MemoryProvider, clock: Clock) -> None:
    token = corp.identity_token("s-1", preferred_username="ada")
    service.sign_in.exchange("corp", token, nonce=None, address="")
    for _ in range(2):
        with pytest.raises(SignInRefused, match="used before"):
            service.sign_in.exchange("corp", token, nonce=None, address="")
        clock.wait(timedelta(seconds=30))
    refused = [entry for entry in entries(service, "session:sign_in") if entry.outcome == "refused"]
    assert [entry.code for entry in refused] == ["sign_in_refused"] * 2


def test_what_the_provider_refuses_makes_nobody(service: FakeService, corp: MemoryProvider) -> None:
    with pytest.raises(SignInRefused):
        service.sign_in.exchange("corp", "forged", nonce=None, address="")
    with pytest.raises(SignInRefused):
        service.sign_in.exchange("corp", corp.identity_token("s-1", nonce="a"), nonce="b", address="")
    with pytest.raises(NotFound):
        service.sign_in.exchange("nowhere", "x", nonce=None, address="")
    with service.database.read() as tx:
        assert tx.people.by_identity(corp.issuer, "s-1") is None


def test_groups_of_a_claim_follow_the_claim(service: FakeService) -> None:
    sign_in(service, groups=["staff", "ops"])
    assert groups_of(service, "ada") == ["corp/ops", "corp/staff"]
    made = sign_in(service, groups=["staff"])
    assert groups_of(service, "ada") == ["corp/staff"]
    assert principal_of(service, made).groups == {"corp/staff"}
    sign_in(service, groups=[])
    assert groups_of(service, "ada") == []


@pytest.mark.parametrize("claims", [{}, {"groups": "ops"}, {"groups": {"ops": True}}])
def test_an_absent_claim_of_groups_leaves_them(service: FakeService, claims: dict[str, Any]) -> None:
    sign_in(service, groups=["staff"])
    made = sign_in(service, **claims)
    assert groups_of(service, "ada") == ["corp/staff"]
    report = service.sign_in.last_report(principal_of(service, made))
    assert report is not None
    assert report.groups is None


def test_a_local_group_stays_whatever_the_claim_says(service: FakeService, clock: Clock) -> None:
    sign_in(service, groups=["staff"])
    with service.database.write() as tx:
        tx.groups.add(Group(name="platform", created_at=clock(), created_by="root"))
        tx.groups.join("platform", "ada", clock())
    sign_in(service, groups=[])
    assert groups_of(service, "ada") == ["platform"]


def test_a_role_by_rule_comes_and_goes_with_the_claim(service: FakeService, corp: MemoryProvider) -> None:
    corp.rules = [RoleRule(claim="groups", value="ops", role="admin")]
    old = sign_in(service, groups=["ops"])
    assert principal_of(service, old).role == "admin"
    kept = sign_in(service)
    assert principal_of(service, kept).role == "admin"
    report = service.sign_in.last_report(principal_of(service, kept))
    assert report is not None
    assert report.role_kept
    sign_in(service, groups=["staff"])
    assert principal_of(service, old).role == "user"
    with service.database.read() as tx:
        person = tx.people.get("ada")
        assert person is not None
        assert person.claim_role is ServiceRole.USER


def test_who_meets_no_condition_stays_out(service: FakeService, corp: MemoryProvider) -> None:
    corp.conditions = [Condition(claim="groups", value="staff")]
    with pytest.raises(SignInRefused, match="conditions"):
        sign_in(service, groups=["guests"])
    with service.database.read() as tx:
        assert tx.people.by_identity(corp.issuer, "s-1") is None
    [entry] = entries(service, "session:sign_in")
    assert (entry.outcome, entry.actor) == ("refused", "corp:s-1")
    assert sign_in(service, groups=["staff"]).person.name == "ada"


def test_a_disabled_person_gets_no_session(service: FakeService, clock: Clock) -> None:
    made = sign_in(service)
    with service.database.write() as tx:
        tx.people.change("ada", disabled_at=clock(), disabled_by="root")
    with pytest.raises(SignInRefused, match="disabled"):
        sign_in(service)
    with pytest.raises(Unauthenticated):
        principal_of(service, made)


def test_a_dry_run_says_what_would_come_of_it_and_changes_nothing(service: FakeService, corp: MemoryProvider) -> None:
    corp.rules = [RoleRule(claim="groups", value="ops", role="admin")]
    corp.conditions = [Condition(claim="groups", value="staff")]
    token = corp.identity_token("s-1", preferred_username="ada", groups=["ops"])
    report = service.sign_in.try_out("corp", token, nonce=None)
    assert (report.role, report.groups, report.person) == ("admin", ("ops",), "")
    assert "conditions" in report.refusal
    assert [rule.matched for rule in report.rules] == [True]
    assert report.conditions[0].why
    assert ("preferred_username", "ada") in report.claims
    with service.database.read() as tx:
        assert tx.people.by_identity(corp.issuer, "s-1") is None
        assert not list(tx.audit.list(AuditFilter(action="session:sign_in")))


def test_claims_of_others_are_for_admins(service: FakeService) -> None:
    ada = principal_of(service, sign_in(service))
    grace = principal_of(service, sign_in(service, "s-2", "grace"))
    with pytest.raises(Forbidden):
        service.sign_in.last_report(grace, "ada")
    report = service.sign_in.last_report(service.admin, "ada")
    assert report is not None
    assert report == service.sign_in.last_report(ada)
    with pytest.raises(NotFound):
        service.sign_in.last_report(service.admin, "nobody")


def test_a_session_ends_unused_after_hours_and_after_a_day_at_most(service: FakeService, clock: Clock) -> None:
    idle, busy = sign_in(service), sign_in(service)
    clock.wait(HOUR * 7)
    principal_of(service, busy)
    clock.wait(HOUR * 1)
    with pytest.raises(Unauthenticated):
        principal_of(service, idle)
    for _ in range(15):
        principal_of(service, busy)
        clock.wait(HOUR)
    clock.wait(HOUR)
    with pytest.raises(Unauthenticated):
        principal_of(service, busy)


def test_sessions_are_listed_and_ended(service: FakeService) -> None:
    told: list[frozenset[str]] = []
    service.tokens.on_revoked.append(told.append)
    one, other, grace = sign_in(service), sign_in(service), sign_in(service, "s-2", "grace")
    ada, stranger = principal_of(service, one), principal_of(service, grace)
    assert {found.id for found in service.sessions.all(ada)} == {one.token.id, other.token.id}
    with pytest.raises(NotFound):
        service.sessions.end(stranger, one.token.id)
    with pytest.raises(NotFound):
        service.sessions.all(stranger, "ada")
    service.sessions.end(ada, other.token.id)
    assert told == [{other.token.id}]
    with pytest.raises(Unauthenticated):
        principal_of(service, other)
    service.sessions.end(service.admin, grace.token.id)
    with pytest.raises(Unauthenticated):
        principal_of(service, grace)
    service.sessions.sign_out(ada)
    assert service.sessions.all(ada) == []
    assert len(entries(service, "session:end")) == 3


def test_a_token_is_no_session(service: FakeService) -> None:
    made = service.tokens.create_token(service.admin, "ada")
    ada = service.tokens.authenticate(made.secret)
    with pytest.raises(NotFound):
        service.sessions.sign_out(ada)
    service.tokens.authenticate(made.secret)


def test_too_many_sessions_end_the_one_that_was_unused_longest(service: FakeService, clock: Clock) -> None:
    made = []
    for _ in range(MOST + 1):
        made.append(sign_in(service))
        clock.wait(timedelta(seconds=1))
    with pytest.raises(Unauthenticated):
        principal_of(service, made[0])
    principal_of(service, made[1])


# --- devices ---------------------------------------------------------------------------------------------------------


def begin(service: FakeService) -> NewGrant:
    return service.device_grants.begin("build-7", address="198.51.100.1")


def poll(service: FakeService, grant: NewGrant) -> NewSession:
    return service.device_grants.poll(grant.device_code, address="198.51.100.1")


def test_a_device_gets_the_approvers_session_once(service: FakeService, clock: Clock) -> None:
    made = sign_in(service)
    clock.wait(HOUR * 3)
    ada = principal_of(service, made)
    grant = begin(service)
    assert set(grant.user_code) <= {*LETTERS, "-"}
    assert len(grant.user_code) == 9
    with pytest.raises(AuthorizationPending):
        poll(service, grant)
    seen = service.device_grants.look(ada, grant.user_code.lower().replace("-", " "))
    assert (seen.machine, seen.address) == ("build-7", "198.51.100.1")
    service.device_grants.decide(ada, grant.user_code, approve=True)
    clock.wait(timedelta(seconds=5))
    session = poll(service, grant)
    assert session.token.note == "device build-7"
    assert session.token.expires_at == made.token.expires_at
    assert principal_of(service, session).owner == "ada"
    with pytest.raises(DeviceCodeExpired):
        poll(service, grant)
    [entry] = entries(service, "device:approve")
    assert (entry.actor, entry.object_name) == ("ada", "build-7")


def test_codes_are_not_stored(service: FakeService, tmp_path: Path) -> None:
    grant = begin(service)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for code in (grant.device_code, grant.user_code, grant.user_code.replace("-", "")):
        assert code.encode() not in stored


def test_a_device_that_asks_too_often_has_to_wait_longer(service: FakeService, clock: Clock) -> None:
    grant = begin(service)
    with pytest.raises(AuthorizationPending):
        poll(service, grant)
    clock.wait(timedelta(seconds=2))
    with pytest.raises(SlowDown) as told:
        poll(service, grant)
    assert told.value.details["interval"] == 10
    clock.wait(timedelta(seconds=6))
    with pytest.raises(SlowDown):
        poll(service, grant)
    clock.wait(timedelta(seconds=15))
    with pytest.raises(AuthorizationPending):
        poll(service, grant)


def test_a_denied_an_expired_and_an_unknown_code(service: FakeService, clock: Clock) -> None:
    ada = principal_of(service, sign_in(service))
    denied, expired = begin(service), begin(service)
    service.device_grants.decide(ada, denied.user_code, approve=False)
    with pytest.raises(AccessDenied):
        poll(service, denied)
    with pytest.raises(NotFound):
        service.device_grants.decide(ada, denied.user_code, approve=True)
    clock.wait(timedelta(minutes=10))
    with pytest.raises(DeviceCodeExpired):
        poll(service, expired)
    with pytest.raises(NotFound):
        service.device_grants.look(ada, expired.user_code)
    with pytest.raises(DeviceCodeExpired):
        service.device_grants.poll("unknown", address="")


def test_user_codes_can_not_be_guessed(service: FakeService, clock: Clock) -> None:
    ada, grace = (principal_of(service, sign_in(service, *who)) for who in (("s-1", "ada"), ("s-2", "grace")))
    grant = begin(service)
    for number in range(MOST_WRONG_CODES):
        with pytest.raises(NotFound):
            service.device_grants.look(ada, f"BBBB-BBB{LETTERS[number]}")
    with pytest.raises(TooManyRequests):
        service.device_grants.look(ada, grant.user_code)
    assert service.device_grants.look(grace, grant.user_code).machine == "build-7"
    clock.wait(timedelta(minutes=10))
    with pytest.raises(NotFound):
        service.device_grants.look(ada, grant.user_code)


def test_only_a_persons_session_approves_a_device(service: FakeService) -> None:
    grant = begin(service)
    with pytest.raises(Forbidden):
        service.device_grants.decide(service.admin, grant.user_code, approve=True)


@pytest.mark.parametrize("way", ["disabled", "signed out everywhere"])
def test_an_approval_is_void_once_its_person_is_out(service: FakeService, clock: Clock, way: str) -> None:
    ada = principal_of(service, sign_in(service))
    grant = begin(service)
    service.device_grants.decide(ada, grant.user_code, approve=True)
    if way == "disabled":
        with service.database.write() as tx:
            tx.people.change("ada", disabled_at=clock(), disabled_by="root")
    else:
        assert service.sessions.end_all(ada) == 1
    with pytest.raises((SignInRefused, AccessDenied)):
        poll(service, grant)


@pytest.mark.parametrize("machine", ["", " ", "a\u202eb", "x" * 101])
def test_a_machine_has_a_name_that_can_be_shown(service: FakeService, machine: str) -> None:
    with pytest.raises(InvalidInput):
        service.device_grants.begin(machine, address="")


def test_one_address_asks_for_a_few_codes_only(service: FakeService) -> None:
    for _ in range(MOST_FROM_ADDRESS):
        begin(service)
    with pytest.raises(TooManyRequests):
        begin(service)
    service.device_grants.begin("elsewhere", address="198.51.100.2")


def test_the_first_sign_in_takes_over_the_name_that_was_kept_for_it(service: FakeService, corp: MemoryProvider) -> None:
    def kept(name: str, issuer: str) -> None:
        with service.database.write() as tx:
            at = datetime(2026, 11, 27, tzinfo=UTC)
            tx.people.add(Person(name=name, kind=PersonKind.PERSON, issuer=issuer, created_at=at, created_by="root"))

    kept("ada", corp.issuer)
    kept("bob", "https://id.example.org")
    assert sign_in(service, "s-2", "bob").person.name == "bob-2"
    ada = sign_in(service, "s-1", "ada")
    assert (ada.person.name, ada.person.subject) == ("ada", "s-1")
    assert sign_in(service, "s-3", "ada").person.name == "ada-2"
    assert sign_in(service, "s-1", "renamed").person.name == "ada"
