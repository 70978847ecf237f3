"""What is sent to a build environment, where to, and how a build there is followed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nomad.api.exceptions import BaseNomadException

from jobs.dispatched import Dispatched, connect, reasons_of
from jobs.errors import DispatchFailed
from jobs.places import Places
from jobs.sources import certificates, files, network
from tests.support.build_checkout import make_checkout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


class TestSources:
    def test_without_git_the_usual_folders_stay(self, checkout: Path) -> None:
        for name in (".venv/x", ".calvinverse/token", "a/__pycache__/x.pyc", "x.egg-info/y", "kept/z"):
            (checkout / name).parent.mkdir(parents=True)
            (checkout / name).touch()
        assert files(checkout) == ["images/one/image.toml", "images/one/provision/run.sh", "kept/z", "pyproject.toml"]

    def test_folders_behind_links_come_along(self, checkout: Path, tmp_path: Path) -> None:
        for name in ("a/.venv/x", "a/deep/z"):
            (checkout / name).parent.mkdir(parents=True)
            (checkout / name).touch()
        (tmp_path / "private").mkdir()
        (tmp_path / "private" / "x").touch()
        (checkout / "images" / "one" / "link").symlink_to(checkout / "a")
        (checkout / "away").symlink_to(tmp_path / "private")
        found = files(checkout)
        assert "images/one/link/deep/z" in found
        assert not [path for path in found if ".venv" in path or path.startswith("away")]

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

    def test_no_certificates_are_no_error(self, tmp_path: Path) -> None:
        assert certificates({"SSL_CERT_FILE": str(tmp_path / "none")}) == ""

    @pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "PIP_INDEX_URL"])
    def test_no_password_is_sent(self, name: str) -> None:
        with pytest.raises(DispatchFailed, match="contains a password") as caught:
            network({"PIP_INDEX_URL": "https://index/", name: "https://me:hunter2@there/"})
        assert "hunter2" not in caught.value.message


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
