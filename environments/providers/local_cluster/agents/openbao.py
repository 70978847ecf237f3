"""OpenBao: one server on loopback, raft storage, an audit log, and a key on this machine that unseals it by itself."""

import json
import os
import secrets
from pathlib import Path
from typing import Any, ClassVar

from environments.domain.errors import BackendDenied, BackendError, BackendUnavailable, MachineError
from environments.kept_files import NotKept, read_kept
from environments.private_files import (
    discard,
    open_private,
    private_folder,
    remove_folder,
    write_if_changed,
    write_private,
)
from environments.providers.backend.calls import Caller, Part
from environments.providers.local_cluster.agents.agent import Agent
from environments.providers.local_cluster.agents.audit_trail import AuditTrail
from environments.providers.local_cluster.agents.ports import LOOPBACK
from environments.providers.local_cluster.agents.site import NODE

_ADMIN_POLICY = "calvinverse-admin"
_ADMIN_RULES = """# Everything but the root token's own privileges: the person who deployed.
path "*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list", "scan", "sudo"]
}
"""
_ADMIN_PERIOD = "87600h"
_CA_LIFE = "87600h"
_CA_NAME = "Calvinverse CA"
KEY_BYTES = 32
"""Of the key that unseals it."""


class OpenBaoAgent(Agent):
    """An OpenBao server with its mounts `secret` (KV v2) and `pki` (its own CA)."""

    name: ClassVar[str] = "openbao"
    part: ClassVar[Part] = "vault"
    binary: ClassVar[str] = "bao"

    @property
    def port(self) -> int:
        return self.site.ports.openbao_http

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("server", "-config")

    def listeners(self) -> list[tuple[str, str, int]]:
        ports = self.site.ports
        return [
            ("openbao_http", LOOPBACK, ports.openbao_http),
            ("openbao_cluster", LOOPBACK, ports.openbao_cluster),
        ]

    def configure(self) -> bool:
        if not os.path.lexists(self._seal_key):
            if any(self.data.iterdir()):
                raise MachineError(
                    f"The key {self._seal_key} that unseals OpenBao is missing.",
                    hint="Restore it from a copy, or run `doit undeploy --force` and deploy again.",
                )
            _write_key(self)
        _check_key(self._seal_key)
        self._audit_trail.prepare(self.config)
        return write_if_changed(self.config, json.dumps(self._configuration(), indent=2) + "\n")

    @property
    def _audit_trail(self) -> AuditTrail:
        return AuditTrail(self.folder)

    @property
    def _seal_key(self) -> Path:
        return self.site.credentials / "openbao-seal.key"

    @property
    def _key_reference(self) -> str:
        """What the configuration says of that key: OpenBao reads a `%` in it as that of a URL."""
        return f"file://{os.path.relpath(self._seal_key, self.works_in)}"

    @property
    def works_in(self) -> Path:
        return self.folder

    @property
    def recovery_file(self) -> Path:
        """The answer to initialising: recovery keys, and the root token until it is revoked."""
        return self.site.credentials / "openbao-recovery.json"

    @property
    def unfinished_mark(self) -> Path:
        """Exists from before initialising until the answer is on disk."""
        return self.folder / "initialising"

    def _configuration(self) -> dict[str, Any]:
        ports = self.site.ports
        return {
            "cluster_name": f"calvinverse-{self.site.chosen.cluster}",
            "storage": {
                "raft": {"path": str(self.data), "node_id": NODE, "performance_multiplier": 1},
            },
            "listener": [
                {
                    "tcp": {
                        "address": f"{LOOPBACK}:{ports.openbao_http}",
                        "cluster_address": f"{LOOPBACK}:{ports.openbao_cluster}",
                        # SIGHUP reads it again.
                        "tls_cert_file": str(self.certificate_file),
                        "tls_key_file": str(self.certificate_file),
                    }
                }
            ],
            "api_addr": self.address,
            "cluster_addr": f"https://{LOOPBACK}:{ports.openbao_cluster}",
            "seal": {
                "static": {
                    "current_key_id": "calvinverse-1",
                    "current_key": self._key_reference,
                }
            },
            "audit": [self._audit_trail.device()],
            "ui": False,
            "log_level": "info",
        }

    def set_up(self) -> None:
        nobody = self.caller()
        self.wait_until(lambda: nobody.status("/v1/sys/health") is not None, "answering")
        if not nobody.call("GET", "/v1/sys/init")["initialized"]:
            self._initialise(nobody)
        elif not self.recovery_file.exists():
            self._begin_again()
            nobody = self.caller()
        discard(self.unfinished_mark)
        self.wait_until(lambda: nobody.status("/v1/sys/health") == 200, "unsealing")
        write_if_changed(self.token_file, self.site.chosen.openbao_admin + "\n")
        admin = self.admin()
        if not _is_accepted(admin):
            self._make_admin()
        self._revoke_root(admin)
        self._audit_trail.settle()
        self._mount(admin)
        self._make_ca(admin)

    def _initialise(self, nobody: Caller) -> None:
        write_private(self.unfinished_mark, "The answer to initialising is not on disk yet.\n")
        body = {"recovery_shares": 1, "recovery_threshold": 1}
        answer = nobody.call("PUT", "/v1/sys/init", body)
        kept = {"recovery_keys": answer["recovery_keys_base64"], "root_token": answer["root_token"]}
        write_private(self.recovery_file, json.dumps(kept, indent=2) + "\n")

    def _begin_again(self) -> None:
        """It was initialised, but the answer was lost: nothing can have been written, so the data may be removed."""
        if not self.unfinished_mark.exists():
            raise MachineError(
                f"OpenBao holds data, but its recovery key in {self.recovery_file} is missing.",
                hint="Restore the file from a copy, or run `doit undeploy --force` and deploy again.",
            )
        self._supervisor.stop(self.name)
        remove_folder(self.data)
        private_folder(self.data)
        self._supervisor.start(self.name)
        nobody = self.caller()
        self.wait_until(lambda: nobody.status("/v1/sys/health") is not None, "answering")
        self._initialise(nobody)

    def _recovery(self) -> dict[str, Any]:
        """What is kept of the answer to initialising. Raises `MachineError`."""
        try:
            kept = json.loads(read_kept(self.recovery_file))
        except (NotKept, ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, NotKept) else "it is damaged"
            raise _lost(f"OpenBao's recovery key can't be read from {self.recovery_file}: {why}.") from error
        if not isinstance(kept, dict) or "recovery_keys" not in kept:
            raise _lost(f"The file {self.recovery_file} doesn't hold OpenBao's recovery key.")
        return kept

    def _make_admin(self) -> None:
        root_token = self._recovery().get("root_token")
        root = self.caller(root_token)
        try:
            if not root_token:
                raise BackendDenied("There is no root token any more.")
            root.call("GET", "/v1/auth/token/lookup-self")
        except BackendDenied as error:
            raise BackendDenied(
                "OpenBao refuses the admin's token, and the root token was revoked long ago.",
                hint=f"Restore {self.token_file} from a copy, or run `doit undeploy --force` and deploy again.",
            ) from error
        root.call("PUT", f"/v1/sys/policies/acl/{_ADMIN_POLICY}", {"policy": _ADMIN_RULES})
        # A token lives no longer than its mount allows, whatever its period; this machine may be off for months.
        root.call("POST", "/v1/sys/auth/token/tune", {"max_lease_ttl": _ADMIN_PERIOD})
        body = {
            "id": self.site.chosen.openbao_admin,
            "policies": [_ADMIN_POLICY],
            "no_parent": True,
            "display_name": "calvinverse-admin",
            "period": _ADMIN_PERIOD,
        }
        root.call("POST", "/v1/auth/token/create", body)

    def _revoke_root(self, admin: Caller) -> None:
        kept = self._recovery()
        if "root_token" not in kept:
            return
        root = self.caller(kept.pop("root_token"))
        if _is_accepted(root):
            admin.call("GET", "/v1/auth/token/lookup-self")  # never revoke the only token that has access
            root.call("POST", "/v1/auth/token/revoke-self")
        write_private(self.recovery_file, json.dumps(kept, indent=2) + "\n")

    def _mount(self, admin: Caller) -> None:
        mounts = admin.call("GET", "/v1/sys/mounts")
        if "secret/" not in mounts:
            body: dict[str, Any] = {"type": "kv", "options": {"version": "2"}, "description": "secrets of environments"}
            admin.call("POST", "/v1/sys/mounts/secret", body)
        if "pki/" not in mounts:
            body = {
                "type": "pki",
                "description": "certificates of environments",
                "config": {"max_lease_ttl": _CA_LIFE},
            }
            admin.call("POST", "/v1/sys/mounts/pki", body)

    def _make_ca(self, admin: Caller) -> None:
        issuers = admin.get("/v1/pki/issuers?list=true")
        if not issuers or not issuers["data"]["keys"]:
            body = {
                "common_name": f"{_CA_NAME} {self.site.chosen.cluster}",
                "ttl": _CA_LIFE,
                "key_type": "ec",
                "key_bits": 256,
            }
            admin.call("POST", "/v1/pki/root/generate/internal", body)
        certificate = admin.call("GET", "/v1/pki/issuer/default/json")["data"]["certificate"]
        write_if_changed(self.site.ca_file, certificate.strip() + "\n")

    def health(self) -> tuple[str, str]:
        health = self.caller().call("GET", "/v1/sys/health?standbyok=true&sealedcode=200&uninitcode=200")
        wrong = "it is sealed" if health["sealed"] else ""
        return str(health["version"]), "it isn't initialised" if not health["initialized"] else wrong

    def remove(self) -> None:
        """Includes its keys, which are useless without the data."""
        self.stop()
        self._audit_trail.settle()
        super().remove()
        for path in (self._seal_key, self.recovery_file, self.site.ca_file):
            discard(path)


def _lost(sentence: str) -> MachineError:
    return MachineError(sentence, hint="Restore it from a copy, or run `doit undeploy --force` and deploy again.")


def _check_key(path: Path) -> None:
    """Raises `MachineError` for a file that doesn't hold such a key: OpenBao would start again and again."""
    try:
        size = len(path.read_bytes())
    except OSError as error:
        raise _lost(f"The key {path} that unseals OpenBao can't be read: {error.strerror}.") from error
    if size != KEY_BYTES:
        raise _lost(f"The file {path} doesn't hold the key that unseals OpenBao: that has {KEY_BYTES} bytes.")


def _write_key(agent: OpenBaoAgent) -> None:
    """Random bytes, written atomically (0600)."""
    path = agent._seal_key
    private_folder(path.parent)
    draft = path.with_suffix(".draft")
    with os.fdopen(open_private(draft, os.O_TRUNC), "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _is_accepted(caller: Caller) -> bool:
    try:
        return bool(caller.call("GET", "/v1/auth/token/lookup-self"))
    except BackendUnavailable:
        raise
    except BackendError:
        return False
