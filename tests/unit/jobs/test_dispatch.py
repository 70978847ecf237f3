"""What is sent to a build environment, where to, and how a build there is followed."""

import hashlib
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from nomad.api.exceptions import BaseNomadException

from jobs.dispatched import Dispatched, connect, reasons_of
from jobs.errors import DispatchFailed
from jobs.places import Places
from jobs.registry import push_sources
from jobs.sources import certificates, files, make_archive, network

ABOUT = '[image]\ntitle = "T"\ndescription = "D"\n'


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with one image, on a machine whose mirrors and certificates are known."""
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("CALVINVERSE_DEBIAN_SOURCES", str(tmp_path / "mirrors"))
    (tmp_path / "mirrors").write_text("deb http://mirror bookworm main\n")
    folder = tmp_path / "checkout"
    (folder / "images" / "one" / "provision").mkdir(parents=True)
    (folder / "images" / "one" / "image.toml").write_text(ABOUT)
    (folder / "images" / "one" / "provision" / "run.sh").write_text("true\n")
    (folder / "images" / "one" / "provision" / "run.sh").chmod(0o755)
    (folder / "pyproject.toml").write_text('[project]\nname = "t"\nversion = "1"\n')
    return folder


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=T", "-c", "user.email=t@localhost", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


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

    def test_without_git_the_usual_folders_stay(self, checkout: Path) -> None:
        for name in (".venv/x", ".calvinverse/token", "a/__pycache__/x.pyc", "x.egg-info/y", "kept/z"):
            (checkout / name).parent.mkdir(parents=True)
            (checkout / name).touch()
        assert files(checkout) == ["images/one/image.toml", "images/one/provision/run.sh", "kept/z", "pyproject.toml"]

    def test_nothing_from_outside_gets_in(
        self, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "private").write_text("x")
        (checkout / "away").symlink_to(tmp_path / "private")
        (checkout / "within").symlink_to("pyproject.toml")
        (checkout / "mine").mkdir()
        (checkout / "mine" / "token").touch()
        monkeypatch.setenv("CALVINVERSE_STATE", str(checkout / "mine"))
        found = files(checkout)
        assert "within" in found
        assert "away" not in found
        assert "mine/token" not in found

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

    def test_no_certificates_are_no_error(self, tmp_path: Path) -> None:
        assert certificates({"SSL_CERT_FILE": str(tmp_path / "none")}) == ""

    @pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "PIP_INDEX_URL"])
    def test_no_password_is_sent(self, name: str) -> None:
        with pytest.raises(DispatchFailed, match="holds a password") as caught:
            network({"PIP_INDEX_URL": "https://index/", name: "https://me:hunter2@there/"})
        assert "hunter2" not in caught.value.message


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

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
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
        with pytest.raises(DispatchFailed, match="doesn't take the sources"):
            push_sources("127.0.0.1:1", b"sources")


@dataclass
class Answer:
    """An answer of Nomad's."""

    content: Any
    text: str = ""

    def json(self) -> Any:
        return self.content


@dataclass
class Nomad:
    """Nomad as `Dispatched` uses it: each look at the allocations gives the next of `looks`, the last for ever."""

    looks: list[list[dict[str, Any]]]
    logs: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    evaluated: dict[str, Any] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    seen: Callable[[int], None] = lambda count: None
    _count: int = 0

    @property
    def job(self) -> "Nomad":
        return self

    @property
    def client(self) -> "Nomad":
        return self

    @property
    def evaluation(self) -> "Nomad":
        return self

    @property
    def stream_logs(self) -> Any:
        outer = self

        class Logs:
            def request(self, allocation: str, *, params: dict[str, Any], **_: Any) -> Answer:
                return Answer(outer.logs.get(params["type"], b"")[params["offset"] :])

        return Logs()

    @property
    def cat(self) -> Any:
        outer = self

        class Cat:
            def request(self, allocation: str, *, params: dict[str, Any], **_: Any) -> Answer:
                if params["path"] not in outer.files:
                    raise BaseNomadException(Answer(b"", "not found"))
                return Answer(outer.files[params["path"]])

        return Cat()

    def dispatch_job(self, job: str, meta: dict[str, str]) -> dict[str, str]:
        if job != "build-agent":
            raise BaseNomadException(Answer(b"", "job not found\n"))
        return {"DispatchedJobID": f"{job}/dispatch-1", "EvalID": "e1"}

    def get_evaluation(self, identity: str) -> dict[str, Any]:
        return self.evaluated

    def request(self, job: str, *path: str, method: str) -> Answer:
        assert job == "build-agent%2Fdispatch-1"
        if method == "delete":
            self.stopped.append(job)
            return Answer({})
        self.seen(self._count)
        found = self.looks[min(self._count, len(self.looks) - 1)]
        self._count += 1
        return Answer(found)


def allocation(client: str, *events: dict[str, Any], identity: str = "a1") -> dict[str, Any]:
    states = {"agent": {"Events": list(events)}}
    return {"ID": identity, "CreateIndex": 1, "ClientStatus": client, "TaskStates": states}


def terminated(status: int) -> dict[str, Any]:
    return {"Type": "Terminated", "Details": {"exit_code": str(status)}, "DisplayMessage": "Exit Code"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.dispatched.PAUSE", 0.001)


class TestFollowing:
    def test_each_line_comes_once_and_the_last_without_its_end(self) -> None:
        nomad = Nomad([[], [allocation("running")], [allocation("running")], [allocation("complete", terminated(0))]])
        written = {1: b"first\nsec", 2: b"first\nsecond\n", 3: b"first\nsecond\nlast"}
        nomad.seen = lambda count: nomad.logs.update(stderr=written.get(count, nomad.logs.get("stderr", b"")))
        lines: list[tuple[str, str]] = []
        run = Dispatched.start(nomad, "build-agent", {})
        assert run.follow(10, lambda stream, line: lines.append((stream, line))) == 0
        assert lines == [("stderr", "first"), ("stderr", "second"), ("stderr", "last")]

    def test_gives_the_agents_status(self) -> None:
        nomad = Nomad([[allocation("failed", terminated(9))]])
        assert Dispatched.start(nomad, "build-agent", {}).follow(10, print) == 9

    def test_says_why_it_never_ran(self) -> None:
        failed = {"Type": "Driver Failure", "DisplayMessage": "no such image"}
        nomad = Nomad([[allocation("failed", failed)]])
        with pytest.raises(DispatchFailed, match="no such image"):
            Dispatched.start(nomad, "build-agent", {}).follow(10, print)

    def test_says_why_no_node_takes_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jobs.dispatched.PLACE_LIMIT", 0.01)
        metric = {"NodesEvaluated": 1, "DimensionExhausted": {"memory": 1}}
        nomad = Nomad([[]], evaluated={"Status": "complete", "FailedTGAllocs": {"agent": metric}})
        with pytest.raises(DispatchFailed, match="1 lack memory"):
            Dispatched.start(nomad, "build-agent", {}).follow(10, print)

    def test_outlasts_a_nomad_that_is_away_for_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(count: int) -> None:
            nomad._count += 1
            if count < 3:
                raise BaseNomadException(Answer(b"", "connection refused"))

        nomad = Nomad([[allocation("complete", terminated(0))]], seen=away)
        assert Dispatched.start(nomad, "build-agent", {}).follow(10, print) == 0
        nomad = Nomad([[]], seen=lambda count: away(0))
        monkeypatch.setattr("jobs.dispatched.AWAY_LIMIT", 0.01)
        with pytest.raises(DispatchFailed, match="connection refused"):
            Dispatched.start(nomad, "build-agent", {}).follow(10, print)

    def test_ends_at_the_limit(self) -> None:
        nomad = Nomad([[allocation("running")]])
        with pytest.raises(DispatchFailed, match="which is the limit"):
            Dispatched.start(nomad, "build-agent", {}).follow(0.02, print)

    def test_a_job_that_is_not_there_is_said(self) -> None:
        with pytest.raises(DispatchFailed, match="job not found"):
            Dispatched.start(Nomad([[]]), "another", {})

    def test_stopping_passes_on_what_is_said_meanwhile(self) -> None:
        nomad = Nomad([[allocation("running")], [allocation("complete", terminated(130))]], {"stderr": b"put away\n"})
        run = Dispatched.start(nomad, "build-agent", {})
        lines: list[str] = []
        assert run.stop(lambda _, line: lines.append(line))
        assert lines == ["put away"]
        assert nomad.stopped == ["build-agent%2Fdispatch-1"]

    def test_records_are_fetched_if_there_are_any(self) -> None:
        nomad = Nomad([[allocation("complete", terminated(0))]])
        run = Dispatched.start(nomad, "build-agent", {})
        assert run.records() == b""
        run.follow(10, print)
        assert run.records() == b""
        nomad.files["alloc/data/records.tar.gz"] = b"packed"
        assert run.records() == b"packed"


def test_reasons_name_what_does_not_fit() -> None:
    metric = {"NodesEvaluated": 2, "ConstraintFiltered": {"missing compatible host volumes": 2}}
    assert reasons_of(metric) == ["2 don't fit: missing compatible host volumes"]
    assert reasons_of({}) == ["there is no node"]


def test_without_the_admins_credential_nothing_is_dispatched(tmp_path: Path) -> None:
    with pytest.raises(DispatchFailed, match="the admin's credential"):
        connect(Places(tmp_path), "builds")
    (tmp_path / "nomad.token").write_text("secret\n")
    known = {"nomad": {"address": "http://127.0.0.1:4646", "authentication": {"token_file": "nomad.token"}}}
    (tmp_path / "connections.json").write_text(json.dumps(known))
    client = connect(Places(tmp_path), "builds")
    assert (client.job.token, client.job.namespace) == ("secret", "builds")
