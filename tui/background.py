"""Calls that wait, made beside the screen: they run in threads of their own and answer by posting a message.

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
    """A call has ended; whoever asked gets the answer on the screen's own thread."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        super().__init__()
        self.deliver = deliver


class Asks(MessagePump):
    """A screen or application that asks for things in the background."""

    def ask(
        self,
        call: Callable[[], T],
        then: Callable[[T], None],
        fail: Callable[[CalvinverseError], None],
    ) -> None:
        """Runs `call` beside the screen, then `then` or `fail` on it. An answer for a closed screen is dropped."""

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
        """Hands the answer over."""
        message.stop()
        message.deliver()


def unexpected(error: Exception) -> CalvinverseError:
    """A fault of our own as a sentence."""
    return CalvinverseError(
        f"Something unexpected went wrong: {error or type(error).__name__}.",
        hint="Try again, and report this if it comes back.",
        details={"exception": type(error).__name__},
    )


def _with(function: Callable[[Any], None], value: Any) -> Callable[[], None]:
    return lambda: function(value)
