"""An HTTP transport that calls an ASGI application in this process, without a socket; also for endless answers."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import Any

import httpx2
from starlette.types import ASGIApp, Message

LONGEST_WAIT = 240.0
"""Seconds that a request may take until its answer starts."""


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="asgi", daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        """Runs a coroutine there, and returns its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(LONGEST_WAIT)

    def close(self) -> None:
        """Stops the loop."""
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(LONGEST_WAIT)
        self.loop.close()


class _Socket:
    """What a client shuts down to wake a thread that reads."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close

    def get_extra_info(self, name: str) -> "_Socket | None":
        return self if name == "socket" else None

    def shutdown(self, how: int) -> None:
        self._close()


class _Answer(httpx2.SyncByteStream):
    """One request to the application, and the body of its answer."""

    def __init__(self, app: ASGIApp, request: httpx2.Request, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._request = request
        self._body = request.read()
        self._loop = loop
        self._gone = asyncio.Event()
        self._asked = False
        self._chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.head: Future[tuple[int, list[tuple[bytes, bytes]]]] = Future()

    async def run(self) -> None:
        """Calls the application."""
        url = self._request.url
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "headers": [(key.lower(), value) for key, value in self._request.headers.raw],
            "client": ("127.0.0.1", 1),
            "server": (url.host, url.port or 80),
            "state": {},
        }
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - the request gets it
            if not self.head.done():
                self.head.set_exception(error)
        finally:
            self._chunks.put(None)

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.head.set_result((message["status"], list(message.get("headers", []))))
        elif message["type"] == "http.response.body":
            if message.get("body"):
                self._chunks.put(message["body"])
            if not message.get("more_body", False):
                self._chunks.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := self._chunks.get()) is not None:
            yield chunk

    def close(self) -> None:
        """Tells the application that the client has gone, and wakes whoever reads."""
        self._chunks.put(None)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._gone.set)


class AsgiTransport(httpx2.BaseTransport):
    """See the module. Use it with one application whose lifespan was started in the same loop."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self._loop = loop

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answers when the application has sent its headers."""
        answer = _Answer(self.app, request, self._loop)
        asyncio.run_coroutine_threadsafe(answer.run(), self._loop)
        status, headers = answer.head.result(LONGEST_WAIT)
        extensions = {"network_stream": _Socket(answer.close)}
        return httpx2.Response(status, headers=headers, stream=answer, extensions=extensions)


class ThreadedTransport(httpx2.AsyncBaseTransport):
    """The same for a client in another event loop."""

    def __init__(self, transport: httpx2.BaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answers when the application has sent its headers."""
        sent = httpx2.Request(request.method, request.url, headers=request.headers, content=await request.aread())
        answer = await _in_thread(lambda: self._transport.handle_request(sent))
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=_Chunks(answer))


class _Chunks(httpx2.AsyncByteStream):
    """The body of an answer, each chunk waited for in a thread."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = iter(self._answer.stream)  # type: ignore[arg-type]
        while (chunk := await _in_thread(lambda: next(chunks, None))) is not None:
            yield chunk

    async def aclose(self) -> None:
        """Tells the application, and wakes the thread."""
        self._answer.close()


async def _in_thread(wait: Callable[[], Any]) -> Any:
    """The result of what waits, in a thread of its own: streams would take all that a loop has."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Any] = loop.create_future()

    def run() -> None:
        try:
            found, error = wait(), None
        except Exception as failure:  # noqa: BLE001 - raised where the result is awaited
            found, error = None, failure
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(_finish, result, found, error)

    threading.Thread(target=run, name="stream", daemon=True).start()
    return await result


def _finish(result: "asyncio.Future[Any]", found: Any, error: Exception | None) -> None:
    if result.done():
        return
    if error is None:
        result.set_result(found)
    else:
        result.set_exception(error)
