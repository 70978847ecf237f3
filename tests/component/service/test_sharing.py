"""Sharing: who may, what it gives until when, what it leaves in the history and in the audit log."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from environments.domain.access import EnvironmentRole, Group, PersonKind, TokenScope
from environments.domain.commands import CreateEnvironment, MakePlan, UpdateEnvironment
from environments.domain.environment import EventType
from environments.domain.errors import (
    Forbidden,
    InvalidInput,
    InvalidLifetime,
    NameTaken,
    NotFound,
    UnknownEnvironment,
    UnknownPlan,
)
from environments.domain.lifecycle import DeploymentKind
from environments.service.authorization import Action, Principal, access_of, may
from environments.service.roles import ON_ENVIRONMENTS, actions_of, short
from environments.service.sharing import MOST_SHARES, SHOWN_AFTER_END
from environments.service.standing import Whose, standings
from environments.service.storage.audit import AuditFilter
from environments.service.user_names import RESERVED
from tests.fakes.service import FakeService, make_service

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA, BOB, EVE = (Principal(name, "user", f"tok-{name}", at=NOW) for name in ("ada", "bob", "eve"))
ADMIN = Principal("root", "admin", "tok-root", at=NOW)
AUDITOR = Principal("mia", "auditor", "tok-mia", at=NOW)
IN_OPS = replace(BOB, groups=frozenset({"ops"}))
Roles = EnvironmentRole


class Time:
    """The moment, as the service sees it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def service(tmp_path: Path, time: Time) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=time)
    with service.database.write() as tx:
        for name in ("ada", "bob", "eve", "root", "mia"):
            tx.people.keep(name, PersonKind.UNCLAIMED, NOW, "root")
        tx.groups.add(Group(name="ops", created_at=NOW))
    service.requests.create(ADA, CreateEnvironment(name="demo", template="web"))
    yield service
    service.database.close()


def _names(service: FakeService, principal: Principal, whose: Whose | None = None) -> list[str]:
    return [one.name for one in service.reading.listing(principal, whose=whose)[0]]


def _told(service: FakeService, type: EventType) -> list[str]:
    return [event.message for event in service.reading.events(ADMIN, "demo") if event.type is type]


@pytest.mark.parametrize("role", list(EnvironmentRole))
def test_a_share_gives_its_role_and_nothing_more(service: FakeService, role: EnvironmentRole) -> None:
    assert _names(service, BOB) == []
    service.sharing.share(ADA, "demo", "bob", role)
    assert _names(service, BOB) == _names(service, BOB, Whose.SHARED) == ["demo"]
    assert _names(service, BOB, Whose.MINE) == []
    assert _names(service, EVE) == []
    (standing,) = service.reading.listing(BOB)[1].values()
    assert standing.role is role
    assert standing.shared == 1
    with service.database.read() as tx:
        (environment,) = tx.environments.all()
        for action, needed in ON_ENVIRONMENTS.items():
            if action in (Action.ENVIRONMENT_CREATE, Action.ENVIRONMENT_UPDATE, Action.ENVIRONMENT_ROLL_BACK):
                continue
            assert (short(action) in standing.may) == role.covers(needed)
            if role.covers(needed):
                may(tx, BOB, action, environment)
                continue
            with pytest.raises(Forbidden) as refused:
                may(tx, BOB, action, environment)
            assert refused.value.details == {"needs": needed.value, "has": role.value}
            with pytest.raises(UnknownEnvironment):
                may(tx, EVE, action, environment)


@pytest.mark.parametrize(
    ("subject", "role", "remedy"),
    [
        ("bob", Roles.VIEWER, "--role viewer --reveal"),
        ("bob", Roles.OPERATOR, "--role operator --reveal"),
        ("group:ops", Roles.PLANNER, "--role viewer --reveal"),
    ],
)
def test_who_may_not_reveal_is_told_to_ask_for_that_right_alone(
    service: FakeService, subject: str, role: Roles, remedy: str
) -> None:
    service.sharing.share(ADA, "demo", subject, role)
    with pytest.raises(Forbidden, match="the right to reveal") as refused:
        service.reading.outputs(IN_OPS, "demo", reveal=True)
    assert refused.value.hint.endswith(f"`calvinverse env share demo bob {remedy}`.")
    _follow(service, refused.value.hint)
    service.reading.outputs(IN_OPS, "demo", reveal=True)
    with pytest.raises(Forbidden), service.database.read() as tx:
        may(tx, IN_OPS, Action.ENVIRONMENT_DESTROY, tx.environments.all()[0])


def test_who_has_access_tells_what_the_token_leaves_of_the_role(service: FakeService) -> None:
    limited = replace(ADA, scope=TokenScope(actions=("environment:extend",)))
    mine = service.sharing.access(limited, "demo").mine
    assert (mine.role, mine.reveal) == (Roles.OWNER, False)
    assert mine.reasons == ("ada owns it.", "The token is limited to environment:extend.")
    assert service.sharing.access(ADA, "demo").mine.reasons == ("ada owns it.",)


@pytest.mark.parametrize(
    ("role", "hint"),
    [
        (Roles.PLANNER, "Choose another name."),
        (Roles.OPERATOR, "Choose another name, or change that one with `calvinverse env update demo`."),
        (
            Roles.OWNER,
            "Choose another name, change that one with `calvinverse env update demo`, or destroy it first with "
            "`calvinverse env destroy demo`.",
        ),
    ],
)
def test_who_finds_a_name_taken_is_told_what_they_may_do(service: FakeService, role: Roles, hint: str) -> None:
    service.sharing.share(ADA, "demo", "bob", role)
    with pytest.raises(NameTaken) as refused:
        service.requests.create(BOB, CreateEnvironment(name="demo", template="web"))
    assert refused.value.hint == hint


def _follow(service: FakeService, hint: str) -> None:
    """Shares as the hint says."""
    words = hint.split("`")[1].split()[3:]
    role = Roles(words[words.index("--role") + 1])
    service.sharing.share(ADA, words[0], words[1], role, reveal="--reveal" in words)


@pytest.mark.parametrize(
    "principal",
    [ADA, BOB, IN_OPS, EVE, ADMIN, AUDITOR, replace(BOB, scope=TokenScope(templates=("other",)))],
    ids=["owner", "shared", "group", "stranger", "admin", "auditor", "scoped"],
)
def test_a_page_says_of_each_environment_what_the_decision_says(service: FakeService, principal: Principal) -> None:
    for name, subject, role, reveal in (
        ("one", "bob", Roles.VIEWER, True),
        ("two", "group:ops", Roles.OPERATOR, False),
        ("three", "everyone", Roles.PLANNER, False),
        ("four", "eve", Roles.OWNER, False),
    ):
        service.requests.create(ADA, CreateEnvironment(name=name, template="web"))
        service.sharing.share(ADA, name, subject, role, reveal=reveal)
        service.sharing.share(ADA, name, "mia", Roles.VIEWER, until=NOW + timedelta(hours=1))
    for at in (NOW, NOW + timedelta(hours=2)):
        asker = replace(principal, at=at)
        with service.database.read() as tx:
            every = tx.environments.all()
            found = standings(tx, asker, every)
            for environment in every:
                access, standing = access_of(tx, asker, environment), found[environment.id]
                assert standing.role == access.role
                assert (tx.environments.visible(asker.sight, [environment.id]) != frozenset()) == (
                    access.role is not None
                )
                allowed = {short(action) for action in actions_of(access.role, reveal=access.reveal)}
                if asker.role == "admin":
                    allowed.add("pin_past_maximum")
                assert set(standing.may) == allowed
                shares = [share for share in tx.shares.of(environment.id) if share.holds(at)]
                assert standing.shared == len(shares)


def test_a_share_ends_at_its_moment_and_is_forgotten_a_day_later(service: FakeService, time: Time) -> None:
    end = NOW + timedelta(hours=1)
    service.sharing.share(ADA, "demo", "bob", Roles.VIEWER, ttl="1h")
    just_before, then = (replace(BOB, at=moment) for moment in (end - timedelta(seconds=1), end))
    assert _names(service, just_before) == ["demo"]
    assert _names(service, then) == []
    with pytest.raises(UnknownEnvironment):
        service.reading.environment(then, "demo")
    assert _names(service, replace(BOB, at=None)) == []
    time.now = end + SHOWN_AFTER_END
    assert service.sharing.forget_ended() == 0
    assert len(service.sharing.access(ADA, "demo").shares) == 1
    time.now += timedelta(seconds=1)
    assert service.sharing.forget_ended() == 1
    assert service.sharing.access(ADA, "demo").shares == ()
    assert _told(service, EventType.ENVIRONMENT_UNSHARED) == [
        "demo: the share with bob as viewer ended at 2026-01-01 13:00 UTC"
    ]
    with service.database.read() as tx:
        newest = tx.audit.list(AuditFilter(), limit=1)[0].entry
    assert (newest.actor, newest.object_name, newest.rule) == ("clock", "demo", "the end that ada gave the share")


def test_the_right_is_asked_for_before_the_state(service: FakeService) -> None:
    service.sharing.share(ADA, "demo", "bob", Roles.VIEWER)
    requests, recovery, planning = service.requests, service.recovery, service.planning
    asked: list[Callable[[], object]] = [
        lambda: requests.update(BOB, "demo", UpdateEnvironment()),
        lambda: requests.update(BOB, "demo", UpdateEnvironment(digest="sha256:" + "0" * 64)),
        lambda: requests.retry(BOB, "demo"),
        lambda: recovery.rollback(BOB, "demo"),
        lambda: recovery.repair(BOB, "demo"),
        lambda: recovery.promote(BOB, "demo"),
        lambda: recovery.abandon(BOB, "demo", "why"),
        lambda: planning.plan(BOB, "demo", MakePlan(kind=DeploymentKind.UPDATE)),
        lambda: planning.plan(BOB, "demo", MakePlan(kind=DeploymentKind.PROMOTE)),
    ]
    for ask in asked:  # it is being created, which is not what any of them can work on
        with pytest.raises(Forbidden, match="You are viewer"):
            ask()


def test_a_plan_to_create_is_seen_by_who_made_it_and_by_those_who_see_all(service: FakeService) -> None:
    made = service.planning.plan(ADA, "other", MakePlan(kind=DeploymentKind.CREATE, template="web"))
    elsewhere = replace(ADA, scope=TokenScope(templates=("blog",)))
    for principal in (ADA, ADMIN, AUDITOR):
        assert service.planning.show(principal, made.id).id == made.id
    for principal in (BOB, elsewhere):
        with pytest.raises(UnknownPlan):
            service.planning.show(principal, made.id)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_program_gets_a_name_that_the_service_uses(service: FakeService, name: str) -> None:
    for principal in (ADA, ADMIN):
        with pytest.raises(InvalidInput, match="can't be the name"):
            service.service_accounts.create(principal, name)


def test_metrics_are_for_those_who_see_all(service: FakeService) -> None:
    for principal in (ADMIN, AUDITOR, replace(AUDITOR, scope=TokenScope(actions=("metrics:read",)))):
        service.reading.check_metrics(principal)
    for principal in (ADA, replace(ADMIN, scope=TokenScope(templates=("web",)))):
        with pytest.raises(Forbidden):
            service.reading.check_metrics(principal)


def test_who_may_share_with_whom(service: FakeService) -> None:
    share = service.sharing.share
    share(ADA, "demo", "bob", Roles.OPERATOR)
    with pytest.raises(Forbidden, match="You are operator") as refused:
        share(BOB, "demo", "eve", Roles.VIEWER)
    assert refused.value.details["needs"] == "owner"
    with pytest.raises(UnknownEnvironment):
        share(EVE, "demo", "eve", Roles.OWNER)
    with pytest.raises(Forbidden, match="You are viewer"):
        share(AUDITOR, "demo", "eve", Roles.VIEWER)
    share(ADA, "demo", "group:ops", Roles.OWNER)
    share(IN_OPS, "demo", "eve", Roles.OWNER)
    share(ADMIN, "demo", "everyone", Roles.VIEWER)
    with pytest.raises(InvalidInput, match="owns 'demo' already"):
        share(EVE, "demo", "ada", Roles.VIEWER)
    with pytest.raises(InvalidLifetime, match="is over already"):
        share(ADA, "demo", "bob", Roles.VIEWER, until=NOW)
    with pytest.raises(InvalidLifetime, match="either"):
        share(ADA, "demo", "bob", Roles.VIEWER, until=NOW + timedelta(1), ttl="1h")


def test_only_those_who_may_list_people_are_told_of_similar_names(service: FakeService) -> None:
    for subject in ("bobb", "group:opss"):
        with pytest.raises(NotFound) as told:
            service.sharing.share(ADA, "demo", subject, Roles.VIEWER)
        assert "Did you mean" not in told.value.message
        with pytest.raises(NotFound, match="Did you mean"):
            service.sharing.share(ADMIN, "demo", subject, Roles.VIEWER)


def test_nobody_gives_more_than_their_token_may(service: FakeService) -> None:
    reads = (Action.ENVIRONMENT_SHARE.value, Action.ENVIRONMENT_READ.value, Action.ENVIRONMENT_LEAVE.value)
    limited = replace(ADA, scope=TokenScope(actions=reads))
    service.sharing.share(limited, "demo", "bob", Roles.VIEWER)
    for role, reveal in ((Roles.PLANNER, False), (Roles.OWNER, False), (Roles.VIEWER, True)):
        with pytest.raises(Forbidden, match="can't share as"):
            service.sharing.share(limited, "demo", "bob", role, reveal=reveal)
    elsewhere = replace(ADA, scope=TokenScope(environments=("env-other",)))
    with pytest.raises(UnknownEnvironment):
        service.sharing.share(elsewhere, "demo", "bob", Roles.VIEWER)


def test_a_share_is_replaced_ended_and_left(service: FakeService) -> None:
    service.sharing.share(ADA, "demo", "bob", Roles.OPERATOR)
    done = service.sharing.share(ADA, "demo", "bob", Roles.VIEWER, reveal=True)
    assert [(share.subject, share.role, share.reveal) for share in done.shares] == [("bob", Roles.VIEWER, True)]
    with pytest.raises(Forbidden):
        service.sharing.unshare(BOB, "demo", "eve")
    assert service.sharing.unshare(BOB, "demo") is None
    assert _names(service, BOB) == []
    with pytest.raises(NotFound, match="isn't shared with 'bob'"):
        service.sharing.unshare(ADA, "demo", "bob")
    with pytest.raises(InvalidInput, match="that is no share"):
        service.sharing.unshare(ADA, "demo")
    service.sharing.share(ADA, "demo", "group:ops", Roles.VIEWER)
    with pytest.raises(NotFound, match="isn't shared with you yourself") as told:
        service.sharing.unshare(IN_OPS, "demo")
    assert "group:ops" in told.value.hint
    left = service.sharing.unshare(ADA, "demo", "group:ops")
    assert left is not None
    assert left.shares == ()
    assert _told(service, EventType.ENVIRONMENT_SHARED) == [
        "ada shared demo with bob as operator",
        "ada shared demo with bob as viewer, with its secrets",
        "ada shared demo with group:ops as viewer",
    ]
    assert _told(service, EventType.ENVIRONMENT_UNSHARED) == [
        "bob left: demo",
        "ada stopped sharing with group:ops: demo",
    ]


def test_the_audit_log_tells_what_was_shared(service: FakeService) -> None:
    service.sharing.share(ADA, "demo", "bob", Roles.OPERATOR)
    service.sharing.share(ADA, "demo", "bob", Roles.VIEWER)
    service.sharing.unshare(BOB, "demo")
    with service.database.read() as tx:
        gone, changed, made = (one.entry for one in tx.audit.list(AuditFilter(), limit=3))
    assert (made.action, made.actor, made.object_name, made.before) == ("environment:share", "ada", "demo", None)
    assert made.after == {"share": {"subject": "bob", "role": "operator", "reveal": False, "until": None}}
    assert changed.before == {"share": {"role": "operator"}}
    assert changed.after == {"share": {"role": "viewer"}}
    assert (gone.action, gone.actor) == ("environment:leave", "bob")
    assert gone.after is None


def test_an_environment_has_only_so_many_shares(service: FakeService) -> None:
    with service.database.write() as tx:
        for number in range(MOST_SHARES + 1):
            tx.people.keep(f"p{number}", PersonKind.UNCLAIMED, NOW, "root")
    for number in range(MOST_SHARES):
        service.sharing.share(ADA, "demo", f"p{number}", Roles.VIEWER)
    service.sharing.share(ADA, "demo", "p0", Roles.OPERATOR)
    with pytest.raises(InvalidInput, match="is shared with 200 already"):
        service.sharing.share(ADA, "demo", f"p{MOST_SHARES}", Roles.VIEWER)


@pytest.mark.parametrize(
    "look",
    [
        lambda service, who: service.reading.environment(who, "demo"),
        lambda service, who: service.reading.outputs(who, "demo"),
        lambda service, who: service.reading.events(who, "demo"),
        lambda service, who: service.reading.deployments(who, "demo"),
        lambda service, who: service.reading.resources(who, "demo"),
        lambda service, who: service.reading.explain(who, "demo", 1),
        lambda service, who: service.reading.rules(who, "demo"),
        lambda service, who: service.sharing.access(who, "demo"),
        lambda service, who: service.drifting.show(who, "demo"),
    ],
)
def test_whoever_sees_it_reads_all_of_it_and_nobody_else_does(
    service: FakeService, look: Callable[[FakeService, Principal], object]
) -> None:
    service.sharing.share(ADA, "demo", "group:ops", Roles.VIEWER, until=NOW + timedelta(hours=1))
    for who in (ADA, IN_OPS, ADMIN, AUDITOR):
        look(service, who)
    over = replace(IN_OPS, at=NOW + timedelta(hours=1))
    scoped = replace(IN_OPS, scope=TokenScope(environments=("env-other",)))
    for who in (BOB, EVE, over, scoped, replace(ADMIN, scope=TokenScope(templates=("other",)))):
        with pytest.raises(UnknownEnvironment):
            look(service, who)
