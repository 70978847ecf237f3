"""Blocking calls in threads of their own, whose results are posted to the screen as messages.

Threads are daemons and not Textual's pooled workers: a pool is joined at exit, so one call to a service that hangs
would keep `q` from giving the prompt back until the call's time limit.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from textual.message import Message
from textual.message_pump import MessagePump

from environments.domain.errors import CalvinverseError

T = TypeVar("T")


class Finished(Message):
    """A call has ended; its result is handled in the screen's own thread."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        super().__init__()
        self.deliver = deliver


class Asks(MessagePump):
    """A screen or application that makes calls in the background."""

    def ask(
        self,
        call: Callable[[], T],
        then: Callable[[T], None],
        fail: Callable[[CalvinverseError], None],
    ) -> None:
        """Runs `call` in a thread, then `then` or `fail` on the screen. Results for a closed screen are dropped."""

        def run() -> None:
            deliver: Callable[[], None]
            try:
                answer = call()
            except CalvinverseError as error:
                deliver = _with(fail, error)
            except Exception as error:  # noqa: BLE001  # a fault of ours: told like the others
                deliver = _with(fail, unexpected(error))
            else:
                deliver = _with(then, answer)
            self.post_message(Finished(deliver))

        threading.Thread(target=run, name="ask", daemon=True).start()

    def on_finished(self, message: Finished) -> None:
        """Handles the result."""
        message.stop()
        message.deliver()


def unexpected(error: Exception) -> CalvinverseError:
    """An unexpected exception as an error with a sentence and a hint."""
    return CalvinverseError(
        f"Something unexpected went wrong: {error or type(error).__name__}.",
        hint="Try again, and report this if it comes back.",
        details={"exception": type(error).__name__},
    )


def _with(function: Callable[[Any], None], value: Any) -> Callable[[], None]:
    return lambda: function(value)
