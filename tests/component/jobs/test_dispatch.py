"""What is sent to a build environment, where to, and how a build there is followed."""

import hashlib
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import DispatchFailed
from jobs.registry import push_sources
from jobs.sources import make_archive
from tests.support.build_checkout import make_checkout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=T", "-c", "user.email=t@localhost", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.strip()


def inside(archive: bytes) -> dict[str, tuple[bytes, int]]:
    """Content and mode of each member by its name."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        found = {}
        for member in opened:
            content = opened.extractfile(member)
            assert content is not None
            found[member.name] = (content.read(), member.mode)
        return found


class TestSources:
    def test_the_same_files_make_the_same_archive(self, checkout: Path) -> None:
        first = make_archive(checkout, {})
        (checkout / "pyproject.toml").touch()
        assert make_archive(checkout, {}) == first

    def test_git_says_what_is_sent(self, checkout: Path) -> None:
        git(checkout, "init", "-q")
        (checkout / ".gitignore").write_text("*.secret\n/build/\n")
        for name in ("a.secret", "tracked", "gone", "untracked"):
            (checkout / name).write_text("before")
        git(checkout, "add", "tracked", "gone", "images", "pyproject.toml", ".gitignore")
        git(checkout, "commit", "-q", "-m", "one")
        (checkout / "tracked").write_text("as it is now")
        (checkout / "gone").unlink()
        found = inside(make_archive(checkout, {}))
        assert "a.secret" not in found
        assert "gone" not in found
        assert found["tracked"][0] == b"as it is now"
        assert "untracked" in found
        assert not any(name.startswith(".git/") for name in found)
        assert [found[f"images/one/{name}"][1] for name in ("image.toml", "provision/run.sh")] == [0o644, 0o755]
        told = json.loads(found["source.json"][0])
        assert told["commit"] == git(checkout, "rev-parse", "HEAD")
        assert told["images"]["one"]["dirty"] is False

    def test_the_network_of_this_machine_comes_along(self, checkout: Path, tmp_path: Path) -> None:
        bundle = tmp_path / "bundle.pem"
        key = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n"
        certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        bundle.write_text(f"# a company\n{certificate}{key}")
        variables = {
            "SSL_CERT_FILE": str(bundle),
            "HTTPS_PROXY": "http://proxy:3128",
            "PIP_INDEX_URL": "https://index/simple",
        }
        found = inside(make_archive(checkout, variables))
        assert found["ca.pem"][0].decode() == certificate
        assert found["sources.list"][0] == b"deb http://mirror bookworm main\n"
        assert json.loads(found["network.json"][0]) == {
            "proxies": {"https_proxy": "http://proxy:3128"},
            "index_url": "https://index/simple",
        }


@pytest.fixture
def registry() -> Iterator[tuple[str, dict[str, bytes], list[str]]]:
    """Its address, its blobs and manifests by path, and the requests that it got."""
    kept: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, **headers: str) -> None:
            asked.append(f"{self.command} {self.path.partition('?')[0]}")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_HEAD(self) -> None:
            self.answer(200 if self.path in kept else 404)

        def do_POST(self) -> None:
            self.answer(202, Location=f"http://{self.headers['Host']}/upload?state=1")

        def do_PUT(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            path, _, query = self.path.partition("?")
            if path == "/upload":
                state, _, named = query.partition("&digest=")
                assert state == "state=1"
                digest = named.replace("%3A", ":")
                assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
                path = f"/v2/calvinverse/source/blobs/{digest}"
            kept[path] = data
            self.answer(201)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}", kept, asked
        server.shutdown()
        thread.join()


class TestRegistry:
    def test_gets_the_sources_and_a_manifest_that_keeps_them(self, registry: Any) -> None:
        address, kept, _ = registry
        digest = push_sources(address, b"sources")
        assert kept[f"/v2/calvinverse/source/blobs/{digest}"] == b"sources"
        (manifest,) = [json.loads(data) for path, data in kept.items() if "/manifests/" in path]
        assert [layer["digest"] for layer in manifest["layers"]] == [digest]

    def test_gets_what_it_has_only_once(self, registry: Any) -> None:
        address, _, asked = registry
        push_sources(address, b"sources")
        asked.clear()
        push_sources(address, b"sources")
        assert not any(request.startswith("POST") for request in asked)

    def test_that_is_away_is_said(self) -> None:
        with pytest.raises(DispatchFailed, match="doesn't accept the sources"):
            push_sources("127.0.0.1:1", b"sources")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.dispatched.PAUSE", 0.001)
