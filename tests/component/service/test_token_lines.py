"""Whatever tokens are made with one another, none exceeds those above it, and each ends with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments.domain.access import PersonKind, ServiceRole, TokenScope
from environments.domain.errors import CalvinverseError, Unauthenticated
from environments.service.authorization import Principal
from environments.service.token_lines import LONGEST_LINE
from environments.service.token_scopes import WantedScope
from tests.fakes.service import FakeService, make_service

OWNERS = ("ada", "grace")
ACTIONS = ("token:create", "environment:create", "environment:extend")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 27, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[FakeService]:
    made = make_service(tmp_path_factory.mktemp("lines"), clock=clock)
    yield made
    made.database.close()


subsets = st.none() | st.sets(st.sampled_from(ACTIONS)).map(lambda found: tuple(sorted({"token:create", *found})))
templates = st.none() | st.sampled_from([("web",), ()])


@dataclass(frozen=True)
class Make:
    """A token made with one of those that there are."""

    parent: int
    owner: str
    role: str
    actions: tuple[str, ...] | None
    templates: tuple[str, ...] | None
    minutes: int | None


@dataclass(frozen=True)
class Revoke:
    which: int


@dataclass(frozen=True)
class Wait:
    minutes: int


steps = st.lists(
    st.builds(
        Make,
        parent=st.integers(0, 30),
        owner=st.sampled_from(OWNERS),
        role=st.sampled_from(["user", "user", "auditor", "admin", "own"]),
        actions=subsets,
        templates=templates,
        minutes=st.none() | st.integers(1, 90),
    )
    | st.builds(Revoke, st.integers(1, 30))
    | st.builds(Wait, st.integers(1, 40)),
    max_size=30,
)


def standing(service: FakeService, secret: str) -> Principal | None:
    try:
        return service.tokens.authenticate(secret)
    except Unauthenticated:
        return None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_no_token_exceeds_those_above_it(service: FakeService, clock: Clock, steps: list[object]) -> None:
    root = service.tokens.first_token("root", "test")
    secrets, revoked = {"": root}, set[str]()
    lines: dict[str, tuple[str, ...]] = {"": ("",)}
    order = [""]
    for step in steps:
        match step:
            case Make():
                above = order[step.parent % len(order)]
                maker = standing(service, secrets[above])
                if maker is None:
                    continue
                wanted = WantedScope(step.actions, step.templates)
                ttl = None if step.minutes is None else f"{step.minutes}m"
                try:
                    made = service.tokens.create_token(
                        maker,
                        step.owner,
                        step.role,  # type: ignore[arg-type]
                        ttl=ttl,
                        scope=wanted,
                    )
                except Unauthenticated:
                    raise
                except CalvinverseError:
                    continue
                secrets[made.token.id] = made.secret
                lines[made.token.id] = (made.token.id, *lines[above])
                order.append(made.token.id)
            case Revoke():
                if len(order) > 1:
                    which = order[1:][step.which % (len(order) - 1)]
                    service.tokens.revoke(service.admin, which)
                    revoked.add(which)
            case Wait():
                clock.now += timedelta(minutes=step.minutes)
        check(service, secrets, lines, revoked)
    for token in order[1:]:
        service.tokens.revoke(service.admin, token)


def check(service: FakeService, secrets: dict[str, str], lines: dict[str, tuple[str, ...]], revoked: set[str]) -> None:
    found = {token: standing(service, secret) for token, secret in secrets.items()}
    with service.database.read() as tx:
        records = {token: tx.tokens.line(token, 1)[0] for token in secrets if token}
    for token, line in lines.items():
        assert len(line) <= LONGEST_LINE
        good = [found[one] is not None for one in line]
        assert good == sorted(good), "a token outlives one that it was made with"
        if revoked & set(line):
            assert found[token] is None
        for one, above in pairwise(line):
            mine, theirs = found[one], found[above]
            if above:
                limit, end = records[above].scope, records[above].expires_at
                assert limit is None or (records[one].scope or TokenScope()).within(limit)
                assert end is None or (records[one].expires_at or datetime.max.replace(tzinfo=UTC)) <= end
            if mine is not None and theirs is not None:
                assert ServiceRole(mine.role).rank <= ServiceRole(theirs.role).rank


def test_a_token_takes_the_limits_that_it_does_not_name(service: FakeService) -> None:
    root = service.tokens.authenticate(service.tokens.first_token("root", "test"))
    limited = service.tokens.create_token(
        root, "root", "admin", scope=WantedScope(actions=("token:create", "environment:extend"), templates=("web",))
    )
    principal = service.tokens.authenticate(limited.secret)
    child = service.tokens.create_token(principal, "root", scope=WantedScope(actions=("environment:extend",)))
    assert child.token.scope == TokenScope(actions=("environment:extend",), templates=("web",))
    for wider in (("environment:destroy",), ("environment:destroy", "environment:extend")):
        with pytest.raises(CalvinverseError, match="would reach further"):
            service.tokens.create_token(principal, "root", scope=WantedScope(actions=wider))


def test_what_a_token_may_be_limited_to_is_checked(service: FakeService) -> None:
    root = service.tokens.authenticate(service.tokens.first_token("root", "test"))
    for wanted, why in (
        (WantedScope(actions=("environment:craete",)), "There is no action 'environment:craete'. Did you mean"),
        (WantedScope(templates=("wbe",)), "There is no template 'wbe'"),
        (WantedScope(environments=("nothing",)), "There is no environment 'nothing'"),
        (WantedScope(templates=("web",) * 101), "at most 100 templates"),
    ):
        with pytest.raises(CalvinverseError, match=why):
            service.tokens.create_token(root, "root", scope=wanted)


def test_a_service_accounts_token_is_not_made_like_another(service: FakeService) -> None:
    root = service.tokens.authenticate(service.tokens.first_token("root", "test"))
    with service.database.write() as tx:
        tx.people.keep("ci", PersonKind.SERVICE_ACCOUNT, datetime.now(UTC), "root")
    with pytest.raises(CalvinverseError, match="ci is a service account") as refusal:
        service.tokens.create_token(root, "ci")
    assert "calvinverse account token ci" in refusal.value.hint
