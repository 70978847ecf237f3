"""Which tofu runs, where its providers come from, and its environment variables."""

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

from environments.domain.errors import MachineError
from environments.providers.opentofu.ports import StateAccess

VERSION_LIMIT = 20.0
"""Seconds that tofu may take to tell its version."""

OLDEST = (1, 10)
"""From this version on several runs may share a cache of providers."""

SETTINGS = "calvinverse.rc"
"""Name of the file with the CLI configuration in a work folder."""

SOCKETS = ".tmp"
"""Name of the folder for temporary files in a work folder."""

_KEPT = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
"""What a run needs of this machine's own environment to reach a registry of providers; nothing else is passed on."""


class Installation:
    """OpenTofu on this machine: `program` is its path or name, `mirror` has providers, `cache` gets others."""

    def __init__(self, program: str, mirror: Path | None, cache: Path) -> None:
        self._program = program
        self._mirror = mirror
        self._cache = cache
        self._guard = threading.Lock()
        self._known: dict[tuple[str, int, int], str] = {}

    def program(self, *, encrypted: bool) -> Path:
        """The program, after its version was checked. Raises `MachineError`; Terraform can't encrypt states."""
        found = shutil.which(self._program)
        if found is None:
            raise MachineError(
                f"There is no program {self._program!r} on this machine to apply OpenTofu modules with.",
                hint="Install OpenTofu 1.10 or later, or name it in the setting `tofu`; `doit tools` builds one.",
            )
        path = Path(found).resolve()
        said = self._version(path)
        if said.startswith("Terraform"):
            if encrypted:
                raise MachineError(
                    f"{found} is HashiCorp's Terraform, which can't encrypt the state: secrets would lie open in it.",
                    hint="Install OpenTofu and name it in the setting `tofu`; or set `encryption = false` in the step, "
                    "if the module holds no secret.",
                )
            return path
        version = re.match(r"OpenTofu v(\d+)\.(\d+)", said)
        if version is None or not OLDEST <= (int(version[1]), int(version[2])) < (2, 0):
            raise MachineError(
                f"{found} is no OpenTofu of a fitting version; it says {said.partition(chr(10))[0]!r}.",
                hint="Install OpenTofu 1.10 or later, before 2.",
            )
        return path

    def settings(self) -> str:
        """The CLI configuration: providers from the mirror as far as it has them, others through the shared cache."""
        if self._mirror is None:
            return f"plugin_cache_dir = {json.dumps(str(self._ready_cache()))}\n"
        names = sorted("/".join(found.parts[-3:]) for found in self._mirror.glob("*/*/*") if found.is_dir())
        listed = json.dumps(names)
        return (
            f"plugin_cache_dir = {json.dumps(str(self._ready_cache()))}\n"
            "provider_installation {\n"
            f"  filesystem_mirror {{\n    path = {json.dumps(str(self._mirror))}\n    include = {listed}\n  }}\n"
            f"  direct {{\n    exclude = {listed}\n  }}\n"
            "}\n"
        )

    def _ready_cache(self) -> Path:
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._cache

    def _version(self, path: Path) -> str:
        facts = path.stat()
        mark = (str(path), facts.st_mtime_ns, facts.st_size)
        with self._guard:
            if mark not in self._known:
                try:
                    ended = subprocess.run(
                        [str(path), "version"],
                        capture_output=True,
                        text=True,
                        errors="replace",
                        timeout=VERSION_LIMIT,
                        env={"PATH": os.defpath, "CHECKPOINT_DISABLE": "1"},
                        check=False,
                    )
                except (OSError, subprocess.TimeoutExpired) as error:
                    raise MachineError(f"{path} can't be run to tell its version: {error}.") from error
                self._known[mark] = ended.stdout.strip()
            return self._known[mark]


def environment(folder: Path, access: StateAccess, key: int | None) -> dict[str, str]:
    """All variables that a run of tofu in `folder` gets. `key` is a `key_file`; without one nothing is encrypted."""
    given = {
        # Relative: the sockets of providers are there, and the path of a socket has at most 107 characters.
        "TMPDIR": SOCKETS,
        "PATH": os.defpath,
        "HOME": str(folder),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": str(folder / SETTINGS),
        "TF_HTTP_ADDRESS": access.address,
        "TF_HTTP_LOCK_ADDRESS": access.address,
        "TF_HTTP_UNLOCK_ADDRESS": access.address,
        "TF_HTTP_USERNAME": access.username,
        "TF_HTTP_PASSWORD": access.password,
        "TF_HTTP_RETRY_WAIT_MAX": "4",
    }
    if access.ca:
        given["TF_HTTP_CLIENT_CA_CERTIFICATE_PEM"] = access.ca
    if key is not None:
        given["TF_ENCRYPTION"] = encryption(key)
    return {name: os.environ[name] for name in _KEPT if os.environ.get(name)} | given


def key_file(key: str) -> int:
    """A file in memory that holds a key (base64) as a program for tofu's `external` provider of keys would tell it.

    Its descriptor is handed on to tofu, so that the key is neither on a disk nor in the environment of a process.
    """
    told = {"keys": {"encryption_key": key, "decryption_key": key}, "meta": {"external_data": {}}}
    handle = os.memfd_create("key")
    with os.fdopen(handle, "w", closefd=False) as file:
        file.write('{"magic":"OpenTofu-External-Key-Provider","version":1}\n' + json.dumps(told))
    return handle


def encryption(handle: int) -> str:
    """Settings of tofu (HCL): both state and plans are encrypted, and unencrypted ones are refused.

    The key is used as it is: tofu's `pbkdf2` would take 200,000 rounds, 0.2 s each time that something is read or
    written, to stretch a key that has 256 random bits already.
    """
    use = "method = method.aes_gcm.environment\n  enforced = true"
    return (
        f'key_provider "external" "environment" {{\n  command = ["cat", "/proc/self/fd/{handle}"]\n}}\n'
        'method "aes_gcm" "environment" {\n  keys = key_provider.external.environment\n}\n'
        f"state {{\n  {use}\n}}\nplan {{\n  {use}\n}}\n"
    )
