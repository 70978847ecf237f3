"""Other people who read pages of the same service."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from environments.domain.access import PersonKind
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader


def keep_people(client: InProcessClient, *names: str) -> None:
    """Lets the service know people, so that something can be shared with them."""
    with client.service.database.write() as tx:
        for name in names:
            tx.people.keep(name, PersonKind.UNCLAIMED, client.now, "root")


@contextlib.contextmanager
def reader_as(client: InProcessClient, name: str, folder: Path) -> Iterator[Reader]:
    """Somebody with the service role `user`, who sees only what is theirs or shared with them."""
    reader = Reader(client, folder, token=client.service.tokens.create_token(client.service.admin, name, "user").secret)
    try:
        yield reader
    finally:
        reader.close()
