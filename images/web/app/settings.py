"""The service's settings, from flags or from environment variables."""

import argparse
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The address to listen on, and the files whose content may change while the service runs.

    `certificate_file` contains the certificate and then its chain, `key_file` the private key; both may be one file.
    `message_file` and `secret_file` are read on every request. All PEM and text files are UTF-8.
    """

    address: str
    port: int
    certificate_file: Path
    key_file: Path
    message_file: Path
    secret_file: Path
    environment: str
    branch: str
    instance: str


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from `arguments`; a missing flag is read from its variable (`--port` from `WEB_PORT`).

    Exits with status 2 and a sentence when one is missing or malformed, as argparse does.
    """
    parser = argparse.ArgumentParser(prog="web", description="An example HTTPS service")

    def setting(name: str, meaning: str, default: str | None) -> None:
        variable = "WEB_" + name.upper().replace("-", "_")
        value = environment.get(variable) or default
        parser.add_argument(f"--{name}", default=value, required=value is None, help=f"{meaning} ({variable})")

    setting("address", "address to listen on", "127.0.0.1")
    setting("port", "port to listen on", None)
    setting("certificate-file", "PEM: certificate, then its chain", None)
    setting("key-file", "PEM: private key", None)
    setting("message-file", "text shown on the page", None)
    setting("secret-file", "secret with which /proof answers", None)
    setting("environment", "name of the environment", "none")
    setting("branch", "branch that the environment is for", "none")
    setting("instance", "name of this instance", environment.get("NOMAD_ALLOC_ID") or socket.gethostname())
    given = parser.parse_args(arguments)
    if not given.port.isdecimal() or not 0 <= int(given.port) <= 65535:
        parser.error(f"port {given.port!r} is not a number from 0 to 65535")
    return Settings(
        address=given.address,
        port=int(given.port),
        certificate_file=Path(given.certificate_file),
        key_file=Path(given.key_file),
        message_file=Path(given.message_file),
        secret_file=Path(given.secret_file),
        environment=given.environment,
        branch=given.branch,
        instance=given.instance,
    )
