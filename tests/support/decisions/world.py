"""A running service, what people ask of it, and what an oracle says of what it does."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from environments.domain.environment import Environment
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.domain.timing import Because, Scope, Source, TimedAction
from environments.service.checking import DirectChecks
from environments.service.deadlines import read_template, timed
from environments.service.policies import Policies
from environments.service.requests import Requests
from environments.service.retiming import Retiming
from environments.service.time_edits import TimeEdits
from tests.support.decisions.oracle import TOLERANCE, Oracle
from tests.support.decisions.parts import PLAIN, RULED, Copy, NoSealer
from tests.support.decisions.running import ADMIN, Running
from tests.support.decisions.wishes import Rule, Wish


@dataclass
class World(Running):
    """See `Running`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.oracle = Oracle()
        self.seen = 0
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
        self.edits = TimeEdits(self.database, self.clock)
        self.policies = Policies(self.database, self.clock, Retiming(self.database, self.clock, lambda: self.zones))

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
        before = self.rows("SELECT id FROM environments WHERE state = 'ready' AND deadline <= :now", now=self.clock())
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
        known = self.rows("SELECT id FROM environments WHERE state = 'ready'")
        # By what had been said, for a deadline in the copy may wait to be computed again.
        stands = {id: self.wishes[id].until(self.rules.values()) for (id,) in known}
        gone = {id for (id,) in self.rows("SELECT id FROM environments WHERE state <> 'ready'")}
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

    def destroyed_by_the_clock(self) -> dict[str, datetime]:
        """When the clock asked for the destroy of an environment, by its id."""
        found = self.rows("SELECT environment_id, requested_at FROM deployments WHERE kind = 'destroy' AND by_machine")
        return {id: datetime.fromisoformat(at).replace(tzinfo=UTC) for id, at in found}

    def destroyed_more_than_once(self) -> list[str]:
        """Ids of environments with more than one destroy."""
        many = (
            "SELECT environment_id FROM deployments WHERE kind = 'destroy' GROUP BY environment_id HAVING count(*) > 1"
        )
        return [id for (id,) in self.rows(many)]

    def _judge(self) -> None:
        found = self.rows("SELECT id, hold_released FROM environments WHERE state = 'destroying'")
        for id, released in found:
            if self.oracle.lives[id].destroyed_at is None:
                self.oracle.say(self.now, f"{id} is destroyed")
                self.oracle.was_destroyed(id, self.now, released=bool(released))
        events = self.rows(
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
