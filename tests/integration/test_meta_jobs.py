"""The jobs of the meta environment, as Nomad itself reads them, and PostgreSQL as it runs there."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from environments.providers.local_cluster.trust.cluster import Trust
from environments.providers.local_cluster.trust.names import OPENBAO_UI, PART_NAMES, UI_NAME
from environments.providers.nomad import values as nomad_values
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.rules import adopt
from environments.steps.base import Owner
from jobs.meta_template import meta_bundle
from tests.support import images_here
from tests.support.authorities import make_authority
from tests.support.cluster import Cluster
from tests.support.service_process import free_port
from tests.support.web_harness import Made, leftovers, tools, until

SERVICE = {
    "environment": "meta",
    "image": "sha256:" + "a" * 64,
    "deployer": "ada",
    "deployer_token": "a:b",
    "parts_ca": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
}
DATABASE = {"environment": "meta", "image": "sha256:" + "b" * 64, "parts_ca": SERVICE["parts_ca"]}
URL = "postgresql://calvinverse@postgres.calvinverse.internal:8432/calvinverse?hostaddr=127.0.0.1&sslmode=verify-full"
MANAGERS = {"nomad-manager", "consul-manager", "openbao-manager"}


@pytest.fixture
def read(cluster: Cluster) -> Any:
    """Reads a job file with values of its variables, and lets Nomad validate the job."""
    nomad = cluster.connections.caller("nomad")

    def read(file: str, **variables: Any) -> dict[str, Any]:
        text = meta_bundle(edge=True).text(file)
        parsed = nomad_values.read(NomadClient(lambda: cluster.connections).parse, text, variables)
        job = adopt(parsed, file.partition(".")[0], Owner("env-meta", "meta"), trusted=True)
        answer = nomad.call("PUT", "/v1/validate/job", {"Job": {**job, "Namespace": "default"}})
        assert not answer["Error"], answer
        return job

    return read


@pytest.mark.parametrize(
    ("source", "written", "settings", "volumes"),
    [
        ("authority", "edge.pem", "EDGE_CERTIFICATE_FILE", []),
        ("files", "edge.pem", "EDGE_CERTIFICATE_FILE", []),
        ("acme", "acme-account", "EDGE_ACME_DIRECTORY", ["calvinverse-edge"]),
    ],
)
def test_the_edge_gets_its_certificate_where_it_was_chosen(
    read: Any, source: str, written: str, settings: str, volumes: list[str]
) -> None:
    job = read(
        "edge.nomad.hcl",
        environment="meta",
        image=SERVICE["image"],
        source=source,
        acme_directory="https://ca.example/directory",
    )
    (group,) = job["TaskGroups"]
    (task,) = group["Tasks"]
    assert files(group) == {"edge-secret", written}
    assert settings in task["Env"]
    assert ("EDGE_CERTIFICATE_FILE" in task["Env"]) != (source == "acme")
    # It runs where the service does, so it asks for the service's volume without mounting it.
    assert sorted(volume["Source"] for volume in group["Volumes"].values()) == ["calvinverse-data", *volumes]
    assert len(task["VolumeMounts"] or []) == len(volumes)
    (check,) = group["Services"][0]["Checks"]
    assert check["TLSSkipVerify"] == (source != "authority")


def test_an_authority_of_ones_own_reaches_the_edge_by_its_environment(read: Any) -> None:
    job = read(
        "edge.nomad.hcl",
        environment="meta",
        image=SERVICE["image"],
        source="acme",
        acme_directory="https://ca",
        acme_ca="{{ not run }}",
    )
    (group,) = job["TaskGroups"]
    assert "acme-ca.pem" in files(group)
    assert "not run" not in json.dumps(group["Tasks"][0]["Templates"])
    assert group["Tasks"][0]["Env"]["ACME_CA"] == "{{ not run }}"


def groups(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {group["Name"]: group for group in job["TaskGroups"]}


def files(group: dict[str, Any]) -> set[str]:
    """Names of the files that Nomad writes for the one task of a group."""
    (task,) = group["Tasks"]
    return {template["DestPath"].rpartition("/")[2] for template in task["Templates"]}


def test_with_sqlite_the_service_is_alone_and_shares_no_secret(read: Any) -> None:
    job = read("provisioning.nomad.hcl", **SERVICE)
    assert list(groups(job)) == ["provisioning"]
    (task,) = groups(job)["provisioning"]["Tasks"]
    written = {"connections.json", "certificate.pem", "parts-ca.pem"}
    assert files(groups(job)["provisioning"]) == written | {f"{part}-ca.pem" for part in ("consul", "nomad", "openbao")}
    assert task["Env"]["CALVINVERSE_DATABASE"] == task["Env"]["PGSSLROOTCERT"] == ""


@pytest.mark.parametrize("verified", [True, False])
def test_service_and_workers_serve_with_certificates_of_their_own_names(read: Any, verified: bool) -> None:
    """Consul verifies them, unless it isn't ours and doesn't know the authority."""
    job = read("provisioning.nomad.hcl", **SERVICE, database=URL, workers=1, verified_checks=verified)
    for group, part in (("provisioning", "provisioning"), ("workers", "worker")):
        (task,) = groups(job)[group]["Tasks"]
        assert task["Env"]["CERTIFICATE_NAME"] == f"{part}.calvinverse.internal"
        assert task["Env"]["CALVINVERSE_TLS_CERTIFICATE"] == task["Env"]["CALVINVERSE_TLS_KEY"]
        (certificate,) = [found for found in task["Templates"] if found["DestPath"].endswith("/certificate.pem")]
        assert certificate["ChangeMode"] == "noop"  # the service reads it again by itself
        (service,) = groups(job)[group]["Services"]
        assert service["Meta"]["scheme"] == "https"
        (check,) = service["Checks"]
        assert (check["Protocol"], check["TLSServerName"]) == ("https", f"{part}.calvinverse.internal")
        assert check["TLSSkipVerify"] is not verified


def test_every_process_reads_the_channels_of_warnings_out_of_openbao(read: Any) -> None:
    found = groups(read("provisioning.nomad.hcl", **SERVICE, database=URL, workers=1, warnings=True))
    for group in found.values():
        (task,) = group["Tasks"]
        assert "warning-channels.toml" in files(group)
        assert task["Env"]["CALVINVERSE_WARNING_CHANNELS"] == "${NOMAD_SECRETS_DIR}/warning-channels.toml"
    without = read("provisioning.nomad.hcl", **SERVICE, external_address="https://calvinverse.example.org:8443")
    (task,) = groups(without)["provisioning"]["Tasks"]
    assert task["Env"]["CALVINVERSE_WARNING_CHANNELS"] == ""
    assert task["Env"]["CALVINVERSE_EXTERNAL_ADDRESS"] == "https://calvinverse.example.org:8443"


def test_the_service_alone_reads_the_identity_providers_out_of_openbao(read: Any) -> None:
    found = groups(read("provisioning.nomad.hcl", **SERVICE, database=URL, workers=1, providers=True))
    (service,), (worker,) = found["provisioning"]["Tasks"], found["workers"]["Tasks"]
    assert "identity-providers.toml" in files(found["provisioning"])
    assert "identity-providers.toml" not in files(found["workers"])
    assert service["Env"]["CALVINVERSE_IDENTITY_PROVIDERS"] == "${NOMAD_SECRETS_DIR}/identity-providers.toml"
    assert "CALVINVERSE_IDENTITY_PROVIDERS" not in worker["Env"]


@pytest.mark.parametrize("workers", [0, 3])
def test_with_postgresql_all_processes_share_database_key_and_identities(read: Any, workers: int) -> None:
    found = groups(read("provisioning.nomad.hcl", **SERVICE, database=URL, workers=workers))
    assert {name: group["Count"] for name, group in found.items()} == (
        {"provisioning": 1, "workers": workers} if workers else {"provisioning": 1}
    )
    for name, group in found.items():
        (task,) = group["Tasks"]
        assert task["Env"]["CALVINVERSE_DATABASE"] == URL
        assert task["Env"]["PGSSLROOTCERT"] == "${NOMAD_SECRETS_DIR}/parts-ca.pem"
        assert task["Env"]["CALVINVERSE_DATABASE_PASSWORD_FILE"].endswith("/database-password")
        assert task["Env"]["CALVINVERSE_SEALING_KEY"].endswith("/sealing-key")
        assert task["Env"].get("CALVINVERSE_ROLE") == ("worker" if name == "workers" else None)
        assert {"database-password", "sealing-key", "connections.json"} <= files(group)
        assert {identity["Name"] for identity in task["Identities"]} >= MANAGERS
        assert task["Vault"]["DisableFile"] is True
        assert task["Vault"]["Env"] is False
        (service,) = group["Services"]
        assert service["Checks"][0]["Path"] == "/self/readiness"
        assert bool(task["VolumeMounts"]) == (name == "provisioning")


def test_the_web_page_has_its_certificate_and_no_secret_or_identity(read: Any) -> None:
    job = read("ui.nomad.hcl", environment="meta", image=SERVICE["image"], parts_ca=SERVICE["parts_ca"], port=9003)
    (group,) = job["TaskGroups"]
    (task,) = group["Tasks"]
    assert files(group) == {"certificate.pem", "parts-ca.pem"}
    assert task["Vault"]["Role"] == OPENBAO_UI
    assert (task["Vault"]["Env"], task["Vault"]["DisableFile"]) == (False, True)
    assert not task["VolumeMounts"]
    assert [one for one in task["Identities"] or [] if one.get("Env") or one.get("File")] == []
    assert task["Config"]["readonly_rootfs"] is True
    assert group["Networks"][0]["ReservedPorts"][0]["Value"] == 9003
    assert task["Env"]["CALVINVERSE_UI_SERVICE_NAME"] == PART_NAMES["provisioning"]
    (service,) = group["Services"]
    assert service["Name"] == "meta--ui"
    assert (service["Checks"][0]["Path"], service["Checks"][0]["TLSServerName"]) == ("/ui/health", UI_NAME)


@pytest.mark.parametrize("port", [0, 9003])
def test_the_edge_knows_the_web_page_where_there_is_one(read: Any, port: int) -> None:
    given = {"environment": "meta", "image": SERVICE["image"], "parts_ca": SERVICE["parts_ca"]}
    (group,) = read("edge.nomad.hcl", **given, ui_port=port)["TaskGroups"]
    found = {name: value for name, value in group["Tasks"][0]["Env"].items() if name.startswith("EDGE_UI")}
    assert found == (
        {
            "EDGE_UI": "https://127.0.0.1:9003",
            "EDGE_UI_CA_FILE": "${NOMAD_SECRETS_DIR}/parts-ca.pem",
            "EDGE_UI_NAME": UI_NAME,
            "EDGE_UI_SECRET_FILE": "${NOMAD_SECRETS_DIR}/page-secret",
        }
        if port
        else {}
    )


def test_postgresql_is_told_its_password_in_a_file_alone(read: Any) -> None:
    (group,) = groups(read("postgres.nomad.hcl", **DATABASE, instances=1, port=9001)).values()
    assert group["Count"] == 1
    assert group["Networks"][0]["ReservedPorts"][0]["Value"] == 9001
    assert [volume["Source"] for volume in group["Volumes"].values()] == ["calvinverse-postgres"]
    (task,) = group["Tasks"]
    assert task["Env"]["DATABASE_PASSWORD_FILE"] == "${NOMAD_SECRETS_DIR}/password"
    assert files(group) == {"password", "certificate.pem"}
    assert task["KillSignal"] == "SIGINT"
    assert [service["Name"] for service in group["Services"]] == ["meta--postgres"]


def test_without_an_instance_nobody_waits_for_its_service(read: Any) -> None:
    (group,) = groups(read("postgres.nomad.hcl", environment="meta", image="", instances=0, parts_ca="x")).values()
    assert (group["Count"], group["Services"] or []) == (0, [])


@pytest.fixture
def files_of_postgres(cluster: Cluster) -> Iterator[Path]:
    """The host volume, which stays when a job goes; emptied afterwards."""
    volume = cluster.state / "volumes" / "calvinverse-postgres"
    yield volume
    for path in volume.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def made(cluster: Cluster) -> Iterator[Made]:
    """A meta environment on the cluster of the tests, with nothing in it yet."""
    made = Made(tools(cluster.connections), Owner("env-meta", "meta"), meta_bundle())
    yield made
    made.destroy()


def container(cluster: Cluster) -> dict[str, Any]:
    """What the engine knows of the PostgreSQL that works on the cluster's files; empty if there is none."""
    command = ["docker", "ps", "--quiet", "--filter", "name=^/postgres-"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    for found in listed.stdout.split():
        done = subprocess.run(["docker", "inspect", found], capture_output=True, text=True, check=False, timeout=120)
        for item in json.loads(done.stdout or "[]"):
            if any(mount["Source"].startswith(f"{cluster.state}/") for mount in item["Mounts"]):
                return dict(item)
    return {}


def test_postgresql_runs_there_keeps_what_it_has_and_leaves_nothing(
    cluster: Cluster, made: Made, files_of_postgres: Path, tmp_path: Path
) -> None:
    before = leftovers(cluster.connections)
    parameters: dict[str, Any] = {
        "database": "postgresql",
        "postgres_image": images_here.reference("postgres"),
        "database_port": free_port(),
    }
    steps = ("database-password", "sealing-key", "postgres")
    made.apply(steps, **parameters)
    vault = cluster.connections.caller("vault")
    secret = vault.call("GET", "/v1/secret/data/environments/meta/database-password")["data"]["data"]["password"]

    authority = tmp_path / "parts-ca.pem"
    authority.write_text(Trust(cluster.connections).parts_authority())

    def connect(password: str = secret, mode: str = "verify-full") -> psycopg.Connection:
        address: dict[str, Any] = {
            "host": "postgres.calvinverse.internal",
            "hostaddr": "127.0.0.1",
            "port": parameters["database_port"],
            "sslmode": mode,
            "connect_timeout": 60,
        }
        if mode == "verify-full":
            address["sslrootcert"] = str(authority)
        return psycopg.connect(user="calvinverse", dbname="calvinverse", password=password, **address)

    def accepts() -> bool:
        # Its check passes as soon as it listens, when it may still be starting.
        try:
            connect().close()
        except psycopg.OperationalError as error:
            if "starting up" not in str(error):
                raise
            return False
        return True

    until(accepts, seconds=120)
    with connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'here' AS word")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect("another")
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        connect(mode="disable")
    authority.write_text(make_authority().pem)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        connect()
    authority.write_text(Trust(cluster.connections).parts_authority())
    first = container(cluster)
    assert secret not in json.dumps([first["Config"], first["Args"]])
    assert first["HostConfig"]["IpcMode"] != "host"

    made.apply(steps, **parameters)  # again: the same password, the same container
    assert container(cluster)["Id"] == first["Id"]
    subprocess.run(["docker", "kill", "--signal=KILL", first["Id"]], check=True, capture_output=True, timeout=120)
    until(lambda: container(cluster).get("Id", first["Id"]) != first["Id"], seconds=120)

    def word() -> object:
        try:
            with connect() as connection:
                return connection.execute("SELECT word FROM kept").fetchone()
        except psycopg.OperationalError:
            return None

    until(lambda: word() == ("here",), seconds=120)
    assert files_of_postgres.joinpath("data", "PG_VERSION").read_text() == "15\n"

    made.destroy()
    assert made.left() == []
    assert container(cluster) == {}
    after = leftovers(cluster.connections)
    assert {kind: names - before[kind] for kind, names in after.items() if names - before[kind]} == {}


def test_with_sqlite_the_job_stands_there_with_nothing_running(cluster: Cluster, made: Made) -> None:
    made.apply(("database-password", "postgres"))
    assert made.outputs["postgres"]["services"] == {}
    assert container(cluster) == {}
    nomad = cluster.connections.caller("nomad")
    assert nomad.call("GET", "/v1/job/postgres/allocations?namespace=meta") == []
    made.apply(("database-password", "postgres"))
