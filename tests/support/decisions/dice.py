"""Plays with a world by seeded dice until so many decisions were made; an admin looks at what is held."""

import random
from collections.abc import Callable, Mapping
from datetime import timedelta

from environments.domain.holds import HoldLimits
from environments.domain.timing import Scope
from tests.support.decisions.flaky import FAULTS
from tests.support.decisions.oracle import TOLERANCE, Oracle
from tests.support.decisions.parts import Copy
from tests.support.decisions.running import ADMIN
from tests.support.decisions.world import World

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAMES = [f"demo-{number}" for number in range(150)]
OWNERS = ("grace", "linus", "margaret")


class Dice:
    """One world, played with by one seed."""

    def __init__(
        self,
        seed: int,
        limits: HoldLimits | None = None,
        *,
        checks_clock: bool = True,
        often: Mapping[str, int] | None = None,
    ) -> None:
        """`often`: how many times as often as otherwise a play comes, by the name of its method."""
        self._dice = random.Random(seed)
        self.world = World(self._dice.random() < 0.7, limits or HoldLimits(), checks_clock)
        self._copies: list[tuple[int, Copy]] = []
        self._steps = 0
        self._trouble_until = self.world.now
        for _ in range(60):
            self._create()
        plays: list[tuple[int, Callable[[], object]]] = [
            (30, self._create),
            (12, self._extend),
            (2, self._destroy),
            (1, self._edit),
            (1, self._set_policy),
            (1, self._remove_policy),
            (3, self._pin),
            (1, self._other_zones),
            (1, self._jump),
            (1, self._nudge),
            (1, self._reboot),
            (2, self.world.restart),
            (1, self._take_over),
            (1, self._away),
            (1, self._other_clock),
            (1, self._silence),
            (2, self._copy),
            (1, self._restore),
            (3, self._fault),
            (1, self._scribble),
            (60, lambda: None),
        ]
        self._plays = [(weight * (often or {}).get(play.__name__, 1), play) for weight, play in plays]

    def play(self, decisions: int) -> Oracle:
        """Plays until so many decisions were made. Raises `WrongDecision`."""
        weights, plays = zip(*self._plays, strict=True)
        while self.world.oracle.decisions < decisions:
            self.step(self._dice.choices(plays, weights)[0])
        return self.world.oracle

    def step(self, play: Callable[[], object]) -> None:
        """Some minutes, something that happens, and a round of the scheduler."""
        world, dice = self.world, self._dice
        self._steps += 1
        world.now += timedelta(seconds=dice.randint(60, 240))
        play()
        if dice.random() < 0.05:
            self._admin()
        if dice.random() < 0.2:
            world.nomad_answers = True
        world.tick()
        world.storage.fault = ""
        if dice.random() < 0.8:
            world.work()

    def _some(self) -> str:
        return self._dice.choice(self.world.oracle.living() or [self._create()])

    def _create(self) -> str:
        world, dice = self.world, self._dice
        taken = {name for (name,) in world.rows("SELECT name FROM environments WHERE destroyed_at IS NULL")}
        free = [name for name in NAMES if name not in taken]
        if not free or not world.calm:
            return ""
        lifetime = dice.choice([2 * HOUR, 5 * HOUR, DAY, 3 * DAY, 7 * DAY]) + MINUTE * dice.random()
        owner = dice.choice(OWNERS)
        return world.create(dice.choice(free[:10]), lifetime, ruled=dice.random() < 0.2, owner=owner)

    def _extend(self) -> None:
        id = self._some()
        if id and id not in self.world.held() and self.world.calm:
            self.world.extend(id, self.world.now + self._dice.choice([2 * HOUR, DAY, 3 * DAY]))

    def _destroy(self) -> None:
        if id := self._some():
            self.world.destroy(id)

    def _edit(self) -> None:
        world, dice = self.world, self._dice
        plain = [id for (id,) in world.rows("SELECT id FROM environments WHERE state = 'ready' AND template = 'plain'")]
        share = dice.choice([0.05, 0.3, 1.0])
        ids = [id for id in plain if dice.random() < share]
        by = dice.choice([-HOUR, timedelta(0), 2 * MINUTE, 30 * MINUTE, 5 * HOUR])
        world.oracle.say(world.now, f"an edit moves {len(ids)} of {len(plain)} to {by} from now")
        world.edit(ids, world.now + by)

    def _set_policy(self) -> None:
        world, dice = self.world, self._dice
        name = dice.choice([*OWNERS, "plain"])
        by = dice.choice([MINUTE, 4 * MINUTE, 30 * MINUTE, 5 * HOUR, DAY])
        if world.calm:
            at = (world.clock() + by + MINUTE).replace(second=0, microsecond=0)
            world.oracle.say(world.now, f"a policy ends {name} at {at:%d %H:%M}")
            world.set_policy(_scope(name), name, at)

    def _remove_policy(self) -> None:
        if self.world.rules and self.world.calm:
            name = self._dice.choice(sorted(self.world.rules))
            self.world.oracle.say(self.world.now, f"the policy for {name} is removed")
            self.world.remove_policy(_scope(name), name)

    def _pin(self) -> None:
        id = self._some()
        if id and self.world.calm:
            self.world.pin(id, self.world.now + self._dice.choice([2 * HOUR, DAY, 3 * DAY]))

    def _other_zones(self) -> None:
        self.world.zones = f"{self.world.zones}+"
        self.world.restart()

    def _jump(self) -> None:
        by = self._dice.choice([-3 * DAY, -HOUR, HOUR, DAY, 9 * DAY, 400 * DAY])
        self.world.oracle.say(self.world.now, f"the clock of {self.world.leader.name} jumps by {by}")
        self.world.leader.ahead += by

    def _nudge(self) -> None:
        if abs(self.world.leader.ahead) < MINUTE:
            self.world.leader.ahead += self._dice.choice([-1, 1]) * MINUTE

    def _reboot(self) -> None:
        # Without another machine nobody can tell that a clock is wrong after a start.
        wrong = self.world.remote and self._dice.random() < 0.5
        self.world.reboot(self._dice.choice([-DAY, DAY, 30 * DAY]) if wrong else timedelta(0))

    def _take_over(self) -> None:
        if self.world.remote:
            self.world.take_over()

    def _away(self) -> None:
        self.world.now += self._dice.choice([HOUR, 8 * HOUR, 3 * DAY])
        self.world.oracle.say(self.world.now, "the service was away")
        for life in self.world.oracle.lives.values():
            life.calm_since = None
        self.world.restart()

    def _other_clock(self) -> None:
        # By what the machine's own clock never is: if all clocks are wrong alike, nobody can tell.
        by = self._dice.choice([-37 * HOUR, 11 * HOUR + 20 * MINUTE, 101 * DAY])
        first = self._dice.random() < 0.5
        self.world.nomad_ahead, self.world.server_ahead = (by, timedelta(0)) if first else (timedelta(0), by)

    def _silence(self) -> None:
        self.world.nomad_answers = False
        if self._dice.random() < 0.5:
            self.world.restart()

    def _copy(self) -> None:
        self._copies = [*self._copies[-2:], (self._steps, self.world.copy())]

    def _restore(self) -> None:
        # A copy that is as old as the last mark can't be told from what it was made of.
        old = [copied for step, copied in self._copies if step < self._steps - 3]
        if old and self.world.calm:
            self.world.oracle.say(self.world.now, "the database is restored")
            self.world.restore(self._dice.choice(old))
            self._copies = []

    def _fault(self) -> None:
        self.world.storage.fault = self._dice.choice(FAULTS)

    def _scribble(self) -> None:
        if id := self._some():
            self.world.oracle.say(self.world.now, f"something writes into {id}")
            self.world.scribble(id, self.world.now - HOUR)

    def _admin(self) -> None:
        """Sets the clocks, then looks at each hold: releases what is really over, and keeps the rest."""
        world = self.world
        right = abs(world.leader.ahead) <= TOLERANCE
        for details in world.holding.list(ADMIN):
            ids = [id for id, hold in world.held().items() if hold == details.hold.id]
            over = all(world.oracle.lives[id].wanted_until <= world.now for id in ids)
            if details.hold.kind.value == "clock":
                if not right:
                    world.leader.ahead = timedelta(0)
                elif self._dice.random() < 0.3:
                    world.holding.release(ADMIN, details.hold.id, "our clock is right")
                else:
                    world.nomad_ahead = world.server_ahead = timedelta(0)
                    world.nomad_answers = True
            elif not right:
                continue
            elif over and self._dice.random() < 0.7:
                world.oracle.say(world.now, f"an admin releases {details.hold.kind.value} of {len(ids)}")
                world.holding.release(ADMIN, details.hold.id, "they are over")
            else:
                world.oracle.say(world.now, f"an admin cancels {details.hold.kind.value} of {len(ids)}")
                world.cancel(details.hold.id)


def _scope(name: str) -> Scope:
    return Scope.OWNER if name in OWNERS else Scope.TEMPLATE
