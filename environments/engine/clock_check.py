"""Compares the machine's clock with others before anything is destroyed by it, and finds a restored database.

The machine's steady clock (seconds since its start, which nobody sets) tells jumps of its wall clock, also between two
runs of the service. The leader writes both clocks into the database once a minute, with a count that only grows: a
smaller count than one that was seen before means that the database was restored from a copy.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple, Protocol

import structlog

from environments.domain.deadline import format_duration
from environments.domain.errors import CalvinverseError, MachineError
from environments.domain.holds import ClockMark, ClockTrouble, Hold, HoldKind
from environments.private_files import write_private
from environments.service.expiry import ACCEPTED
from environments.service.storage.transaction import Storage, Transaction

TOLERANCE = timedelta(minutes=5)
"""By how much clocks may differ."""

_MARKED_EVERY = timedelta(minutes=1)

_ASKED_EVERY = 60.0
"""Seconds."""

_ASKED_AGAIN = 5.0
"""Seconds until a clock is asked again that has not answered since the start."""

AWAITED = 120.0
"""Seconds from the first comparison: a clock that has not answered by then counts as away."""

_OWN_TIME = "its own time"
"""In the cause of a hold: the machine's wall clock differs from the time since its start."""

log = structlog.get_logger()


class Told(NamedTuple):
    """What another clock says (UTC). `elsewhere`: it isn't this machine's, as far as its address tells."""

    moment: datetime
    elsewhere: bool


class Witness(NamedTuple):
    """Another clock. `read` gives None when it doesn't answer, and may take seconds.

    `configured`: whether there is such a clock; the silence of one that there isn't means nothing.
    """

    name: str
    read: Callable[[], Told | None]
    configured: Callable[[], bool] = lambda: True


class Beats(Protocol):
    """Remembers a count outside of the database."""

    def read(self) -> int:
        """The count; 0 if there is none."""
        ...

    def write(self, beats: int) -> None:
        """Keeps the count, as far as that is possible."""
        ...


class FileBeats:
    """See `Beats`: in a file, whose loss does no harm."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int:
        """See `Beats.read`."""
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return 0

    def write(self, beats: int) -> None:
        """See `Beats.write`."""
        try:
            write_private(self._path, f"{beats}\n")
        except MachineError as error:
            log.warning("clock.count_not_kept", reason=error.message)


def steady_clock() -> float:
    """Seconds since the machine was started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Tells this start of the machine from others; empty if that can't be told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _in_thread(run: Callable[[], None]) -> None:
    Thread(target=run, name="clock-check", daemon=True).start()


class ClockCheck:
    """Used by the leader's scheduler, in one thread."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        *,
        witnesses: Sequence[Witness] = (),
        steady: Callable[[], float] = steady_clock,
        boot: str = "",
        identity: Callable[[], str] = str,
        beats: Beats | None = None,
        tolerance: timedelta = TOLERANCE,
        later: Callable[[Callable[[], None]], None] = _in_thread,
    ) -> None:
        """`later` runs a function without waiting for it. `identity`: see `Database.identity`.

        `boot` empty: jumps between two runs of the service aren't found.
        """
        self._storage = storage
        self._clock = clock
        self._witnesses = witnesses
        self._steady = steady
        self._boot = boot or "unknown"
        self._identity = identity
        self._beats = beats
        self._tolerance = tolerance
        self._later = later
        self._known = 0
        self._told: dict[str, tuple[Told, float]] = {}
        self._began: float | None = None
        self._ask_at = 0.0
        self._silent = list(witnesses)
        self._asking = Lock()
        self._database = ""

    def look(self) -> list[ClockTrouble]:
        """Clocks that disagree, unless an admin accepted that; empty: none. Raises `StorageError`.

        What an open hold was opened for counts until it is seen to be gone: a clock that doesn't answer any more, or
        another start of the machine, shows nothing.
        """
        self._ask_if_old()
        with self._storage.read() as tx:
            mark = tx.holds.mark()
            hold = next((hold for hold in tx.holds.open() if hold.kind is HoldKind.CLOCK), None)
            now, steady = self._clock(), self._steady()  # after the transaction began, which may have waited
        if self._is_restored(mark):
            mark = self._restored(mark, now, steady)
        found = self._compare(mark, now, steady)
        troubles = found.troubles or self._unsettled(hold, mark, found)
        if troubles:
            with self._storage.read() as tx:
                if not _accepted(tx, troubles, now):
                    return troubles
        if self.awaits():
            return []  # a mark would say that this clock was right
        another = mark is None or mark.boot != self._boot or found.jumped
        if mark is None or another or abs(now - mark.seen_at) >= _MARKED_EVERY:
            self._write(mark, now, steady, another)
        return []

    def awaits(self) -> list[str]:
        """The clocks that have not answered since the first `look`, and may still do so within `AWAITED`.

        As long as there is one, nothing may be done that goes by the machine's clock.
        """
        if self._silent and self._began is not None:
            waited = self._steady() - self._began
            self._silent = [one for one in self._silent if one.name not in self._told and _is_configured(one)]
            if waited >= AWAITED:
                for witness in self._silent:
                    log.error("clock.away", clock=_clock_of(witness), seconds=round(waited))
                self._silent = []
        return [witness.name for witness in self._silent]

    def ask(self) -> None:
        """Asks the other clocks, which may take seconds."""
        for witness in self._witnesses:
            before = self._steady()
            try:
                told = witness.read()
            except CalvinverseError as error:
                log.warning("clock.not_asked", clock=witness.name, reason=error.message)
                continue
            if told is not None:  # else what it said before stays true by the steady clock
                self._told[witness.name] = told, (before + self._steady()) / 2

    def _ask_if_old(self) -> None:
        """The first time at once; then in the background."""
        if self._began is None:
            self._database = self._identity()
            self.ask()
            self._began = self._steady()
            self._ask_at = self._began + (_ASKED_AGAIN if self.awaits() else _ASKED_EVERY)
        elif self._witnesses and self._steady() >= self._ask_at and self._asking.acquire(blocking=False):
            self._ask_at = self._steady() + (_ASKED_AGAIN if self.awaits() else _ASKED_EVERY)
            self._later(self._ask_in_background)

    def _ask_in_background(self) -> None:
        try:
            self._database = self._identity()
            self.ask()
        except CalvinverseError as error:
            self._ask_at = self._steady() + _ASKED_AGAIN
            log.warning("clock.not_asked", clock="the database", reason=error.message)
        finally:
            self._asking.release()

    def _compare(self, mark: ClockMark | None, now: datetime, steady: float) -> "_Comparison":
        found, agreeing, confirmed = [], set(), False
        for witness in self._witnesses:
            told, asked_at = self._told.get(witness.name, (None, 0.0))
            if told is None:
                continue
            by = now - (told.moment + timedelta(seconds=steady - asked_at))
            if abs(by) > self._tolerance:
                found.append(_trouble(_clock_of(witness), by))
                continue
            agreeing.add(witness.name)
            confirmed = confirmed or told.elsewhere
        if mark is None:
            return _Comparison(found, False, agreeing, confirmed)
        here = mark.boot == self._boot
        by = (now - mark.at) - timedelta(seconds=steady - mark.steady) if here else now - mark.seen_at
        jumped = abs(by) > self._tolerance if here else -by > self._tolerance
        if jumped and not confirmed:  # another machine's clock shows that a jump was a correction
            what = f"{_OWN_TIME} since {mark.at:%Y-%m-%d %H:%M %Z}" if here else "what the service last wrote"
            found.append(_trouble(what, by))
        return _Comparison(found, jumped, agreeing, confirmed)

    def _unsettled(self, hold: Hold | None, mark: ClockMark | None, found: "_Comparison") -> list[ClockTrouble]:
        """What the hold was opened for, as long as nothing shows that it is gone."""
        if hold is None:
            return []
        named = {witness.name for witness in self._witnesses if _clock_of(witness) in hold.cause}
        here = mark is not None and mark.boot == self._boot
        if named <= found.agreeing and (_OWN_TIME not in hold.cause or here or found.confirmed):
            return []
        return [ClockTrouble(hold.cause, hold.reason)]

    def _is_restored(self, mark: ClockMark | None) -> bool:
        known = max(self._known, self._beats.read() if self._beats is not None and not self._known else 0)
        beats = 0 if mark is None else mark.beats
        moved = mark is not None and "" not in (mark.database, self._database) and mark.database != self._database
        return beats < known or moved

    def _restored(self, mark: ClockMark | None, now: datetime, steady: float) -> ClockMark:
        known = max(self._known, self._beats.read() if self._beats is not None else 0, mark.beats if mark else 0)
        new = mark or ClockMark(self._boot, steady, now, now, known)
        new = replace(new, beats=known + 1, database=self._database, restored_at=now)
        with self._storage.write() as tx:
            warned = tx.holds.distrust_warnings(now)
            tx.holds.set_mark(new)
        log.error("database.restored", warnings_to_repeat=warned)
        self._remember(new.beats)
        return new

    def _write(self, mark: ClockMark | None, now: datetime, steady: float, another: bool) -> None:
        """`another`: the machine's clocks belong together in another way from now on."""
        new = mark or ClockMark(self._boot, steady, now, now, 0)
        if another:
            new = replace(new, boot=self._boot, steady=steady, at=now)
        new = replace(new, seen_at=now, beats=new.beats + 1, database=self._database or new.database)
        with self._storage.write() as tx:
            tx.holds.set_mark(new)
        self._remember(new.beats)

    def _remember(self, beats: int) -> None:
        self._known = beats
        if self._beats is not None:
            self._beats.write(beats)


class _Comparison(NamedTuple):
    """Clocks that disagree; and whether the machine's clocks differ by another amount than they did.

    `agreeing` are the names of those that agree; `confirmed`: one of these is another machine's.
    """

    troubles: list[ClockTrouble]
    jumped: bool
    agreeing: set[str]
    confirmed: bool


def _is_configured(witness: Witness) -> bool:
    try:
        return witness.configured()
    except CalvinverseError:  # what says so can't be read
        return True


def _clock_of(witness: Witness) -> str:
    return f"the clock of {witness.name}"


def _accepted(tx: Transaction, troubles: Sequence[ClockTrouble], now: datetime) -> bool:
    return tx.holds.released("; ".join(trouble.cause for trouble in troubles)[:200], now - ACCEPTED)


def _trouble(other: str, by: timedelta) -> ClockTrouble:
    """`by`: how far the machine's clock is ahead."""
    way = "ahead of" if by > timedelta(0) else "behind"
    size = abs(by)
    unit = next(unit for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=5)) if size >= unit)
    about = format_duration(size // unit * unit)
    sentence = (
        f"The machine's clock is {format_duration(size)} {way} {other}. Set the clocks (`timedatectl`, NTP), or "
        "release the hold if the machine's clock is right."
    )
    return ClockTrouble(f"{way} {other}, {about} and more", sentence)
