"""Whatever is in a file of the state, or in its place: a sentence with its path and what to do, or it does no harm."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from environments.client import connect
from environments.context import Context, find_context, write_context
from environments.domain.errors import CalvinverseError
from environments.named_contexts import NamedContext, names, store
from environments.private_files import write_private
from environments.providers.backend.connections import Connections, Endpoint, TokenFile
from environments.providers.local_cluster.agents.host import LocalCluster
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.authority import keep_authority
from environments.stored_sessions import StoredSession
from environments.stored_sessions import store as store_session
from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel
from images.catalogue.records import Records
from images.catalogue.transit import find_signer
from images.toolchain.clean import removable
from images.toolchain.find import VersionMemory
from jobs import deploy, dispatched, doctor, status
from jobs.places import Places
from jobs.status import listeners, status_lines

NOW = datetime(2026, 11, 28, tzinfo=UTC)
GONE = "https://127.0.0.1:9"

Place = Callable[[Path], None]


def _bytes(content: bytes) -> Place:
    def put(path: Path) -> None:
        path.write_bytes(content)

    return put


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").touch()


def _loop(path: Path) -> None:
    """It can't be read, not by root either."""
    path.unlink()
    path.symlink_to(path)


GARBAGE: dict[str, Place] = {
    "empty": _bytes(b""),
    "list": _bytes(b"[]"),
    "null": _bytes(b"null"),
    "half": _bytes(b"{"),
    "number": _bytes(b'{"consul": 5, "vault": 5, "nomad": 5}'),
    "binary": _bytes(b"\xff\xfe\x00\x80" * 10),
    "nested": _bytes(b"[" * 100_000),
    "folder": _folder,
    "unreadable": _loop,
}

FILES = (
    "context.json",
    "connections.json",
    "token",
    "service-ca.pem",
    "contexts/current",
    "contexts/far.json",
    "contexts/far.token",
    "sessions/far.json",
    "sessions/far.token",
    "credentials/cluster.json",
    "credentials/consul-admin.token",
    "credentials/nomad-admin.token",
    "credentials/openbao-admin.token",
    "credentials/parts-ca.pem",
    "credentials/parts-ca.key",
    "agents/consul/owner",
    "agents/nomad/subnet",
    "agents/nomad/config.json",
    "images/web/journal.jsonl",
    "images/web/current",
    "images/web/builds/1/record.json",
    "versions.json",
    "tools/go/1/build.json",
)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder and a cache as a deployment and people leave them; nothing runs."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    for name in ("CALVINVERSE_STATE", "CALVINVERSE_CACHE"):
        monkeypatch.setenv(name, str(state))
    monkeypatch.setattr(status, "_docker", lambda: status.Line("docker", "✗ doesn't answer"))
    LocalAgents(state, {})
    keep_authority(state / "credentials", NOW)
    parts = {}
    for part, agent in (("consul", "consul"), ("vault", "openbao"), ("nomad", "nomad")):
        token = state / "credentials" / f"{agent}-admin.token"
        write_private(token, "secret\n")
        ca = state / "credentials" / "parts-ca.pem"
        parts[part] = Endpoint(address=GONE, authentication=TokenFile(token_file=token), ca_file=ca)
    Connections(**parts).save(state / "connections.json")
    write_private(state / "service-ca.pem", (state / "credentials" / "parts-ca.pem").read_text())
    write_private(state / "token", f"cv_{'x' * 43}\n")
    write_context(state, Context(address=GONE, token_file=state / "token", ca_file=state / "service-ca.pem"))
    store(state, "far", NamedContext(address=GONE), "cv_far")
    store_session(state, "far", StoredSession(address=GONE, user_name="ada"), "cv_session")
    write_private(state / "contexts" / "current", "far\n")
    write_private(state / "tools" / "go" / "1" / "build.json", "{}")
    for name in FILES:
        if not (state / name).exists():
            write_private(state / name, "1")
    return state


def _contexts(state: Path) -> None:
    for name in (None, "far"):
        with connect(find_context(name=name)):
            pass
    names(state)


def _status(state: Path) -> None:
    status_lines(Places(state))
    listeners(Places(state))


def _doctor(state: Path) -> None:
    list(doctor.authority(Places(state), NOW))


def _dispatch(state: Path) -> None:
    dispatched.connect(Places(state), "builds")


def _signer(state: Path) -> None:
    find_signer(state)


def _images(state: Path) -> None:
    catalogue = Catalogue(state, docker=SimpleNamespace(image_ids=lambda ids: []))  # type: ignore[arg-type]
    catalogue.at("web", Channel.QA)
    records = Records(state, "web")
    records.all()
    records.unfinished()


def _tools(state: Path) -> None:
    VersionMemory(state / "versions.json")._load()
    removable()


def _cluster(state: Path) -> None:
    cluster = LocalCluster(state)
    for agent in ("consul", "openbao", "nomad"):
        cluster.find(agent)
    agents = LocalAgents(state, {})
    agents.observe()
    keep_authority(state / "credentials", NOW)


def _token(state: Path) -> None:
    deploy._own_token(Places(state), lambda line: None)


READERS: dict[Callable[[Path], None], tuple[str, ...]] = {
    _contexts: ("context.json", "token", "service-ca.pem", "contexts/", "sessions/"),
    _status: ("context.json", "token", "service-ca.pem", "connections.json", "credentials/"),
    _doctor: ("service-ca.pem",),
    _dispatch: ("connections.json", "credentials/"),
    _signer: ("connections.json", "credentials/"),
    _images: ("images/",),
    _tools: ("versions.json", "tools/"),
    _cluster: ("connections.json", "credentials/", "agents/"),
    _token: ("token",),
}
"""What reads files of the state, and which: names, or how they begin."""


@pytest.mark.parametrize("file", FILES)
def test_garbage_in_a_file_of_the_state_is_told_or_does_no_harm(state: Path, file: str) -> None:
    path = state / file
    kept = path.read_bytes()
    faults = []
    readers = [read for read, files in READERS.items() if file.startswith(files)]
    assert readers
    for name, put in GARBAGE.items():
        put(path)
        for read in readers:
            try:
                read(state)
            except CalvinverseError as error:
                told = f"{error.message} | {error.hint}"
                helps = str(path) in told or "calvinverse context use" in told
                if not helps or "report this" in told:
                    faults.append(f"{name}, {read.__name__}: {told}")
            except Exception as error:  # noqa: BLE001 - all of them are listed
                faults.append(f"{name}, {read.__name__}: {error!r}")
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.write_bytes(kept)
    assert not faults, "\n".join(faults)
