"""Whatever is in a file of the state, or in its place: a sentence with its path and what to do, or it does no harm."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from environments.client import connect
from environments.context import find_context
from environments.domain.errors import CalvinverseError
from environments.named_contexts import names
from environments.private_files import private_folder
from environments.providers.local_cluster.agents import certificate_keeper, networks
from environments.providers.local_cluster.agents.host import LocalCluster
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.authority import keep_authority
from environments.providers.local_cluster.isolation import records
from environments.stores.sealing import KeyFileSealer
from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel
from images.catalogue.records import Records
from images.catalogue.transit import find_signer
from images.toolchain.clean import removable
from images.toolchain.find import VersionMemory
from jobs import deploy, dispatched, doctor
from jobs.places import Places
from jobs.status import listeners, status_lines
from tests.support.state_garbage import FILES, GARBAGE, NOW, make_state


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder and a cache as a deployment and people leave them; nothing runs."""
    make_state(tmp_path / "state", monkeypatch)
    return tmp_path / "state"


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
    built = Records(state, "web")
    built.all()
    built.unfinished()


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


def _openbao(state: Path) -> None:
    agents = LocalAgents(state, {})
    private_folder(agents.openbao.data)
    agents.openbao.configure()
    agents.openbao._recovery()
    agents.openbao._audit_trail.settle()


def _isolation(state: Path) -> None:
    records.Records(state / "agents" / "nomad" / "isolation").settings()


def _consul(state: Path) -> None:
    LocalAgents(state, {}).consul._write_trusted()


def _keeper(state: Path) -> None:
    certificate_keeper.told(state / "agents" / "certificates" / "config.json")


def _claims(state: Path) -> None:
    data = state / "agents" / "nomad" / "data"
    networks.subnets_of(data)
    assert networks.claim(data, networks.kept_subnet(state / "agents" / "nomad" / "subnet"))
    networks.release(data)


def _sealer(state: Path) -> None:
    KeyFileSealer(state / "local" / "parameters.key").seal({})


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
    _openbao: ("credentials/openbao-", "credentials/cluster.json", "agents/openbao/"),
    _isolation: ("agents/nomad/isolation/",),
    _consul: ("credentials/ca.pem",),
    _keeper: ("agents/certificates/",),
    _claims: ("claims/", "agents/nomad/subnet"),
    _sealer: ("local/",),
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
