"""How doit reports tasks: a failure is a sentence and a hint, with nothing after it."""

import contextlib
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

from doit.exceptions import TaskFailed
from doit.reporter import ConsoleReporter

from environments.domain.errors import CalvinverseError
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


def lazy_action(address: str) -> Callable[..., object]:
    """A task's action that imports and calls `module:function` when it runs, so that listing the tasks imports nothing.

    The function's error becomes the task's failure: its sentence and hint. An unexpected one is written to a file that
    the failure names.
    """
    module, _, function = address.partition(":")

    def action(*arguments: object, **options: object) -> object:
        try:
            with delaying_exit():
                answer = getattr(import_module(module), function)(*arguments, **options)
        except CalvinverseError as error:
            return TaskFailed("\n".join(filter(None, (error.message, error.hint))))
        except KeyboardInterrupt:
            return TaskFailed("Stopped.")
        except Exception as error:  # noqa: BLE001 - it is written to a file, and the failure names the file
            return TaskFailed(f"{type(error).__name__}: {error}\nThis is a bug; see {_keep_traceback()}.")
        # doit saves strings and dicts as results, and takes any other value for a failure.
        return answer if isinstance(answer, (bool, TaskFailed)) else True

    action.__name__ = function
    return action


def _keep_traceback() -> str:
    file = state_folder() / "traceback.txt"
    file.touch(mode=0o600)
    file.write_text("".join(traceback.format_exception(sys.exception())))
    return str(file)
