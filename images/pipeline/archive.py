"""Makes an image archive from a root file system: one layer, and a configuration without times of the build.

The same root file system and configuration give the same image id. `docker import` doesn't, because it adds
the time. Packer runs this as `python -m images.pipeline.archive`. The layout is that of `docker save`
(https://github.com/moby/docker-image-spec, version 1.2).
"""

import argparse
import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class HealthCheck:
    """A command that the engine runs in a container; all times in seconds.

    The container is unhealthy when the command failed `retries` times in a row.
    """

    command: Sequence[str]
    interval: int
    timeout: int
    start_period: int = 0
    retries: int = 3


@dataclass(frozen=True)
class Configuration:
    """The configuration of the image: `created` in seconds since 1970, `user` as uid:gid."""

    created: int
    user: str
    env: Mapping[str, str]
    labels: Mapping[str, str]
    command: Sequence[str]
    architecture: str
    health: HealthCheck | None = None


def write_archive(rootfs: Path, configuration: Configuration, output: Path) -> str:
    """Writes the archive to `output` and returns the digest of its configuration, `sha256:<hex>`.

    Raises OSError when a file can't be read or written.
    """
    layer = _digest(rootfs)
    document = json.dumps(_image(configuration, layer), sort_keys=True, separators=(",", ":")).encode()
    name = hashlib.sha256(document).hexdigest()
    manifest = json.dumps([{"Config": f"{name}.json", "RepoTags": None, "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "manifest.json", manifest)
        _add(archive, f"{name}.json", document)
        entry = tarfile.TarInfo("layer.tar")
        entry.size = rootfs.stat().st_size
        with rootfs.open("rb") as file:
            archive.addfile(entry, file)
    return f"sha256:{name}"


def _image(configuration: Configuration, layer: str) -> dict[str, object]:
    moment = datetime.fromtimestamp(configuration.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **configuration.env}
    config: dict[str, object] = {
        "User": configuration.user,
        "Env": [f"{key}={value}" for key, value in env.items()],
        "Cmd": list(configuration.command),
        "Labels": dict(configuration.labels),
        "WorkingDir": "/",
    }
    if (health := configuration.health) is not None:
        config["Healthcheck"] = {
            "Test": ["CMD", *health.command],
            "Interval": health.interval * NANOSECONDS,
            "Timeout": health.timeout * NANOSECONDS,
            "StartPeriod": health.start_period * NANOSECONDS,
            "Retries": health.retries,
        }
    return {
        "architecture": configuration.architecture,
        "os": "linux",
        "created": moment,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        "history": [{"created": moment, "created_by": "mmdebstrap"}],
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def main() -> int:
    """Reads the configuration as JSON from the variable CONFIGURATION and prints the digest."""
    parser = argparse.ArgumentParser(prog="images.pipeline.archive", description=__doc__)
    parser.add_argument("--rootfs", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    machine = os.uname().machine
    wanted = json.loads(os.environ["CONFIGURATION"])
    health = HealthCheck(**wanted.pop("health")) if "health" in wanted else None
    configuration = Configuration(**wanted, health=health, architecture=ARCHITECTURES.get(machine, machine))
    print(write_archive(given.rootfs, configuration, given.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
