"""The product's deciding parts on a database in memory, on machines whose clocks and memory a test plays with."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from environments.domain.environment import Environment
from environments.domain.errors import CalvinverseError
from environments.domain.holds import HoldLimits
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.domain.timing import Because, Scope, Source, TimedAction
from environments.engine.clock_check import ClockCheck, Told, Witness
from environments.engine.scheduler import Retention, Scheduler
from environments.service.authorization import Principal
from environments.service.channels import NoChannels
from environments.service.checking import DirectChecks
from environments.service.deadlines import read_template, timed
from environments.service.expiry import Expiry
from environments.service.holding import Holding
from environments.service.policies import Policies
from environments.service.requests import Requests
from environments.service.retiming import Retiming
from environments.service.time_edits import TimeEdits
from environments.service.warnings import Warnings
from tests.support.decisions.flaky import FlakyStorage
from tests.support.decisions.memory import MemoryDatabase
from tests.support.decisions.oracle import TOLERANCE, Oracle
from tests.support.decisions.parts import PLAIN, RULED, Copy, Machine, NoSealer
from tests.support.decisions.wishes import Rule, Wish

ADMIN = Principal("ada", "admin", "tok-ada")
BEGIN = datetime(2027, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)


@dataclass
class World:
    """A service with two machines. `remote`: its database and Nomad are on other machines. Moments are true ones."""

    remote: bool = True
    limits: HoldLimits = field(default_factory=HoldLimits)
    checks_clock: bool = True

    def __post_init__(self) -> None:
        self.now = BEGIN
        self.oracle = Oracle()
        self.database = MemoryDatabase()
        self.storage = FlakyStorage(self.database)
        self.numbers = itertools.count(1)
        self.boots = itertools.count(1)
        self.machines = [self._machine("one"), self._machine("two")]
        self.leader = self.machines[0]
        self.nomad_ahead = self.server_ahead = timedelta(0)
        self.identity = "first"
        self.seen = 0
        self.restored_at: datetime | None = None
        self.zones = "2026a"
        self.wishes: dict[str, Wish] = {}
        self.rules: dict[str, Rule] = {}
        self.bundles = {}
        with self.database.write() as tx:
            for made in (PLAIN, RULED):
                bundle = make_bundle({"template.toml": made.encode()})
                name = bundle.template().name
                tx.templates.push(name, bundle, "ada", self.now)
                self.bundles[name] = bundle.digest
        self.requests = Requests(self.database, NoSealer(), self.clock, self.new_id, DirectChecks({}))
        self.holding = Holding(self.database, self.clock)
        self.edits = TimeEdits(self.database, self.clock)
        self.policies = Policies(self.database, self.clock, Retiming(self.database, self.clock, lambda: self.zones))
        self.restart()

    # --- clocks and processes

    def clock(self) -> datetime:
        """The wall clock of the leader's machine."""
        return self.now + self.leader.ahead

    def restart(self) -> None:
        """A new process of the leader."""
        check = ClockCheck(
            self.storage,
            self.clock,
            witnesses=[
                Witness("Nomad", lambda: Told(self.now + self.nomad_ahead, True) if self.remote else None),
                Witness("the database", lambda: Told(self.now + self.server_ahead, True) if self.remote else None),
            ],
            steady=lambda: (self.now - self.leader.booted_at).total_seconds(),
            boot=self.leader.boot,
            identity=lambda: self.identity if self.remote else "",
            beats=self.leader,
            later=lambda run: run(),
        )
        warnings = Warnings(self.storage, self.clock, self.new_id, NoChannels(), lambda *_: "")
        expiry = Expiry(self.storage, self.clock, self.new_id, self.limits)
        forever = Retention(*[timedelta(days=3000)] * 3)
        used = check if self.checks_clock else None
        retiming = Retiming(self.database, self.clock, lambda: self.zones)
        parts = (self.storage, expiry, warnings, self.clock, forever)
        self.scheduler = Scheduler(*parts, retiming=retiming, clock_check=used)

    def reboot(self, ahead: timedelta) -> None:
        """The leader's machine starts again, with that clock."""
        self.leader.boot, self.leader.booted_at, self.leader.ahead = f"boot-{next(self.boots)}", self.now, ahead
        self.restart()

    def take_over(self) -> None:
        """The other machine leads."""
        self.leader = self.machines[1 - self.machines.index(self.leader)]
        self.restart()

    def new_id(self, kind: str) -> str:
        """Never the same again, also after a restored database."""
        return f"{kind}-{next(self.numbers)}"

    @property
    def calm(self) -> bool:
        """Whether all clocks are right and nothing was lost of late."""
        clocks = (self.leader.ahead, *((self.nomad_ahead, self.server_ahead) if self.remote else ()))
        lost = self.restored_at is not None and self.now - self.restored_at < timedelta(hours=3)
        return all(abs(ahead) <= TOLERANCE for ahead in clocks) and not lost and not self.storage.fault

    # --- people

    def create(self, name: str, lifetime: timedelta, *, ruled: bool = False, owner: str = "grace") -> str:
        """Somebody creates an environment for a lifetime; with `ruled` it also ends at 19:00 UTC."""
        template, id, now = "ruled" if ruled else "plain", self.new_id("env"), self.clock()
        environment = Environment(
            id=id,
            name=name,
            owner=owner,
            template=template,
            template_version="1",
            bundle=self.bundles[template],
            state=State.READY,
            state_since=now,
            created_at=now,
            set_deadline=now + lifetime,
            set_because=Because(source=Source.LIFETIME),
        )
        with self.database.write() as tx:
            known = environment.model_copy(update=timed(tx, environment, read_template(tx, environment), now))
            tx.environments.add(known)
        wish = self.wishes[id] = Wish(owner, template, now + lifetime, now, evening=ruled)
        self.oracle.born(id, name, wish.until(self.rules.values()))
        return id

    def extend(self, id: str, until: datetime) -> bool:
        """Its owner wants it until then; whether the service took that."""
        try:
            self.requests.extend(ADMIN, f"id:{id}", until=until)
        except CalvinverseError:
            return False
        self.oracle.lives[id].lost = False
        self._says(id, chosen=until, counts_from=until)
        return True

    def pin(self, id: str, until: datetime) -> bool:
        """Its owner pins it until then; whether the service took that."""
        if (before := self.wishes[id].pinned_until) is not None and before > until:
            return False
        try:
            self.edits.pin(ADMIN, f"id:{id}", "still needed", until=until)
        except CalvinverseError:
            return False
        self._says(id, pinned_until=until)
        return True

    def set_policy(self, scope: Scope, name: str, at: datetime) -> None:
        """An admin ends all environments of an owner or a template at that whole minute, in place of an earlier one."""
        rule = f"{at.minute} {at.hour} {at.day} {at.month} * UTC"
        self.policies.set(ADMIN, scope, name, [(TimedAction.DESTROY, rule)], None)
        known = self.rules.get(name)
        if known is None or known.at != at:
            self.rules[name] = Rule(name, at, self.clock())
        self._say_again(name)

    def remove_policy(self, scope: Scope, name: str) -> None:
        """An admin removes the policy."""
        self.policies.remove(ADMIN, scope, name)
        del self.rules[name]
        self._say_again(name)

    def cancel(self, hold: str) -> None:
        """An admin keeps for a day what a hold holds."""
        ids = [id for id, held in self.held().items() if held == hold]
        self.holding.cancel(ADMIN, hold, "they are needed")
        until = self.clock() + timedelta(days=1)
        for id in ids:
            wish = self.wishes[id]
            if wish.until(self.rules.values()) < until:
                self._says(id, pinned_until=max(until, wish.pinned_until or until))
            else:
                self._says(id)

    def _say_again(self, name: str) -> None:
        for id in self.oracle.living():
            if name in (self.wishes[id].owner, self.wishes[id].template):
                self._says(id)

    def _says(self, id: str, **changes: Any) -> None:
        wish = self.wishes[id] = replace(self.wishes[id], **changes)
        life, until = self.oracle.lives[id], wish.until(self.rules.values())
        lost = life.lost and life.wanted_until > until
        self.oracle.wants(id, life.wanted_until if lost else until)

    def edit(self, ids: Sequence[str], until: datetime) -> None:
        """Something sets the lifetimes of many."""
        with self.database.write() as tx:
            for id in ids:
                environment = tx.environments.get(id)
                assert environment is not None
                because = Because(source=Source.OWNER_POLICY, by="ada")
                changes = timed(
                    tx,
                    environment,
                    read_template(tx, environment),
                    self.clock(),
                    set_deadline=until,
                    set_because=because,
                )
                tx.environments.change(id, **changes)
                self.oracle.lives[id].lost = False
                self._says(id, chosen=until)

    def destroy(self, id: str) -> None:
        """A person destroys it now."""
        self.requests.destroy(ADMIN, f"id:{id}")
        self.oracle.lives[id].destroyed_at = self.now

    def scribble(self, id: str, deadline: datetime) -> None:
        """Something writes a deadline that nobody wanted."""
        with self.database.write() as tx:
            tx.environments.change(id, deadline=deadline)
        self.oracle.lives[id].scribbled = True

    # --- what the service does

    def tick(self) -> None:
        """The scheduler's round, and the judgement of all that it did."""
        before = self._rows("SELECT id FROM environments WHERE state = 'ready' AND deadline <= :now", now=self.clock())
        self.oracle.decisions += len(self.oracle.living())
        self.oracle.tempting += len(before)
        try:
            for _ in range(40):
                if not self.scheduler.tick():
                    break
        except CalvinverseError as error:
            self.oracle.say(self.now, f"tick failed: {error.message}")
        self._judge()

    def work(self) -> None:
        """Workers carry out every queued destroy."""
        with self.database.write() as tx:
            run = tx._connection.execute
            run(text("UPDATE deployments SET state = 'succeeded' WHERE state = 'queued'"))
            run(
                text(
                    "UPDATE environments SET state = 'destroyed', destroyed_at = state_since WHERE state = 'destroying'"
                )
            )

    def copy(self) -> Copy:
        """A copy of the database, and what had been said by then."""
        return Copy(self.database.copy(), dict(self.wishes), dict(self.rules))

    def restore(self, copied: Copy) -> None:
        """The database becomes what a copy says, and the service starts again."""
        self.database.restore(copied.database)
        self.wishes |= copied.wishes
        self.rules = dict(copied.rules)
        self.identity = f"restored {next(self.numbers)}"
        self.restored_at = self.now
        known = self._rows("SELECT id, deadline FROM environments WHERE state = 'ready'")
        stands = {id: datetime.fromisoformat(deadline).replace(tzinfo=UTC) for id, deadline in known}
        gone = {id for (id,) in self._rows("SELECT id FROM environments WHERE state <> 'ready'")}
        for id, life in self.oracle.lives.items():
            life.forgotten = id not in stands and id not in gone
            if id in stands:  # what made it end earlier is lost
                life.lost = life.destroyed_at is None and life.wanted_until > stands[id]
                life.destroyed_at, life.wanted_until = None, max(life.wanted_until, stands[id])
            elif id in gone and life.destroyed_at is None:
                life.destroyed_at = self.now
        self.oracle.distrusts_warnings()
        self.seen = 0
        self.restart()

    def held(self) -> dict[str, str]:
        """Held environments, each with its hold."""
        found = self._rows(
            "SELECT id, hold_id FROM environments WHERE hold_id IS NOT NULL AND NOT hold_released AND state = 'ready'"
        )
        return dict(found)

    def destroyed_by_the_clock(self) -> dict[str, datetime]:
        """When the clock asked for the destroy of an environment, by its id."""
        found = self._rows("SELECT environment_id, requested_at FROM deployments WHERE kind = 'destroy' AND by_machine")
        return {id: datetime.fromisoformat(at).replace(tzinfo=UTC) for id, at in found}

    def destroyed_more_than_once(self) -> list[str]:
        """Ids of environments with more than one destroy."""
        many = (
            "SELECT environment_id FROM deployments WHERE kind = 'destroy' GROUP BY environment_id HAVING count(*) > 1"
        )
        return [id for (id,) in self._rows(many)]

    def _judge(self) -> None:
        found = self._rows("SELECT id, hold_released FROM environments WHERE state = 'destroying'")
        for id, released in found:
            if self.oracle.lives[id].destroyed_at is None:
                self.oracle.say(self.now, f"{id} is destroyed")
                self.oracle.was_destroyed(id, self.now, released=bool(released))
        events = self._rows(
            "SELECT id, type, environment_id, data, message FROM events WHERE id > :seen AND type IN "
            "('environment.warning', 'environment.held') ORDER BY id",
            seen=self.seen,
        )
        for event, type, id, data, message in events:
            self.seen = event
            deadline = datetime.fromisoformat(json.loads(data)["deadline"])
            if type == "environment.warning":
                self.oracle.warned(id, deadline, self.now)
                wanted = self.oracle.lives[id].wanted_until
                if wanted - deadline > TOLERANCE:
                    self.extend(id, wanted)  # "no, I still need it"
            elif not self.storage.fault:
                self.oracle.say(self.now, f"{id} is held: {message.partition('decides: ')[2][:100]}")
                self.oracle.was_held(id, self.now, calm=self.calm)
        self.oracle.look(self.now, set(self.held()), calm=self.calm)

    def _rows(self, query: str, **values: Any) -> list[Any]:
        plain = {k: v.replace(tzinfo=None).isoformat(" ") if isinstance(v, datetime) else v for k, v in values.items()}
        with self.database.read() as tx:
            return list(tx._connection.execute(text(query), plain))

    def _machine(self, name: str) -> Machine:
        return Machine(name, f"boot-{next(self.boots)}", self.now - timedelta(days=1))
