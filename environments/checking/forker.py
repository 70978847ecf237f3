"""The program of a checking process: it waits for questions, and has each answered by a child with limits.

It loads everything once and never reads a question itself. So whatever a question does to one child, the next
child starts from the same state. The program is started with a bare environment and no open files except the two pipes
for questions and answers.

It says that it is ready by one byte, `READY`. A question on standard input is `QUESTION` (its length, seconds of
processor time, bytes of memory, seconds in all) and the question. The answer on standard output is `ANSWER` (outcome,
processor time taken, lengths of what follows), the place that was checked last, and the answer, which is empty unless
the outcome is `DONE` or `BROKEN`.
"""

import gc
import importlib
import mmap
import os
import resource
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from environments.checking.tasks import answer
from environments.service.inspecting import StepKind

QUESTION = struct.Struct("!IdQd")
ANSWER = struct.Struct("!BdII")

READY = b"+"

DONE, TOO_LONG, TOO_LARGE, BROKEN = range(4)
"""Outcomes: answered; more time than allowed; more memory, or a larger answer, than allowed; a bug (the answer is its
traceback)."""

LARGEST_ANSWER = 8 * 1024 * 1024
"""Bytes."""

_LONGEST_PLACE = 200
_MOST_FILES = 32
_OUT_OF_MEMORY, _BUG = 3, 4


class Limits(NamedTuple):
    """Of one question: seconds of processor time, bytes of memory beside what is loaded, seconds in all."""

    processor: float
    memory: int
    wall: float


class _Outcome(NamedTuple):
    code: int
    processor: float
    place: bytes
    answer: bytes


def main(kinds: str) -> None:
    """Answers until standard input is closed. `kinds` names the step kinds, as `module:attribute`."""
    module, _, attribute = kinds.partition(":")
    known: Mapping[str, StepKind] = getattr(importlib.import_module(module), attribute)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.disable()
    gc.freeze()
    place = mmap.mmap(-1, _LONGEST_PLACE)
    _write(1, READY)
    while True:
        head = _read(0, QUESTION.size)
        if head is None:
            return
        length, processor, memory, wall = QUESTION.unpack(head)
        question = _read(0, length)
        if question is None:
            return
        found = _ask_child(question, Limits(processor, memory, wall), known, place)
        _write(1, ANSWER.pack(found.code, found.processor, len(found.place), len(found.answer)))
        _write(1, found.place + found.answer)


def _ask_child(question: bytes, limits: Limits, kinds: Mapping[str, StepKind], place: mmap.mmap) -> _Outcome:
    place[:] = bytes(_LONGEST_PLACE)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(question, limits, kinds, place, writing)
    os.close(writing)
    try:
        answered, in_time = _collect(reading, time.monotonic() + limits.wall)
    finally:
        os.close(reading)
    if not in_time or len(answered) > LARGEST_ANSWER:
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    code = _outcome(status, in_time, len(answered))
    kept = bytes(answered) if code in (DONE, BROKEN) else b""
    return _Outcome(code, used.ru_utime + used.ru_stime, place[:].rstrip(b"\0"), kept)


def _outcome(status: int, in_time: bool, length: int) -> int:
    if not in_time:
        return TOO_LONG
    if length > LARGEST_ANSWER:
        return TOO_LARGE
    if os.WIFSIGNALED(status):
        return TOO_LONG if os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGXCPU) else TOO_LARGE
    return {0: DONE, _OUT_OF_MEMORY: TOO_LARGE}.get(os.WEXITSTATUS(status), BROKEN)


def _collect(reading: int, until: float) -> tuple[bytearray, bool]:
    """What the child writes, and whether it came to an end in time. Reads a little more than the largest answer."""
    found = bytearray()
    while len(found) <= LARGEST_ANSWER:
        ready, _, _ = select.select([reading], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return found, False
        part = os.read(reading, 65536)
        if not part:
            break
        found += part
    return found, True


def _be_child(
    question: bytes, limits: Limits, kinds: Mapping[str, StepKind], place: mmap.mmap, writing: int
) -> NoReturn:
    code = _BUG
    try:
        _confine(limits, writing)

        def note(told: str) -> None:
            place[:] = told.encode(errors="replace")[:_LONGEST_PLACE].ljust(_LONGEST_PLACE, b"\0")

        _write(writing, answer(question, kinds, note))
        code = 0
    except (MemoryError, RecursionError):
        code = _OUT_OF_MEMORY
    except BaseException:  # noqa: BLE001 - a child must never return into the loop of its parent
        _write(writing, traceback.format_exc()[-4000:].encode(errors="replace"))
    finally:
        os._exit(code)


def _confine(limits: Limits, writing: int) -> None:
    """No files, no children, no core; so much processor time (SIGPROF ends it) and memory."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.closerange(3, writing)
    os.closerange(writing + 1, 256)
    for name in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(name, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_FILES, _MOST_FILES))
    seconds = int(limits.processor) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    with_code = _address_space() + limits.memory
    resource.setrlimit(resource.RLIMIT_AS, (with_code, with_code))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, limits.processor)


def _address_space() -> int:
    """Bytes that are mapped already, from proc(5)."""
    descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        return int(os.read(descriptor, 100).split()[0]) * mmap.PAGESIZE
    finally:
        os.close(descriptor)


def _read(descriptor: int, length: int) -> bytes | None:
    """So many bytes; None at the end."""
    parts = bytearray()
    while len(parts) < length:
        part = os.read(descriptor, min(length - len(parts), 1024 * 1024))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main(sys.argv[1])
