"""The build agent's own program, on a registry in memory and without an engine."""

import contextlib
import os
import signal
import socketserver
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.build_agent_harness import PROGRAM, archive, digest, order, program

PIPELINE = """
import os, pathlib, signal, sys, time
state = pathlib.Path(os.environ["CALVINVERSE_STATE"])
folder = state / "images" / "base" / "builds" / "one"
folder.mkdir(parents=True)
(state / "images" / "base" / "current").write_text("one")
def put_away(*_):
    (folder / "record.json").write_text("{}")
    sys.exit(130)
signal.signal(signal.SIGTERM, put_away)
print("arguments", *sys.argv[1:], flush=True)
if pathlib.Path("wait").exists():
    time.sleep(60)
(folder / "record.json").write_text("{}")
(folder / "packer.log").write_text("a log")
sys.exit(int(pathlib.Path("status").read_text()))
"""

RUN = """
import importlib.util, pathlib, sys, tempfile
spec = importlib.util.spec_from_file_location("agent", sys.argv[1])
agent = importlib.util.module_from_spec(spec)
sys.modules["agent"] = agent
spec.loader.exec_module(agent)
agent.PYTHON = sys.executable
tempfile.tempdir = sys.argv[2]
sys.exit(agent.main([]))
"""


@pytest.fixture
def agent() -> Iterator[ModuleType]:
    with program() as module:
        yield module


@pytest.fixture
def registry() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Its address, and its blobs by path."""
    blobs: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = blobs.get(self.path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}", blobs
        server.shutdown()
        thread.join()


class _Alive(socketserver.StreamRequestHandler):
    """Answers each request of a connection with OK."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")


class _Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread for each connection: clients of Docker open some that they never use."""

    daemon_threads = True


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[str]:
    """The address of an engine that answers that it is alive, and nothing else."""
    path = tmp_path / "engine.sock"
    with _Engine(str(path), _Alive) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"unix://{path}"
        server.shutdown()
        thread.join()


class TestFetching:
    def test_gives_what_the_digest_names(self, agent: ModuleType, registry: Any, tmp_path: Path) -> None:
        address, blobs = registry
        blobs[f"/v2/calvinverse/source/blobs/{digest(b'it')}"] = b"it"
        agent.fetch(address, digest(b"it"), tmp_path / "it")
        assert (tmp_path / "it").read_bytes() == b"it"

    def test_refuses_something_else(self, agent: ModuleType, registry: Any, tmp_path: Path) -> None:
        address, blobs = registry
        blobs[f"/v2/calvinverse/source/blobs/{digest(b'it')}"] = b"another"
        with pytest.raises(agent.Refused, match="isn't sha256"):
            agent.fetch(address, digest(b"it"), tmp_path / "it")

    def test_tells_what_is_amiss(self, agent: ModuleType, registry: Any, tmp_path: Path) -> None:
        with pytest.raises(agent.Refused, match="404"):
            agent.fetch(registry[0], digest(b"it"), tmp_path / "it")
        with pytest.raises(agent.Refused, match="can't be fetched"):
            agent.fetch("127.0.0.1:1", digest(b"it"), tmp_path / "it")


@pytest.fixture
def running(registry: Any, engine: str, tmp_path: Path) -> Any:
    """Starts the agent as a process of its own, with a pipeline that does as its sources say."""
    (tmp_path / "builds").mkdir()
    (tmp_path / "alloc" / "data").mkdir(parents=True)
    (tmp_path / "tmp").mkdir()

    def start(**files: str) -> subprocess.Popen[str]:
        address, blobs = registry
        sources: dict[str, str | tarfile.TarInfo] = {
            "images/__init__.py": "",
            "images/pipeline/__init__.py": "",
            "images/pipeline/__main__.py": PIPELINE,
            **files,
        }
        data = archive(sources)
        blobs[f"/v2/calvinverse/source/blobs/{digest(data)}"] = data
        variables = order(
            NOMAD_META_source=digest(data),
            REGISTRY=address,
            BUILDS=str(tmp_path / "builds"),
            NOMAD_ALLOC_DIR=str(tmp_path / "alloc"),
            DOCKER_HOST=engine,
            PATH=os.defpath,
        )
        command = [sys.executable, "-c", RUN, str(PROGRAM), str(tmp_path / "tmp")]
        return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def records(tmp_path: Path) -> list[str]:
    with tarfile.open(tmp_path / "alloc" / "data" / "records.tar.gz") as opened:
        return opened.getnames()


class TestBuild:
    @pytest.mark.parametrize("status", [0, 9])
    def test_ends_as_the_pipeline_does(self, running: Any, registry: Any, tmp_path: Path, status: int) -> None:
        done = running(status=str(status))
        out, err = done.communicate(timeout=120)
        assert done.returncode == status, err
        assert out == f"arguments build base web --push {registry[0]} --anew\n"
        assert "has root's rights on this node" in err.splitlines()[0]
        assert records(tmp_path) == ["images/base/builds/one/packer.log", "images/base/builds/one/record.json"]
        assert list((tmp_path / "builds").iterdir()) == []
        assert list((tmp_path / "tmp").iterdir()) == []

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_lets_the_pipeline_clean_up(self, running: Any, tmp_path: Path, number: signal.Signals) -> None:
        with running(status="0", wait="") as process:
            assert process.stdout.readline().startswith("arguments")
            time.sleep(0.1)
            process.send_signal(number)
            _, err = process.communicate(timeout=120)
        assert process.returncode == 130, err
        assert "told to stop" in err
        assert records(tmp_path) == ["images/base/builds/one/record.json"]
        assert list((tmp_path / "builds").iterdir()) == []

    def test_says_why_it_does_nothing(self, running: Any, registry: Any, tmp_path: Path) -> None:
        process = running(status="0")
        registry[1].clear()
        _, err = process.communicate(timeout=120)
        assert process.returncode == 2
        assert "has no sources" in err
        assert "Traceback" not in err
        assert list((tmp_path / "builds").iterdir()) == []
