"""The scheduler on a database in memory, on machines whose clocks and memory a test plays with."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from environments.domain.holds import HoldLimits
from environments.engine.clock_check import ClockCheck, Told, Witness
from environments.engine.scheduler import Retention, Scheduler
from environments.service.authorization import Principal
from environments.service.channels import NoChannels
from environments.service.expiry import Expiry
from environments.service.holding import Holding
from environments.service.retiming import Retiming
from environments.service.warnings import Warnings
from tests.support.decisions.flaky import FlakyStorage
from tests.support.decisions.memory import MemoryDatabase
from tests.support.decisions.oracle import TOLERANCE
from tests.support.decisions.parts import Machine

ADMIN = Principal("ada", "admin", "tok-ada")
BEGIN = datetime(2027, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)


@dataclass
class Running:
    """A service with two machines. `remote`: its database and Nomad are on other machines. Moments are true ones."""

    remote: bool = True
    limits: HoldLimits = field(default_factory=HoldLimits)
    checks_clock: bool = True

    def __post_init__(self) -> None:
        self.now = BEGIN
        self.database = MemoryDatabase()
        self.storage = FlakyStorage(self.database)
        self.numbers = itertools.count(1)
        self.boots = itertools.count(1)
        self.machines = [self._machine("one"), self._machine("two")]
        self.leader = self.machines[0]
        self.nomad_ahead = self.server_ahead = timedelta(0)
        self.nomad_answers = True
        self.identity = "first"
        self.restored_at: datetime | None = None
        self.zones = "2026a"
        self.holding = Holding(self.database, self.clock)
        self.rebooted_while_held = False
        self.restart()

    def clock(self) -> datetime:
        """The wall clock of the leader's machine."""
        return self.now + self.leader.ahead

    def restart(self) -> None:
        """A new process of the leader."""
        check = ClockCheck(
            self.storage,
            self.clock,
            witnesses=[
                Witness(
                    "Nomad",
                    lambda: self._told(self.nomad_ahead) if self.nomad_answers else None,
                    lambda: self.remote,
                ),
                Witness("the database", lambda: self._told(self.server_ahead), lambda: self.remote),
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
        self.rebooted_while_held |= self._clocks_are_held()
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
        """Whether all clocks are right and can be known to be, and nothing was lost of late."""
        clocks = (self.leader.ahead, *((self.nomad_ahead, self.server_ahead) if self.remote else ()))
        lost = self.restored_at is not None and self.now - self.restored_at < timedelta(hours=3)
        self.rebooted_while_held &= self._clocks_are_held()
        right = self.nomad_answers and not self.rebooted_while_held
        return right and all(abs(ahead) <= TOLERANCE for ahead in clocks) and not lost and not self.storage.fault

    def held(self) -> dict[str, str]:
        """Held environments, each with its hold."""
        found = self.rows(
            "SELECT id, hold_id FROM environments WHERE hold_id IS NOT NULL AND NOT hold_released AND state = 'ready'"
        )
        return dict(found)

    def rows(self, query: str, **values: Any) -> list[Any]:
        """What the database has."""
        plain = {k: v.replace(tzinfo=None).isoformat(" ") if isinstance(v, datetime) else v for k, v in values.items()}
        with self.database.read() as tx:
            return list(tx._connection.execute(text(query), plain))

    def _clocks_are_held(self) -> bool:
        return bool(self.rows("SELECT id FROM holds WHERE kind = 'clock' AND decided_at IS NULL"))

    def _told(self, ahead: timedelta) -> Told | None:
        return Told(self.now + ahead, True) if self.remote else None

    def _machine(self, name: str) -> Machine:
        return Machine(name, f"boot-{next(self.boots)}", self.now - timedelta(days=1))
