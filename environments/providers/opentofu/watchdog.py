"""The watchdog: a small process between a worker and one run of tofu, which ensures that tofu ends in time.

The worker writes lines to its standard input that say how long the worker certainly holds the deployment:

    until <seconds>     a moment of CLOCK_BOOTTIME, which also runs while the machine sleeps
    stop <seconds>      end tofu now, and by force after so many seconds

tofu is asked to end (SIGINT: it saves its state) when the worker says so, when the worker has ended, and when the
moment is near and no later one came; at that moment it is killed, with everything that it started. So a worker that was
killed, paused or disconnected never leaves a tofu that runs beside its successor's. If the watchdog itself is killed,
the kernel kills tofu. It keeps the other end of tofu's output open: without a reader the pipe would break, and tofu
would be killed at its next write. The lock that the successor waits for is open in the watchdog, tofu and the
providers.

It is run by path with `python -I -S`, so that it starts in a few milliseconds: standard library only, and little of it.
"""

import ctypes
import os
import select
import signal
import sys
import time

ASKED_BEFORE = 2.5
"""Seconds before the moment at which tofu is asked to end."""

TOO_LATE = 121
"""Exit status when the moment was over before tofu was started."""

NOT_STARTED = 122
"""Exit status when the program can't be executed."""

_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
_CHECK_INTERVAL = 0.5


def clock() -> float:
    """The moment now, in the clock of `until`."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Orders:
    """The orders of the worker so far. `gone`: it has ended, and sends no more."""

    def __init__(self) -> None:
        self.until = 0.0
        self.stop_by: float | None = None
        self.gone = False
        self._rest = b""

    def read(self) -> None:
        """Reads orders; returns at once if there are any, or if the other end is closed."""
        said = os.read(0, 65536)
        if not said:
            self.gone = True
            return
        *lines, self._rest = (self._rest + said).split(b"\n")
        for line in lines:
            word, _, number = line.partition(b" ")
            if word == b"until":
                self.until = float(number)
            elif word == b"stop":
                by = clock() + float(number)
                self.stop_by = by if self.stop_by is None else min(self.stop_by, by)

    @property
    def ask_at(self) -> float:
        """When tofu has to be asked to end."""
        return 0.0 if self.gone or self.stop_by is not None else self.until - ASKED_BEFORE

    @property
    def kill_at(self) -> float:
        """When it has to be dead."""
        return self.until if self.stop_by is None else min(self.until, self.stop_by)


def start(program: list[str], output: int, libc: ctypes.CDLL) -> int:
    """Starts tofu in a session of its own, tied to this process; its id."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            os.close(output)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.execv(program[0], program)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{program[0]}: {error.strerror}\n")
        sys.stderr.flush()
    finally:
        os._exit(NOT_STARTED)


def supervise(child: int, output: int, orders: Orders) -> int:
    """Waits for tofu to end, and ends it in time; its exit status."""
    handle = os.pidfd_open(child)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.register(0, select.POLLIN)
    asked = killed = False
    while True:
        now = clock()
        if not asked and now >= orders.ask_at:
            asked = True
            os.kill(child, signal.SIGINT)
            if orders.gone:
                os.close(0)
        if not killed and now >= orders.kill_at:
            killed = True
            os.killpg(child, signal.SIGKILL)
        next_moment = orders.kill_at if asked else orders.ask_at
        pause = _CHECK_INTERVAL if killed else min(max(next_moment - now, 0.001), _CHECK_INTERVAL)
        ready = {number for number, _ in poll.poll(pause * 1000)}
        if handle in ready:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if 0 in ready:
            orders.read()
            if orders.gone:
                # Nothing else reads the output of tofu any more.
                poll.unregister(0)
                poll.register(output, select.POLLIN)
        if output in ready:
            os.read(output, 65536)


def sweep() -> None:
    """Kills the processes that tofu left: this process becomes the parent of its orphans, whatever their group."""
    own = f"/proc/self/task/{os.getpid()}/children"
    while True:
        with open(own) as children:  # noqa: PTH123 - pathlib takes longer to load than all the rest
            left = [int(number) for number in children.read().split()]
        if not left:
            return
        for number in left:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)


def main(output: int, program: list[str]) -> int:
    """Runs a program under guard; its exit status, or 128 and the number of the signal that ended it.

    `output` is the descriptor to read its output from.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    orders = Orders()
    while orders.until == 0.0 and not orders.gone:
        orders.read()
    if orders.ask_at <= clock():
        return TOO_LATE
    status = supervise(start(program, output, libc), output, orders)
    sweep()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
