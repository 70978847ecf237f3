"""A line between clients and a server on loopback that a test cuts and mends, or leads to another server."""

import asyncio
import contextlib
from collections.abc import Iterator

from tests.support.asgi import Loop


class Line:
    """Connections to `port` lead to the port `target`."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self._whole = True
        self._loop = Loop()
        self._open: set[asyncio.StreamWriter] = set()

    @classmethod
    @contextlib.contextmanager
    def laid(cls) -> Iterator["Line"]:
        """A line until the block ends; it leads nowhere yet."""
        line = cls()
        server = line._loop.run(asyncio.start_server(line._lead, "127.0.0.1", 0))
        line.port = server.sockets[0].getsockname()[1]
        try:
            yield line
        finally:
            line.cut()
            server.close()
            line._loop.run(line._ended())
            line._loop.close()

    def cut(self) -> None:
        """Ends all connections, and every new one at once, until it is mended."""
        self._loop.run(self._cut())

    def mend(self) -> None:
        """Leads connections on again."""
        self._whole = True

    async def _cut(self) -> None:
        self._whole = False
        for writer in self._open:
            writer.transport.abort()

    async def _ended(self) -> None:
        while self._open:  # noqa: ASYNC110 - only tests wait for this
            await asyncio.sleep(0.01)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            if self._whole:
                answers, there = await asyncio.open_connection("127.0.0.1", self.target)
                self._open.add(there)
                await asyncio.gather(_pass(reader, there), _pass(answers, writer))
        except OSError:
            pass
        finally:
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()
                    self._open.discard(end)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError  # the other direction ends too
