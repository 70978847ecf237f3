"""Cleaning up after a test without hiding why the test failed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def cleaned_up(clean: Callable[[], object]) -> Iterator[None]:
    """Calls `clean` after the body.

    Where the body failed and `clean` fails too, the body's exception stays the one that is reported, and what `clean`
    raised becomes a note of it: what broke the test usually breaks its cleanup as well.
    """
    try:
        yield
    except BaseException as failure:
        try:
            clean()
        except Exception as also:  # noqa: BLE001 - it is not lost, the first one carries it
            failure.add_note(f"The cleanup failed too: {type(also).__name__}: {also}")
        raise
    clean()
