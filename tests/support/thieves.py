"""Programs that take a part's port while the part is down: as a job with the network of its node, as another user."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from environments.providers.backend.calls import Caller
from environments.providers.backend.connections import Connections
from tests.fakes import port_thief
from tests.support import images_here

LIMIT = 120.0
NOBODY = 65534


class Thief:
    """One of them; `read` gives the lines that it has printed so far, `stop` lets it give the port back."""

    def __init__(self, read: Callable[[], str], stop: Callable[[], None]) -> None:
        self._read = read
        self.stop = stop

    def events(self, kind: str) -> list[dict[str, str]]:
        """Its events of a kind; see `port_thief`."""
        found = []
        for line in self._read().splitlines():
            with contextlib.suppress(ValueError):  # a line that isn't whole yet
                event = json.loads(line)
                if event["event"] == kind:
                    found.append(event)
        return found

    def wait_for(self, kind: str, peer: str = "") -> None:
        """Waits for an event of a kind; of a caller at that address, if one is given."""
        end = time.monotonic() + LIMIT
        while not [event for event in self.events(kind) if peer in ("", event.get("peer"))]:
            assert time.monotonic() < end, f"no event {kind!r} of {peer or 'anybody'}: {self._read()}"
            time.sleep(0.05)


def stolen_certificate(vault: Caller, name: str) -> str:
    """A certificate, with its key, for a part's name and address, as a template author can have it for any name."""
    vault.call("POST", "/v1/pki/roles/thief", {"allow_any_name": True, "max_ttl": "1h", "require_cn": False})
    body = {"common_name": name, "ip_sans": "127.0.0.1"}
    made = vault.call("POST", "/v1/pki/issue/thief", body)["data"]
    vault.call("DELETE", "/v1/pki/roles/thief")
    return f"{made['private_key']}\n{made['certificate']}\n"


@contextmanager
def another_user(state: Path, connections: Connections, port: int, pem: str) -> Iterator[Thief]:
    """A process of `nobody`. `state` is the folder of the cluster or deployment that `connections` lead to."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin")
    setpriv = shutil.which("setpriv")
    assert python, "no Python that other users may run"
    assert setpriv, "no setpriv to become another user with"
    log = state / "thief.log"
    source = Path(port_thief.__file__).read_text()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", python, "-I", "-c", source],
            env={"PORT": str(port), "PEM": pem, "PATH": os.defpath},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def stop() -> None:
        process.kill()
        process.wait(60)

    try:
        yield Thief(log.read_text, stop)
    finally:
        stop()


@contextmanager
def a_job(state: Path, connections: Connections, port: int, pem: str) -> Iterator[Thief]:
    """A container of Nomad with the network of its node; it lives on while Nomad is down. See `another_user`."""
    nomad = connections.caller("nomad", timeout=30)
    task: dict[str, Any] = {
        "Name": "app",
        "Driver": "docker",
        "User": "10001",
        "Env": {"PORT": str(port), "PEM": pem, "SOURCE": Path(port_thief.__file__).read_text()},
        "Config": {
            "image": images_here.reference("base"),
            "force_pull": False,
            "network_mode": "host",
            "entrypoint": ["bash", "-c", 'exec python3 -I -u -c "$SOURCE" > "$NOMAD_TASK_DIR/said" 2>&1'],
        },
        "Resources": {"CPU": 50, "MemoryMB": 64},
    }
    group = {
        "Name": "app",
        "Tasks": [task],
        "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
        "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
    }
    job = {
        "ID": "thief",
        "Name": "thief",
        "Namespace": "thief",
        "Type": "service",
        "Datacenters": ["*"],
        "TaskGroups": [group],
    }
    nomad.call("PUT", "/v1/namespace/thief", {"Name": "thief"})
    nomad.call("POST", "/v1/jobs?namespace=thief", {"Job": job})
    allocation, said = _running(state, nomad)

    def stop() -> None:
        command = ["docker", "kill", f"app-{allocation}"]
        subprocess.run(command, capture_output=True, check=False, timeout=60)

    try:
        yield Thief(lambda: said.read_text(errors="replace"), stop)
    finally:
        stop()
        nomad.call("DELETE", "/v1/job/thief?namespace=thief&purge=true")
        _until_gone(nomad)


def _running(state: Path, nomad: Caller) -> tuple[str, Path]:
    """Its allocation, and the file that it writes to, in the folder of the allocation: Nomad may be down later."""
    end = time.monotonic() + LIMIT
    while True:
        for stub in nomad.call("GET", "/v1/job/thief/allocations?namespace=thief") or []:
            file = state / "agents" / "nomad" / "data" / "alloc" / stub["ID"] / "app" / "local" / "said"
            if stub["ClientStatus"] == "running" and file.exists():
                return stub["ID"], file
        assert time.monotonic() < end, "the job of the thief doesn't run"
        time.sleep(0.1)


def _until_gone(nomad: Caller) -> None:
    end = time.monotonic() + LIMIT
    while True:
        stubs = nomad.call("GET", "/v1/allocations?namespace=thief") or []
        if all(stub["ClientStatus"] in ("complete", "failed", "lost") for stub in stubs):
            return
        assert time.monotonic() < end, "the job of the thief doesn't end"
        time.sleep(0.1)
