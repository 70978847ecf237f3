"""Whatever people, groups, shares, transfers, tokens and the clock do: everybody sees and does what the manual says.

Both ways: nothing that is forbidden, and all that is allowed. CALVINVERSE_ACCESS_LIVES says how many sequences each
database gets; then with other dice each time.
"""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from environments.api.streams import Hub, Reader
from environments.domain.access import EnvironmentRole, Group, PersonKind, ServiceRole, ServiceRoleGrant, TokenScope
from environments.domain.access import Share as StoredShare
from environments.domain.commands import CreateEnvironment, MakePlan
from environments.domain.environment import EventType
from environments.domain.errors import Forbidden, NotFound, Unauthenticated, UnknownEnvironment, UnknownPlan
from environments.domain.lifecycle import DeploymentKind
from environments.domain.template import make_bundle
from environments.domain.tokens import secret_hash, secret_prefix, token_secret
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.roles import APPLIES
from environments.service.storage.tokens import TokenRecord
from environments.stores.database import Database
from tests.fakes.plans import NOW
from tests.fakes.service import WEB, FakeService, make_service
from tests.support.access.model import ALLOWED, ON_SERVICE, ROLES, Environment, Model, Share, Token
from tests.support.engine_harness import DATABASES
from tests.support.migrated import open_migrated
from tests.support.postgres import Postgres

LIVES = int(os.environ.get("CALVINVERSE_ACCESS_LIVES", "0"))
PEOPLE, GROUPS, CLAIMED = ("ann", "bob", "cyd"), ("red", "blue"), ("corp/x", "corp/y")
TEMPLATES = ("web", "kit")
VERBS = [verb for verbs in ALLOWED.values() for verb in verbs]

people = st.sampled_from(PEOPLE)
subjects = st.sampled_from([*PEOPLE, "everyone", *(f"group:{name}" for name in (*GROUPS, *CLAIMED))])
ends = st.sampled_from([None, None, 30, 90])
"""Minutes from now."""
indexes = st.integers(0, 30)


@dataclass
class Setting:
    """A service that all sequences share, each with people and environments of its own."""

    service: FakeService
    loop: asyncio.AbstractEventLoop
    now: datetime = NOW
    sequences: int = 0


@pytest.fixture(scope="module", params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    with ExitStack() as ending:
        folder = tmp_path_factory.mktemp("access")
        opened: Callable[[Path], Database] = open_migrated
        if request.param == "postgresql":
            postgres: Postgres = request.getfixturevalue("postgres")
            url = postgres.new_database()
            opened = lambda folder: open_migrated(folder, url, postgres.password_file)  # noqa: E731 - one expression
        loop = asyncio.new_event_loop()
        ending.callback(loop.close)
        made: list[Setting] = []
        service = make_service(folder, opened=opened, clock=lambda: made[0].now if made else NOW)
        ending.callback(service.database.close)
        made.append(Setting(service, loop))
        text = WEB.replace('name = "web"', 'name = "kit"')
        service.catalogue.push(service.admin, make_bundle({"template.toml": text.encode()}))
        yield made[0]
        loop.run_until_complete(loop.shutdown_default_executor())


@dataclass
class Stream:
    """An open stream, and what has come of it since the last look."""

    token: str
    task: "asyncio.Task[None]"
    heard: list[str]
    said: list[bytes]


class Access(RuleBasedStateMachine):
    """See the module."""

    at: Setting

    def __init__(self) -> None:
        super().__init__()
        self.at.sequences += 1
        self.number = f"{self.at.sequences:04}"
        self.service, self.database = self.at.service, self.at.service.database
        self.model = Model(self.at.now)
        self.names: dict[str, str] = {}
        """Environment → its name."""
        self.deployments: dict[str, str] = {}
        self.plans: dict[str, str] = {}
        """Plan → its environment."""
        self.secrets: dict[str, str] = {}
        """Token → its secret."""
        self.streams: list[Stream] = []
        self.hub = Hub(self.service.reading, self.service.feed, self.service.tokens)
        self.hub._position = self.service.reading.newest_event()
        self._numbers = itertools.count(1)

    def name(self, one: str) -> str:
        """The name or the subject in this sequence."""
        if one == "everyone":
            return one
        kind, colon, rest = one.rpartition(":")
        if "/" in rest:
            provider, _, value = rest.partition("/")
            return f"{kind}{colon}{provider}/{value}{self.number}"
        return f"{kind}{colon}{rest}{self.number}"

    def id(self, kind: str) -> str:
        """An id that nothing else has."""
        return f"{kind}-{self.number}-{next(self._numbers)}"

    def _until(self, minutes: int | None) -> datetime | None:
        return None if minutes is None else self.at.now + timedelta(minutes=minutes)

    def _one(self, among: Any, index: int) -> Any:
        found = sorted(among)
        return found[index % len(found)]

    # --- what happens ---------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        with self.database.write() as tx:
            for person in PEOPLE:
                tx.people.keep(self.name(person), PersonKind.PERSON, self.at.now, "test")
            for group in GROUPS:
                tx.groups.add(Group(name=self.name(group), created_at=self.at.now))
        for person in PEOPLE:
            self.new_token(person, None, None)
            self.new_environment(person, "web")

    @rule(person=people, template=st.sampled_from(TEMPLATES))
    def new_environment(self, person: str, template: str) -> None:
        if len(self.model.environments) >= 5:
            return
        owner, name = self.name(person), self.id("plum")
        asked = CreateEnvironment(name=name, template=template)
        made = self.service.requests.create(Principal(owner, "user", ""), asked)
        environment_id = made.environment.id
        self.names[environment_id] = name
        assert made.deployment_id is not None
        self.deployments[environment_id] = made.deployment_id
        self.model.environments[environment_id] = Environment(owner, template)
        with self.database.write() as tx:
            tx.environments.change(environment_id, outputs={"word": {"value": f"says {name}", "secret": False}})

    @rule(subject=subjects, role=st.sampled_from(ROLES), reveal=st.booleans(), end=ends, index=indexes)
    def share(self, subject: str, role: str, reveal: bool, end: int | None, index: int) -> None:
        environment_id, subject, until = self._one(self.names, index), self.name(subject), self._until(end)
        stored = StoredShare(
            id=self.id("share"),
            environment_id=environment_id,
            subject=subject,
            role=EnvironmentRole(role),
            reveal=reveal,
            until=until,
            by="test",
            at=self.at.now,
        )
        with self.database.write() as tx:
            tx.shares.put(stored)
        self.model.environments[environment_id].shares[subject] = Share(role, reveal, until)

    @rule(index=indexes, which=indexes)
    def unshare(self, index: int, which: int) -> None:
        environment_id = self._one(self.names, index)
        shares = self.model.environments[environment_id].shares
        if shares:
            subject = self._one(shares, which)
            with self.database.write() as tx:
                tx.shares.remove(environment_id, subject)
            del shares[subject]

    @rule(person=people, group=st.sampled_from(GROUPS))
    def join_or_leave(self, person: str, group: str) -> None:
        name, group = self.name(person), self.name(group)
        theirs = self.model.local.setdefault(name, set())
        with self.database.write() as tx:
            if group in theirs:
                tx.groups.leave(group, name)
            else:
                tx.groups.join(group, name, self.at.now)
        theirs ^= {group}

    @rule(person=people, values=st.sets(st.sampled_from(["x", "y"])))
    def sign_in(self, person: str, values: set[str]) -> None:
        name, said = self.name(person), {f"{value}{self.number}" for value in values}
        with self.database.write() as tx:
            tx.groups.set_claimed(name, "corp", said, self.at.now)
        self.model.claimed[name] = {f"corp/{value}" for value in said}

    @rule(subject=subjects, role=st.sampled_from(["auditor", "admin"]), end=ends)
    def grant(self, subject: str, role: str, end: int | None) -> None:
        if subject == "everyone":  # it would hold for later sequences too
            return
        subject, until = self.name(subject), self._until(end)
        with self.database.write() as tx:
            tx.service_roles.put(
                ServiceRoleGrant(subject=subject, role=ServiceRole(role), until=until, by="test", at=self.at.now)
            )
        self.model.grants[subject] = (role, until)

    @precondition(lambda self: self.model.grants)
    @rule(index=indexes)
    def take_away(self, index: int) -> None:
        subject = self._one(self.model.grants, index)
        with self.database.write() as tx:
            tx.service_roles.remove(subject)
        del self.model.grants[subject]

    @rule(person=people)
    def disable_or_enable(self, person: str) -> None:
        name = self.name(person)
        self.model.disabled ^= {name}
        with self.database.write() as tx:
            tx.people.change(name, disabled_at=self.at.now if name in self.model.disabled else None)

    @rule(index=indexes, to=st.sampled_from([*PEOPLE, "group:red", "group:corp/x"]))
    def transfer(self, index: int, to: str) -> None:
        environment_id = self._one(self.names, index)
        with self.database.write() as tx:
            tx.environments.change(environment_id, owner=self.name(to))
        self.model.environments[environment_id].owner = self.name(to)

    @rule(person=people, end=ends, limit=st.sampled_from([None, "web", "kit", "one", "read", "extend", "user"]))
    def new_token(self, person: str, end: int | None, limit: str | None) -> None:
        """A token of a person's, maybe with limits."""
        if len(self.secrets) >= 9:
            return
        owner, token_id = self.name(person), self.id("tok")
        scope = {
            "web": TokenScope(templates=("web",)),
            "kit": TokenScope(templates=("kit",)),
            "one": TokenScope(environments=tuple(sorted(self.names)[:1])),
            "read": TokenScope(actions=("environment:read",)),
            "extend": TokenScope(actions=("environment:extend", "token:create"), templates=("web", "kit")),
        }.get(limit or "")
        secret = token_secret(f"{self.at.sequences:04}{next(self._numbers):05}{'s' * 34}")
        most = "user" if limit == "user" else "own"
        record = TokenRecord(
            token_id,
            secret_prefix(secret),
            secret_hash(secret),
            owner,
            most,
            "",
            self.at.now,
            self._until(end),
            None,
            None,
        )
        with self.database.write() as tx:
            tx.tokens.add(record._replace(scope=scope))
        self.secrets[token_id] = secret
        limits: dict[str, Any] = (
            {} if scope is None else {name: value and set(value) for name, value in scope.model_dump().items()}
        )
        self.model.tokens[token_id] = Token(
            owner, "user" if most == "user" else "admin", expires=self._until(end), **limits
        )

    @rule(index=indexes, ttl=st.sampled_from([None, "20m", "2h"]))
    def token_of_a_token(self, index: int, ttl: str | None) -> None:
        """Made by the use case: never outlives or outranks the one that it is made with."""
        parent = self._one(self.secrets, index)
        if not self.model.good(parent) or len(self.secrets) >= 9:
            return
        principal = self.service.tokens.authenticate(self.secrets[parent])
        if not self.model.may_on_service(parent, "token:create"):
            with pytest.raises(Forbidden):
                self.service.tokens.create_token(principal, principal.owner, ttl=ttl)
            return
        made = self.service.tokens.create_token(principal, principal.owner, ttl=ttl)
        before, after = self.model.tokens[parent], made.token
        assert before.expires is None or (after.expires_at is not None and after.expires_at <= before.expires)
        self.secrets[after.id] = made.secret
        self.model.tokens[after.id] = Token(
            before.owner,
            "user",
            parent,
            after.expires_at,
            actions=before.actions,
            templates=before.templates,
            environments=before.environments,
        )

    @rule(index=indexes)
    def revoke(self, index: int) -> None:
        """Revokes a token; what came of it ends with it."""
        token_id = self._one(self.secrets, index)
        with self.database.write() as tx:
            tx.tokens.revoke(token_id, self.at.now)
        self.model.tokens[token_id].revoked = True

    @rule(minutes=st.sampled_from([1, 31, 61]))
    def time_passes(self, minutes: int) -> None:
        self.at.now += timedelta(minutes=minutes)
        self.model.now = self.at.now

    @rule(index=indexes)
    def open_stream(self, index: int) -> None:
        token = self._one(self.secrets, index)
        if len(self.streams) >= 4 or not self.model.good(token):
            return
        secret = self.secrets[token]
        reader = Reader(
            self.hub, self.service.reading, self.service.tokens, self.service.tokens.authenticate(secret), secret
        )
        said: list[bytes] = []

        async def listen() -> None:
            async for chunk in reader.stream(self.hub.position, None):
                said.append(chunk)

        async def begun() -> "asyncio.Task[None]":
            task = asyncio.ensure_future(listen())
            while not said and not task.done():  # noqa: ASYNC110 - nothing of the product tells
                await asyncio.sleep(0.001)
            return task

        self.streams.append(Stream(token, self.at.loop.run_until_complete(begun()), [], said))

    @rule(index=indexes, which=indexes)
    def plan(self, index: int, which: int) -> None:
        """Plans: by the use case, which refuses who may not."""
        self._do(self._one(self.secrets, index), self._one(self.names, which), "plan")

    @rule(index=indexes, which=indexes, verb=st.sampled_from(["extend", "observe", "reveal", "pin", "stop"]))
    def do(self, index: int, which: int, verb: str) -> None:
        self._do(self._one(self.secrets, index), self._one(self.names, which), verb)

    def _do(self, token: str, environment_id: str, verb: str) -> None:
        if not self.model.good(token):
            return
        principal, name = self.service.tokens.authenticate(self.secrets[token]), self.names[environment_id]
        service = self.service
        deeds: dict[str, Callable[[], Any]] = {
            "plan": lambda: service.planning.plan(principal, name, MakePlan(kind=DeploymentKind.DESTROY)),
            "extend": lambda: service.requests.extend(principal, name, ttl="6h"),
            "observe": lambda: service.drifting.observe(principal, name),
            "reveal": lambda: service.reading.outputs(principal, name, reveal=True),
            "pin": lambda: service.time_edits.pin(principal, name, "a test", ttl="2h"),
            "stop": lambda: service.queueing.cancel(principal, name),
        }
        allowed = self.model.may(token, "cancel" if verb == "stop" else verb, environment_id)
        if verb == "stop" and allowed:  # it would end
            return
        if allowed:
            done = deeds[verb]()
            if verb == "plan":
                self.plans[done.id] = environment_id
            return
        seen = environment_id in self.model.seen(token)
        with pytest.raises(Forbidden if seen else UnknownEnvironment) as refused:
            deeds[verb]()
        if not seen:
            assert environment_id not in str(refused.value)
            assert self.model.environments[environment_id].owner not in str(refused.value.details)

    # --- what has to hold -----------------------------------------------------------------------------------------

    @invariant()
    def everybody_sees_and_may_what_the_manual_says(self) -> None:
        for token, secret in self.secrets.items():
            if not self.model.good(token):
                with pytest.raises(Unauthenticated):
                    self.service.tokens.authenticate(secret)
                continue
            principal = self.service.tokens.authenticate(secret)
            assert principal.role == self.model.service_role(token)
            self._check_lists(principal, self.model.seen(token))
            for environment_id in self.names:
                self._check_one(principal, environment_id, seen=environment_id in self.model.seen(token))
            self._check_actions(principal, token)

    def _check_lists(self, principal: Principal, seen: set[str]) -> None:
        reading, mine = self.service.reading, self.names.keys()
        assert {one.id for one in reading.listing(principal)[0]} & mine == seen
        paged, before = set(), None
        while page := reading.listing(principal, limit=3, before=before)[0]:
            paged |= {one.id for one in page}
            before = page[-1].id
        assert paged & mine == seen
        events = reading.events_for(principal, None, after=0, limit=100_000)
        assert {event.environment_id for event in events} & mine == seen
        with self.database.read() as tx:
            assert tx.environments.visible(principal.sight, mine) == seen
            names = set(tx.environments.names(sight=principal.sight, limit=100_000))
        assert {each for each, name in self.names.items() if name in names} == seen
        near = f"{min(self.names.values())}x"
        with pytest.raises(UnknownEnvironment) as unknown:
            reading.environment(principal, near)
        for each, name in self.names.items():
            assert each in seen or repr(name) not in unknown.value.message

    def _check_one(self, principal: Principal, environment_id: str, *, seen: bool) -> None:
        service, name, deployment = self.service, self.names[environment_id], self.deployments[environment_id]
        asks: list[Callable[[], Any]] = [
            lambda: service.reading.environment(principal, name),
            lambda: service.reading.environment(principal, f"id:{environment_id}"),
            lambda: service.reading.outputs(principal, name),
            lambda: service.reading.deployment(principal, deployment),
            lambda: service.queueing.why(principal, deployment),
            *(
                (lambda plan=plan: service.planning.show(principal, plan))
                for plan, its in self.plans.items()
                if its == environment_id
            ),
        ]
        for ask in asks:
            if seen:
                ask()
                continue
            with pytest.raises((UnknownEnvironment, UnknownPlan, NotFound)) as refused:
                ask()
            assert refused.value.code != "forbidden"

    def _check_actions(self, principal: Principal, token: str) -> None:
        with self.database.read() as tx:
            for environment_id, found in self.model.environments.items():
                environment = tx.environments.get(environment_id)
                assert environment is not None
                for verb in VERBS:
                    action = Action(f"environment:{verb}")
                    becomes = self.service.catalogue.bundle(found.template) if action in APPLIES else None
                    try:
                        may(tx, principal, action, environment, becomes=becomes)
                        allowed = True
                    except (Forbidden, UnknownEnvironment):
                        allowed = False
                    wanted = self.model.may(token, verb, environment_id)
                    assert allowed == wanted, f"{verb}: {principal} {found}"
        for name in ON_SERVICE:
            try:
                check_service(principal, Action(name))
                allowed = True
            except Forbidden:
                allowed = False
            assert allowed == self.model.may_on_service(token, name), (name, principal)

    @invariant()
    def open_streams_say_what_their_readers_see(self) -> None:
        """Something happens in every environment; who has a stream open hears of those that they see now."""
        if not self.streams:
            return
        self.hub._look_at_subscribers(self.at.loop)
        mark = self.id("mark")
        with self.database.write() as tx:
            for environment_id in self.names:
                tx.events.add(EventType.ENVIRONMENT_STATE, environment_id, self.at.now, message=mark)
        events = self.service.reading.shared_events(after=self.hub.position, limit=10_000)

        async def heard() -> None:
            await asyncio.sleep(0)
            self.hub._pass_on(list(events))
            for _ in range(30):
                await asyncio.sleep(0)

        for stream in self.streams:
            stream.said.clear()
        self.at.loop.run_until_complete(heard())
        for stream in list(self.streams):
            text = b"".join(stream.said).decode()
            if not self.model.good(stream.token):
                assert mark not in text
                assert stream.task.done(), "the stream of a token that has ended is open"
                self.streams.remove(stream)
                continue
            lines = [line for line in text.splitlines() if mark in line]
            told = {each for each in self.names if any(each in line for line in lines)}
            assert told == self.model.seen(stream.token), stream.token

    def teardown(self) -> None:
        for stream in self.streams:
            stream.task.cancel()
            self.at.loop.run_until_complete(asyncio.wait([stream.task]))
        self.streams = []
        # What everyone sees would be seen in later sequences, and slow them down.
        with self.database.write() as tx:
            for environment_id in self.names:
                tx.shares.remove(environment_id, "everyone")


def test_everybody_sees_and_does_what_the_manual_says(setting: Setting) -> None:
    few = 2 if setting.service.database.shared else 5

    class Here(Access):
        at = setting

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=LIVES or few,
            stateful_step_count=30 if LIVES else 20,
            deadline=None,
            database=None,
            derandomize=not LIVES,
            phases=(Phase.generate, Phase.shrink) if LIVES else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
