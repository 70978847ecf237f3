"""People, transfers, groups and old owners, on SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.access import (
    Creator,
    EnvironmentRole,
    Group,
    Person,
    PersonKind,
    ServiceRole,
    ServiceRoleGrant,
    Share,
)
from environments.domain.environment import Environment
from environments.domain.errors import (
    Forbidden,
    InvalidInput,
    InvalidName,
    NameTaken,
    NotAllowedNow,
    NotFound,
    Unauthenticated,
    UnknownEnvironment,
)
from environments.domain.lifecycle import State
from environments.domain.timing import PastAction, Scope
from environments.service.authorization import Principal
from environments.service.groups import Groups
from environments.service.looking_back import what_happened
from environments.service.old_owners import OldOwners
from environments.service.ownership import Ownership
from environments.service.people import DepartedOwners, People
from environments.service.policies import Policies
from environments.service.retiming import Retiming
from environments.service.storage.audit import AuditFilter, StoredEntry
from environments.service.token_lines import fresh
from environments.service.tokens import Tokens
from tests.fakes.plans import NOW
from tests.support.engine_harness import DATABASES, TEMPLATE, EngineHarness, open_harness

ROOT = Principal("root", "admin", "tok-root")
ISSUER = "https://id.example.net"


@dataclass
class Place:
    """The use cases over one database."""

    setting: EngineHarness
    tokens: Tokens
    people: People
    old_owners: OldOwners
    ownership: Ownership
    groups: Groups
    retiming: Retiming

    def sign_in(self, *names: str, role: ServiceRole = ServiceRole.USER) -> None:
        """These people have signed in once."""
        with self.setting.database.write() as tx:
            for name in names:
                tx.people.add(
                    Person(
                        name=name,
                        kind=PersonKind.PERSON,
                        issuer=ISSUER,
                        subject=f"sub-{name}",
                        display_name=name.title(),
                        email=f"{name}@example.net",
                        claim_role=role,
                        signed_in_at=NOW,
                        created_at=NOW,
                    )
                )

    def make(self, name: str, owner: str) -> None:
        """An environment of that owner that is ready."""
        now = self.setting.clock()
        with self.setting.database.write() as tx:
            bundle = tx.templates.find("things", None)
            assert bundle is not None
            record = Environment(
                id=f"env-{name}",
                name=name,
                owner=owner,
                template="things",
                template_version="1",
                bundle=bundle.digest,
                state=State.READY,
                state_since=now,
                created_at=now,
                set_deadline=now + timedelta(hours=8),
                deadline=now + timedelta(hours=8),
            )
            tx.environments.add(record)

    def owner(self, name: str) -> str:
        """Who owns it."""
        return self.setting.environment(name).owner

    def rule(self, rule: DepartedOwners) -> People:
        """The use cases with another rule for owners who leave."""
        return People(self.setting.database, self.setting.clock, self.tokens, self.retiming, rule)

    def session(self, owner: str) -> str:
        """The secret of a session of somebody."""
        with self.setting.database.write() as tx:
            made = fresh(f"tok-of-{owner}", owner, "own", "", self.setting.clock())
            tx.tokens.add(made.token._replace(kind="session"))
        return made.secret

    def newest(self, count: int) -> list[StoredEntry]:
        """The newest entries of the audit log, the newest first."""
        with self.setting.database.read() as tx:
            return list(tx.audit.list(AuditFilter(), limit=count))

    def audited(self) -> StoredEntry:
        """The newest entry of the audit log."""
        with self.setting.database.read() as tx:
            return tx.audit.list(AuditFilter(), limit=1)[0]


@pytest.fixture(params=DATABASES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    setting = open_harness(request, tmp_path / "data")
    setting.push(TEMPLATE)
    database, clock = setting.database, setting.clock
    tokens = Tokens(database, clock, setting.new_id)
    retiming = Retiming(database, clock, lambda: "test")
    tokens.first_token("root", "made by the first start")
    yield Place(
        setting,
        tokens,
        People(database, clock, tokens, retiming),
        OldOwners(database, clock, retiming),
        Ownership(database, clock, retiming),
        Groups(database, clock),
        retiming,
    )
    setting.database.close()


def user(name: str, *groups: str) -> Principal:
    """A person's principal."""
    return Principal(name, "user", f"tok-{name}", frozenset(groups))


# --- transfer ---------------------------------------------------------------------------------------------------------


def test_an_owner_transfers_an_environment(place: Place) -> None:
    place.sign_in("ada", "bob")
    place.make("one", "ada")
    done = place.ownership.transfer(user("ada"), "one", " bob ")
    assert (done.owner, place.owner("one")) == ("bob", "bob")
    entry = place.audited().entry
    assert (entry.action, entry.object_name) == ("environment:transfer", "one")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["owner"], entry.after["owner"]) == ("ada", "bob")
    with place.setting.database.read() as tx:
        (past,) = what_happened(tx, place.setting.environment("one"), 5)
    assert (past.action, past.by) == (PastAction.TRANSFER, "ada")
    assert past.reason == "ada transferred one from ada to bob"
    with pytest.raises(UnknownEnvironment):
        place.ownership.transfer(user("ada"), "one", "ada")


def test_an_environment_of_a_group_is_its_members(place: Place) -> None:
    place.sign_in("ada", "bob")
    place.make("one", "ada")
    place.groups.create(ROOT, "platform")
    place.groups.add(ROOT, "platform", "bob")
    place.ownership.transfer(user("ada"), "one", "group:platform")
    assert place.owner("one") == "group:platform"
    with pytest.raises(UnknownEnvironment):
        place.ownership.transfer(user("ada"), "one", "ada")
    with pytest.raises(NotAllowedNow, match="owns 1 environment"):
        place.groups.delete(ROOT, "platform")
    place.ownership.transfer(user("bob", "platform"), "one", "bob")
    assert place.groups.delete(ROOT, "platform").takes_away == {"members": 1}


@pytest.mark.parametrize(
    ("to", "refusal"),
    [
        ("nobody", NotFound),
        ("group:nobody", NotFound),
        ("everyone", InvalidInput),
        ("gone", NotAllowedNow),
        ("ada", InvalidInput),
        ("", NotFound),
    ],
)
def test_who_cannot_get_an_environment(place: Place, to: str, refusal: type[Exception]) -> None:
    place.sign_in("ada", "gone")
    place.make("one", "ada")
    place.people.disable(ROOT, "gone")
    with pytest.raises(refusal):
        place.ownership.transfer(user("ada"), "one", to)
    assert place.owner("one") == "ada"


def test_an_unknown_name_tells_a_user_nothing_of_others(place: Place) -> None:
    place.sign_in("ada", "barbara")
    place.make("one", "ada")
    with pytest.raises(NotFound) as told:
        place.ownership.transfer(user("ada"), "one", "barbera")
    assert "barbara" not in f"{told.value.message} {told.value.hint}"
    with pytest.raises(NotFound, match="Did you mean 'barbara'"):
        place.ownership.transfer(ROOT, "one", "barbera")


def test_operators_and_strangers_cannot_transfer(place: Place) -> None:
    place.sign_in("ada", "bob", "eve")
    place.make("one", "ada")
    with place.setting.database.write() as tx:
        tx.shares.put(_share("env-one", "bob", EnvironmentRole.OPERATOR))
    with pytest.raises(Forbidden):
        place.ownership.transfer(user("bob"), "one", "bob")
    with pytest.raises(UnknownEnvironment):
        place.ownership.transfer(user("eve"), "one", "eve")


def test_nobody_gets_more_than_they_may_have(place: Place) -> None:
    place.sign_in("ada", "bob")
    for name in ("one", "two"):
        place.make(name, "ada")
    with place.setting.database.write() as tx:
        tx.creators.put(Creator(template="things", subject="everyone", most=1, by="root", at=NOW))
    with place.setting.database.write() as tx:
        tx.creators.put(Creator(template="things", subject="ada", most=5, by="root", at=NOW))
        tx.creators.remove("things", "everyone")
    with pytest.raises(Forbidden, match="bob may not have environments from the template 'things'"):
        place.ownership.transfer(user("ada"), "one", "bob")
    with place.setting.database.write() as tx:
        tx.creators.put(Creator(template="things", subject="everyone", most=1, by="root", at=NOW))
    place.ownership.transfer(user("ada"), "one", "bob")
    with pytest.raises(Forbidden, match="may have no more"):
        place.ownership.transfer(user("ada"), "two", "bob")
    assert place.ownership.transfer(ROOT, "two", "bob").owner == "bob"


def test_the_policy_of_the_new_owner_applies(place: Place) -> None:
    place.sign_in("ada", "bob")
    place.make("one", "ada")
    policies = Policies(place.setting.database, place.setting.clock, place.retiming)
    policies.set(ROOT, Scope.OWNER, "bob", [], "2h")
    done = place.ownership.transfer(user("ada"), "one", "bob")
    assert done.maximum_deadline is not None
    assert place.setting.environment("one").maximum_deadline == done.maximum_deadline
    with place.setting.database.read() as tx:
        assert not tx.environments.to_retime(10)


def test_the_new_owner_is_warned_again(place: Place) -> None:
    place.sign_in("ada", "bob")
    place.make("one", "ada")
    place.setting.clock.ahead = timedelta(hours=7, minutes=50)
    with place.setting.database.write() as tx:
        tx.environments.change("env-one", warn_at=place.setting.clock())
    assert place.setting.warnings.queue_due() == ["one"]
    assert place.setting.warnings.queue_due() == []
    assert place.setting.channels.verified == ("ada@example.net",)
    place.ownership.transfer(user("ada"), "one", "bob")
    assert place.setting.warnings.queue_due() == ["one"]
    assert place.setting.channels.verified == ("bob@example.net",)
    place.groups.create(ROOT, "platform")
    for member in ("ada", "bob"):
        place.groups.add(ROOT, "platform", member)
    place.people.disable(ROOT, "ada")
    place.ownership.transfer(ROOT, "one", "group:platform")
    assert place.setting.warnings.queue_due() == ["one"]
    assert place.setting.channels.verified == ("bob@example.net",)


# --- disabling --------------------------------------------------------------------------------------------------------


def test_somebody_disabled_is_out_at_once_and_their_environments_have_an_owner(place: Place) -> None:
    place.sign_in("ada", "bob")
    place.make("one", "ada")
    session = place.session("ada")
    made = place.tokens.create_token(place.tokens.authenticate(session), "ada")
    told: list[frozenset[str]] = []
    place.tokens.on_revoked.append(told.append)
    done = place.people.disable(ROOT, "ada", successor="bob")
    assert (done.heir, done.moved, done.names, done.ended) == ("bob", 1, ("one",), 2)
    assert len(told[0]) == 2
    for secret in (session, made.secret):
        with pytest.raises(Unauthenticated):
            place.tokens.authenticate(secret)
    assert place.owner("one") == "bob"
    given, entry = (stored.entry for stored in place.newest(2))
    assert (entry.action, entry.object_kind, entry.object_name) == ("person:manage", "person", "ada")
    assert entry.after is not None
    assert (entry.after["owner"], entry.after["ended"]) == ("bob", 2)
    assert (given.action, given.object_id, given.actor) == ("environment:transfer", "env-one", "root")
    assert (given.before, given.after) == ({"owner": "ada"}, {"owner": "bob"})
    assert given.rule == "ada was disabled; root named them"
    again = place.people.disable(ROOT, "ada")
    assert (again.moved, again.ended) == (0, 0)
    assert again.details.person.disabled_at == done.details.person.disabled_at
    assert place.people.enable(ROOT, "ada").person.disabled_at is None
    with pytest.raises(Unauthenticated):
        place.tokens.authenticate(session)
    assert place.owner("one") == "bob"


def test_who_gets_the_environments_by_rule(place: Place) -> None:
    place.sign_in("ada", "bob", "eve", "max", "heir", "away")
    place.groups.create(ROOT, "platform")
    place.groups.create(ROOT, "web")
    for name in ("ada", "bob", "eve", "max"):
        place.make(f"of-{name}", name)
    for group, member in (("platform", "bob"), ("platform", "eve"), ("web", "eve")):
        place.groups.add(ROOT, group, member)
    with place.setting.database.write() as tx:
        tx.groups.set_claimed("bob", "corp", ["staff"], NOW)
    assert place.rule("keep").disable(ROOT, "ada").heir == ""
    assert place.owner("of-ada") == "ada"
    assert place.rule("group").disable(ROOT, "bob").heir == "group:platform"
    assert place.rule("group").disable(ROOT, "eve").heir == "root"
    place.people.set_successor(user("max"), "max", "away")
    place.people.disable(ROOT, "away")
    assert place.rule("admin").disable(ROOT, "max").heir == "root"
    assert place.rule("admin").disable(ROOT, "ada").names == ("of-ada",)
    place.sign_in("last")
    place.make("of-last", "last")
    place.people.set_successor(user("last"), "last", "heir")
    assert place.rule("keep").disable(ROOT, "last").heir == "heir"
    assert place.owner("of-last") == "heir"


def test_a_service_account_gets_the_heir_as_the_responsible_one(place: Place) -> None:
    place.sign_in("ada", "bob")
    with place.setting.database.write() as tx:
        account = Person(name="ci", kind=PersonKind.SERVICE_ACCOUNT, responsible="ada", created_at=NOW)
        tx.people.add(account)
    assert place.people.disable(ROOT, "ada", successor="bob").accounts == ("ci",)
    assert place.people.one(ROOT, "ci").person.responsible == "bob"


def test_the_last_admin_stays(place: Place) -> None:
    place.sign_in("ada")
    place.sign_in("eve", role=ServiceRole.ADMIN)
    machine = Principal("deploy", "admin", "tok-deploy")
    assert place.people.disable(machine, "ada").details.role is ServiceRole.USER
    with place.setting.database.write() as tx:
        local = tx.tokens.of("root", "local_admin")[0]
    place.tokens.revoke(ROOT, local.id)
    with pytest.raises(NotAllowedNow, match="last admin"):
        place.people.disable(machine, "eve")
    with pytest.raises(NotAllowedNow, match="yourself"):
        place.people.disable(Principal("eve", "admin", "tok-eve"), "eve")
    place.sign_in("max")
    place.groups.create(ROOT, "admins")
    place.groups.add(ROOT, "admins", "max")
    with place.setting.database.write() as tx:
        tx.service_roles.put(ServiceRoleGrant(subject="group:admins", role=ServiceRole.ADMIN, by="root", at=NOW))
    place.people.disable(machine, "eve")
    with pytest.raises(NotAllowedNow, match="last admin"):
        place.people.disable(machine, "max")


def test_only_admins_manage_people(place: Place) -> None:
    place.sign_in("ada", "bob")
    auditor = Principal("eve", "auditor", "tok-eve")
    for attempt in (
        lambda who: place.people.disable(who, "bob"),
        lambda who: place.people.enable(who, "bob"),
        lambda who: place.people.set_successor(who, "bob", "ada"),
        lambda who: place.old_owners.assign(who, "root", "ada"),
        lambda who: place.groups.create(who, "mine"),
        lambda who: place.groups.add(who, "mine", "ada"),
        lambda who: place.groups.remove(who, "mine", "ada"),
        lambda who: place.groups.describe(who, "mine", "x"),
        lambda who: place.groups.delete(who, "mine"),
        lambda who: place.groups.delete(who, "mine", dry_run=True),
    ):
        for who in (user("ada"), auditor):
            with pytest.raises(Forbidden):
                attempt(who)
    assert [found.person.name for found in place.people.all(auditor)] == ["ada", "bob", "root"]
    with pytest.raises(Forbidden):
        place.people.all(user("ada"))
    for name in ("bob", "nobody"):  # the same answer, whether there is one
        with pytest.raises(Forbidden, match="Only admins and auditors see everybody"):
            place.people.one(user("ada"), name)
    assert place.people.one(user("ada"), "ada").person.email == "ada@example.net"


def test_a_person_is_shown_with_what_they_have_and_why(place: Place) -> None:
    place.sign_in("ada", role=ServiceRole.AUDITOR)
    place.make("one", "ada")
    place.session("ada")
    place.groups.create(ROOT, "platform")
    place.groups.add(ROOT, "platform", "ada")
    with place.setting.database.write() as tx:
        tx.groups.set_claimed("ada", "corp", ["staff"], NOW)
        later = place.setting.clock() + timedelta(hours=1)
        for subject, until in (("group:platform", later), ("bob", None), ("everyone", NOW)):
            role = ServiceRole.AUDITOR if subject == "everyone" else ServiceRole.ADMIN
            tx.service_roles.put(ServiceRoleGrant(subject=subject, role=role, until=until, by="root", at=NOW))
    found = place.people.one(ROOT, "ada")
    assert [(one.group, one.source) for one in found.groups] == [("corp/staff", "claim"), ("platform", "local")]
    assert found.role is ServiceRole.ADMIN
    assert found.owned == (1, 0, 1)
    by_claim, by_group = found.reasons
    assert by_claim == "The provider's rules gave them auditor at the last sign-in."
    assert by_group.startswith("root gave their group platform admin until ")


# --- old owners -------------------------------------------------------------------------------------------------------


def _old_owner(place: Place) -> str:
    """Makes what an early version may have left of `Ada L.`; returns the secret of a token."""
    place.sign_in("ada")
    made = place.tokens.create_token(ROOT, "Ada L.")
    place.make("old", "Ada L.")
    place.make("new", "ada")
    place.make("other", "root")
    with place.setting.database.write() as tx:
        tx.shares.put(_share("env-other", "Ada L.", EnvironmentRole.OPERATOR))
        tx.shares.put(_share("env-other", "ada", EnvironmentRole.VIEWER))
    policies = Policies(place.setting.database, place.setting.clock, place.retiming)
    policies.set(ROOT, Scope.OWNER, "Ada L.", [], "7d")
    return made.secret


MOVED = {"environments": 1, "tokens": 1, "policies": 1, "shares": 1}


def test_an_old_owner_becomes_a_person(place: Place) -> None:
    secret = _old_owner(place)
    dry = place.old_owners.assign(ROOT, "Ada L.", "ada", dry_run=True)
    assert (dry.moved, dry.applied, place.owner("old")) == (MOVED, False, "Ada L.")
    assert place.audited().entry.action != "person:manage"
    done = place.old_owners.assign(ROOT, "Ada L.", "ada")
    assert (done.name, done.given_up, done.moved, done.applied) == ("ada", "Ada L.", MOVED, True)
    assert place.owner("old") == place.owner("new") == "ada"
    assert place.tokens.authenticate(secret).owner == "ada"
    assert place.people.one(ROOT, "Ada L.").person.became == "ada"
    with place.setting.database.read() as tx:
        (share,) = tx.shares.of("env-other")
        assert (share.subject, share.role) == ("ada", EnvironmentRole.OPERATOR)
        assert tx.policies.get(Scope.OWNER, "ada") is not None
        (past,) = what_happened(tx, place.setting.environment("old"), 5)
        assert past.reason == "root gave what Ada L. owned, old among it, to ada"
    assert place.setting.environment("new").maximum_deadline is not None
    with pytest.raises(NotFound, match="belongs to 'ada' now"):
        place.old_owners.assign(ROOT, "Ada L.", "ada")
    with pytest.raises(NotFound, match="belongs to 'ada' now"):
        place.ownership.transfer(ROOT, "other", "Ada L.")
    with pytest.raises(NotFound, match="belongs to 'ada' now"):
        place.tokens.create_token(ROOT, "Ada L.")
    with place.setting.database.write() as tx, pytest.raises(NameTaken):
        tx.people.add(Person(name="Ada L.", kind=PersonKind.PERSON, created_at=NOW))


def test_a_person_takes_the_old_name(place: Place) -> None:
    secret = _old_owner(place)
    session = place.session("ada")
    place.groups.create(ROOT, "platform")
    place.groups.add(ROOT, "platform", "ada")
    done = place.old_owners.assign(ROOT, "Ada L.", "ada", keep_name=True)
    assert (done.name, done.given_up) == ("Ada L.", "ada")
    assert done.moved == {"environments": 1, "tokens": 1, "groups": 1}
    given, entry = (stored.entry for stored in place.newest(2))
    assert entry.after is not None
    assert entry.after["tokens"] == 1
    assert (given.action, given.before, given.after) == (
        "environment:transfer",
        {"owner": "ada"},
        {"owner": "Ada L."},
    )
    assert place.owner("old") == place.owner("new") == "Ada L."
    for each in (secret, session):
        found = place.tokens.authenticate(each)
        assert (found.owner, found.groups) == ("Ada L.", frozenset({"platform"}))
    with place.setting.database.write() as tx:
        person = tx.people.by_identity(ISSUER, "sub-ada")
        assert person is not None
        assert (person.name, person.kind, person.email) == ("Ada L.", PersonKind.PERSON, "ada@example.net")
        before = tx.people.get("ada")
        assert before is not None
        assert (before.kind, before.became, before.issuer) == (PersonKind.UNCLAIMED, "Ada L.", None)


def test_what_can_be_assigned_to_whom(place: Place) -> None:
    _old_owner(place)
    place.sign_in("bob", "gone")
    place.people.disable(ROOT, "gone")
    for old, to in (("ada", "bob"), ("Ada L.", "root"), ("Ada L.", "gone"), ("Ada L.", "Ada L.")):
        with pytest.raises(NotAllowedNow):
            place.old_owners.assign(ROOT, old, to)
    with pytest.raises(NotFound):
        place.old_owners.assign(ROOT, "nobody", "ada")
    unclaimed = place.people.all(ROOT, kind=PersonKind.UNCLAIMED)
    assert [found.person.name for found in unclaimed] == ["Ada L.", "root"]


# --- groups -----------------------------------------------------------------------------------------------------------


def test_a_group_is_made_described_and_deleted(place: Place) -> None:
    place.sign_in("ada", "bob")
    place.make("one", "ada")
    place.groups.create(ROOT, "platform", "runs the platform")
    for wrong in ("Platform", "a/b", "-a", "", "a b"):
        with pytest.raises(InvalidName):
            place.groups.create(ROOT, wrong)
    with pytest.raises(NameTaken):
        place.groups.create(ROOT, "platform")
    place.groups.add(ROOT, "platform", "bob")
    place.groups.add(ROOT, "platform", "bob")
    assert place.groups.describe(ROOT, "platform", "everything").group.description == "everything"
    assert place.groups.one(ROOT, "platform").members == 1
    with pytest.raises(NotFound):
        place.groups.add(ROOT, "platform", "nobody")
    with pytest.raises(NotFound):
        place.groups.remove(ROOT, "platform", "ada")
    with place.setting.database.write() as tx:
        tx.shares.put(_share("env-one", "group:platform", EnvironmentRole.VIEWER))
    dry = place.groups.delete(ROOT, "platform", dry_run=True)
    assert (dry.takes_away, dry.applied) == ({"members": 1, "shares": 1}, False)
    assert place.groups.delete(ROOT, "platform").applied
    (ended, *_) = place.newest(1)
    assert (ended.entry.action, ended.entry.object_id) == ("environment:share", "env-one")
    assert ended.entry.before is not None
    assert ended.entry.before["share"]["subject"] == "group:platform"
    assert ended.entry.rule == "group:platform was deleted"
    for reserved in ("everyone", "me"):
        with pytest.raises(InvalidName, match="a meaning of its own"):
            place.groups.create(ROOT, reserved)
    with place.setting.database.read() as tx:
        assert not tx.shares.of("env-one")
        assert not tx.groups.of("bob")
    with pytest.raises(NotFound):
        place.groups.one(ROOT, "platform")


def test_who_sees_which_groups(place: Place) -> None:
    place.sign_in("ada", "bob")
    for name in ("alpha", "beta", "gamma"):
        place.groups.create(ROOT, name)
    place.groups.add(ROOT, "beta", "ada")
    place.groups.add(ROOT, "beta", "bob")
    ada = user("ada", "beta")
    assert [found.group.name for found in place.groups.all(ada)] == ["beta"]
    first = place.groups.all(ROOT, limit=2)
    assert [found.group.name for found in first] == ["alpha", "beta"]
    assert [found.group.name for found in place.groups.all(ROOT, after="beta")] == ["gamma"]
    assert [found.person for found in place.groups.members(ada, "beta")] == ["ada", "bob"]
    for name in ("alpha", "nobody"):
        with pytest.raises(NotFound, match="or you aren't in it"):
            place.groups.members(ada, name)
        with pytest.raises(NotFound, match="or you aren't in it"):
            place.groups.one(ada, name)


def test_a_group_of_a_claim_is_not_edited_by_hand(place: Place) -> None:
    place.sign_in("ada", "bob")
    with place.setting.database.write() as tx:
        tx.groups.set_claimed("ada", "corp", ["staff"], NOW)
    assert place.groups.one(ROOT, "corp/staff").group == Group(name="corp/staff", provider="corp", created_at=NOW)
    for attempt in (
        lambda: place.groups.add(ROOT, "corp/staff", "bob"),
        lambda: place.groups.remove(ROOT, "corp/staff", "ada"),
        lambda: place.groups.delete(ROOT, "corp/staff"),
    ):
        with pytest.raises(NotAllowedNow, match="claim of the provider corp"):
            attempt()


# --- races ------------------------------------------------------------------------------------------------------------


def test_transfers_and_departures_at_once_leave_nothing_with_the_disabled(place: Place) -> None:
    place.sign_in("ada", "bob", "eve")
    names = [f"e{number}" for number in range(6)]
    for name in names:
        place.make(name, "ada")
    start = threading.Barrier(4)

    def transfer(mine: list[str]) -> None:
        start.wait(30)
        for name in mine:
            try:
                place.ownership.transfer(user("ada"), name, "bob")
            except (NotAllowedNow, UnknownEnvironment):
                continue

    def disable(name: str) -> None:
        start.wait(30)
        place.people.disable(ROOT, name, successor="eve")

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(transfer, names[:3]), pool.submit(transfer, names[3:])]
        done += [pool.submit(disable, name) for name in ("ada", "bob")]
        for one in done:
            one.result(60)
    assert {place.owner(name) for name in names} == {"eve"}


def _share(environment_id: str, subject: str, role: EnvironmentRole) -> Share:
    return Share(id=f"share-{subject}", environment_id=environment_id, subject=subject, role=role, by="root", at=NOW)
