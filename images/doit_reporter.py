"""How doit reports tasks: a failure is a sentence and a hint, with nothing after it."""

import contextlib
import errno
import os
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from doit.exceptions import TaskFailed
from doit.reporter import ConsoleReporter

from environments.domain.errors import CalvinverseError
from environments.private_files import write_private
from images.interrupts import delaying_exit
from images.places import state_folder
from images.report import TerminalReport, console


class SentenceReporter(ConsoleReporter):  # type: ignore[misc] # doit ships no types
    """Names the tasks that run, says nothing about up-to-date ones, and shows a failure once."""

    desc = "sentences: the name of each task that runs, a failure as a sentence and a hint"

    def write(self, text: str) -> None:
        """Write above the live view, where there is one."""
        report = console()
        if isinstance(report, TerminalReport):
            report.write(text)
        else:
            with contextlib.suppress(OSError):  # as `images.report` does
                super().write(text)

    def skip_uptodate(self, task: Any) -> None:
        """Say nothing: a second run should be quiet."""

    def add_failure(self, task: Any, fail: Any) -> None:
        """Show why a task failed; a task that wasn't run because of another says nothing."""
        if fail.report:
            with contextlib.suppress(OSError):
                self.outstream.flush()
            self.write(f"{fail.message.rstrip()}\n" if isinstance(fail, TaskFailed) else fail.get_msg())

    def complete_run(self) -> None:
        """Show the errors of doit, if there are any."""
        for text in self.runtime_errors:
            self.write(f"{text}\n")


def lazy_action(address: str, given: Mapping[str, object] | None = None) -> Callable[..., object]:
    """A task's action that imports and calls `module:function` when it runs, so that listing the tasks imports nothing.

    `given`: options in place of those of the task itself. The function's error becomes the task's failure: its sentence
    and hint. An unexpected one is written to a file that the failure names.
    """
    module, _, function = address.partition(":")

    def action(*arguments: object, **options: object) -> object:
        try:
            with delaying_exit():
                answer = getattr(import_module(module), function)(*arguments, **(options if given is None else given))
        except CalvinverseError as error:
            return TaskFailed("\n".join(filter(None, (error.message, error.hint))))
        except KeyboardInterrupt:
            return TaskFailed("Stopped.")
        except OSError as error:
            return TaskFailed(_of_machine(error) or _of_ours(error))
        except Exception as error:  # noqa: BLE001 - it is written to a file, and the failure names the file
            return TaskFailed(_of_ours(error))
        # doit saves strings and dicts as results, and takes any other value for a failure.
        return answer if isinstance(answer, (bool, TaskFailed)) else True

    action.__name__ = function
    return action


_MACHINE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR, errno.EISDIR),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
)
"""Errors of the system for what a person has to put right: a full disk, rights, what is in a file's place."""


def _of_machine(error: OSError) -> str | None:
    """What a person has to put right on the machine; None if it isn't that."""
    if error.errno not in _MACHINE:
        return None
    place = f"{os.fsdecode(error.filename)} can't be used: " if isinstance(error.filename, (str, bytes)) else ""
    return f"{place}{error.strerror}.\nCheck what is there, its rights, and the space on the disk; then run it again."


def _of_ours(error: Exception) -> str:
    """A mistake of this program; its traceback is written to a file, if that can be."""
    said = f"{type(error).__name__}: {error}\nThis is a bug"
    try:
        file = state_folder() / "traceback.txt"
        write_private(file, "".join(traceback.format_exception(error)))
    except (CalvinverseError, OSError) as unkept:
        return f"{said}; what happened can't be written down: {getattr(unkept, 'message', unkept)}"
    return f"{said}; see {file}."
