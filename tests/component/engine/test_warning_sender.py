"""The threads that deliver warnings."""

import threading

from environments.domain.errors import StorageError
from environments.engine.warning_sender import WarningSender
from environments.service.warnings import Warnings


class SlowMail(Warnings):
    """Warnings of three channels; e-mail hangs until the test ends, and the third one fails each time."""

    def __init__(self) -> None:
        self.ending, self.sent, self.failed = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)

    def channels_due(self) -> list[str]:
        return ["email", "slack", "webhook"]

    def deliver(self, channel: str, limit: int) -> int:
        if channel == "email":
            assert self.ending.wait(120)
        elif channel == "slack":
            self.failed.release()
            raise StorageError("The database is away.")
        else:
            self.sent.release()
        return 0


def test_a_slow_channel_delays_no_other_one() -> None:
    warnings = SlowMail()
    sender = WarningSender(warnings, lambda: True, every=0.01)
    sender.start()
    try:
        for _ in range(3):
            assert warnings.sent.acquire(timeout=120)
            assert warnings.failed.acquire(timeout=120), "nor does one that fails"
    finally:
        warnings.ending.set()
        sender.stop()


def test_who_does_not_lead_delivers_nothing() -> None:
    warnings, asked = SlowMail(), threading.Semaphore(0)

    def leads() -> bool:
        asked.release()
        return False

    sender = WarningSender(warnings, leads, every=0.01)
    sender.start()
    for _ in range(3):
        assert asked.acquire(timeout=120)
    sender.stop()
    assert not warnings.sent.acquire(blocking=False)
