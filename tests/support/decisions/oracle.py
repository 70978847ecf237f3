"""What is right, by what people said and what time it really is. Imports nothing that decides in the product."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

TOLERANCE = timedelta(minutes=5)
"""By how much a clock may be wrong without anybody noticing."""

EARLY = timedelta(minutes=2, seconds=30)
"""A warning so long before the deadline may count as early: five minutes by a clock that is wrong by half of that."""

SURELY_EARLY = timedelta(minutes=8)
"""A warning so long before the deadline must count as early."""

AT_ONCE = timedelta(minutes=60)
MOST, SHARE = 10, 0.2
"""More environments than both, without an early warning, are too many at once unless an admin said so."""

PATIENCE = timedelta(minutes=30)
"""So long a due environment may wait while all is well."""


class WrongDecision(AssertionError):
    """Somebody's environment was destroyed that should not have been, or the other way round."""


@dataclass
class Life:
    """One environment as its owner knows it: until when it is wanted, and of which deadlines a warning came when."""

    name: str
    wanted_until: datetime
    warned: dict[datetime, datetime] = field(default_factory=dict)
    destroyed_at: datetime | None = None
    forgotten: bool = False
    """A restored database doesn't know it any more."""
    scribbled: bool = False
    """Something wrote a deadline of it that nobody wants."""
    lost: bool = False
    """A restored database doesn't know that it is wanted for longer."""
    calm_since: datetime | None = None
    """Since when it is due while all is well."""


@dataclass
class Oracle:
    """Judges what becomes of environments, by id."""

    lives: dict[str, Life] = field(default_factory=dict)
    sudden: list[datetime] = field(default_factory=list)
    """When environments were destroyed without an early warning and without an admin's word."""
    decisions: int = 0
    tempting: int = 0
    destroyed: int = 0
    trace: list[str] = field(default_factory=list)

    def living(self) -> list[str]:
        """Ids of those that stand."""
        return [id for id, life in self.lives.items() if life.destroyed_at is None and not life.forgotten]

    def say(self, at: datetime, text: str) -> None:
        """Keeps what happened, for whoever reads a failure."""
        self.trace.append(f"{at:%d %H:%M:%S} {text}")
        del self.trace[:-60]

    def born(self, id: str, name: str, until: datetime) -> None:
        """Somebody created an environment."""
        if any(life.name == name for other in self.living() if (life := self.lives[other])):
            raise AssertionError(f"two living environments are named {name}")
        self.lives[id] = Life(name, until)

    def wants(self, id: str, until: datetime) -> None:
        """Somebody who may said until when an environment is wanted."""
        life = self.lives[id]
        life.wanted_until, life.calm_since, life.scribbled = until, None, False

    def warned(self, id: str, deadline: datetime, at: datetime) -> None:
        """The owner got a warning."""
        self.lives[id].warned.setdefault(deadline, at)

    def distrusts_warnings(self) -> None:
        """Warnings before a loss of data say nothing of what was lost."""
        for life in self.lives.values():
            life.warned.clear()

    def was_destroyed(self, id: str, at: datetime, *, released: bool) -> None:
        """The clock destroyed it, at a true moment. Raises `WrongDecision`."""
        life = self.lives[id]
        self.destroyed += 1
        if life.destroyed_at is not None:
            self._wrong(f"{id} was destroyed twice")
        if at < life.wanted_until - TOLERANCE:
            self._wrong(f"{id} was destroyed at {at}, and it is wanted until {life.wanted_until}")
        if not released and not self.was_warned_early(life):
            self.sudden = [before for before in self.sudden if at - before < AT_ONCE - TOLERANCE] + [at]
            living = len(self.living()) + len(self.sudden) - 1
            if len(self.sudden) > MOST and len(self.sudden) > SHARE * living + 1:
                self._wrong(f"{len(self.sudden)} of {living} were destroyed at once without a warning: {id}")
        life.destroyed_at = at

    def was_warned_early(self, life: Life, early: timedelta = EARLY) -> bool:
        """Whether its owner got a warning of this deadline in time."""
        warned_at = life.warned.get(life.wanted_until)
        return warned_at is not None and warned_at <= life.wanted_until - early

    def was_held(self, id: str, at: datetime, *, calm: bool) -> None:
        """It is held. Raises `WrongDecision` if nothing at all speaks for that."""
        life = self.lives[id]
        if calm and not life.scribbled and self.was_warned_early(life, SURELY_EARLY):
            self._wrong(f"{id} is held at {at}, although its owner was warned early")

    def look(self, at: datetime, held: set[str], *, calm: bool) -> None:
        """Looks for what should be gone by now. Raises `WrongDecision`."""
        for id in self.living():
            life = self.lives[id]
            due = calm and id not in held and life.wanted_until + TOLERANCE < at
            life.calm_since = (life.calm_since or at) if due else None
            if life.calm_since is not None and at - life.calm_since > PATIENCE:
                self._wrong(f"{id} is wanted until {life.wanted_until} and still stands at {at}")

    def _wrong(self, text: str) -> None:
        raise WrongDecision("\n".join([text, *self.trace]))
