"""OpenBao: a mount that issues certificates for the parts of the meta environment, to its jobs and to nobody else.

The mount `pki` can't: authors of templates choose the names of its certificates. Here there is one role, which has the
name of the meta environment; the policy of workloads lets each one use the role of its own environment.

The authority of the mount is below the one that deploy keeps. In an OpenBao that isn't ours it is one of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from cryptography import x509

from environments.domain.errors import BackendError
from environments.providers.backend.calls import Caller
from environments.providers.local_cluster.trust import shipped
from environments.providers.local_cluster.trust.names import MANAGER_NAMESPACE, OPENBAO_PARTS, OPENBAO_PARTS_UI
from environments.providers.local_cluster.trust.setting import TrustSetting, holds

_LIFE = timedelta(days=1825)
"""How long the authority of the mount is valid; it is replaced when a third of that is left."""

_COMMON_NAME = "Calvinverse parts of the meta environment"
_DEFAULT = f"/v1/{OPENBAO_PARTS}/issuer/default/json"


class SigningAuthority(Protocol):
    """The authority that deploy keeps."""

    @property
    def pem(self) -> str:
        """Its certificate."""
        ...

    def sign_intermediate(self, request: str, life: timedelta, now: datetime) -> str:
        """The certificate (PEM) of an authority below it, for a signing request (PEM). Raises `ValueError`."""
        ...

    def signed(self, certificate: x509.Certificate) -> bool:
        """Whether it signed that certificate itself."""
        ...


@dataclass(frozen=True)
class AuthorityBelow(TrustSetting):
    """The authority of the mount, signed by `signer` at the moment `now`. `body` makes its key and a request."""

    signer: SigningAuthority | None = None
    now: datetime | None = None

    def make(self) -> None:
        """Makes the key in OpenBao, which never leaves it, and imports the certificate for it. Raises `BackendError`.

        After a crash in between, a key without a certificate is left; nothing uses it.
        """
        assert self.signer is not None
        assert self.now is not None
        request = self.caller.call(self.method, self.path, self.body)["data"]["csr"]
        try:
            certificate = self.signer.sign_intermediate(request, _LIFE, self.now)
        except ValueError as error:
            raise BackendError(f"OpenBao's request for a certificate can't be signed: {error}.") from error
        bundle = f"{certificate.strip()}\n{self.signer.pem.strip()}\n"
        answer = self.caller.call("POST", f"/v1/{OPENBAO_PARTS}/intermediate/set-signed", {"certificate": bundle})
        (issuer,) = [issuer for issuer, key in answer["data"]["mapping"].items() if key]
        self.caller.call("POST", f"/v1/{OPENBAO_PARTS}/config/issuers", {"default": issuer})


def parts_settings(vault: Caller, signer: SigningAuthority | None, now: datetime) -> Iterator[TrustSetting]:
    """All settings of the mount. `signer` None: its authority is one of its own."""
    mount = {"type": "pki", "config": {"max_lease_ttl": int(timedelta(days=3650).total_seconds())}}
    yield TrustSetting(
        what=f"the mount for certificates of Calvinverse's own parts, mounted at {OPENBAO_PARTS}",
        caller=vault,
        method="POST",
        path=f"/v1/sys/mounts/{OPENBAO_PARTS}",
        body=mount,
        present=lambda: holds(mount, vault.call("GET", "/v1/sys/mounts").get(f"{OPENBAO_PARTS}/")),
    )
    key: dict[str, Any] = {"common_name": _COMMON_NAME, "key_type": "ec", "key_bits": 256}
    what = "the authority of the mount for certificates of Calvinverse's own parts"
    if signer is None:
        yield TrustSetting(
            what=what,
            caller=vault,
            method="POST",
            path=f"/v1/{OPENBAO_PARTS}/root/generate/internal",
            body={**key, "ttl": "87600h"},
            present=lambda: _issuer(vault) is not None,
        )
    else:
        yield AuthorityBelow(
            what=what,
            caller=vault,
            method="POST",
            path=f"/v1/{OPENBAO_PARTS}/intermediate/generate/internal",
            body=key,
            present=lambda: _is_current(_issuer(vault), signer, now),
            signer=signer,
            now=now,
        )
    # Nothing revokes its certificates, so nothing need keep them. Clients of this machine ask 127.0.0.1.
    yield _role(vault, MANAGER_NAMESPACE, shipped.settings("openbao-role-parts"), "of jobs of the meta environment")
    yield _role(vault, OPENBAO_PARTS_UI, shipped.settings("openbao-role-parts-ui"), "of the web page")


def _role(vault: Caller, name: str, body: dict[str, Any], whose: str) -> TrustSetting:
    path = f"/v1/{OPENBAO_PARTS}/roles/{name}"
    return TrustSetting(
        what=f"the role {name} of that mount, {whose}",
        caller=vault,
        method="POST",
        path=path,
        body=body,
        present=lambda: holds(body, (vault.get(path) or {}).get("data")),
    )


def mounts_authority(vault: Caller) -> str:
    """The certificate (PEM) of the mount's authority, or of the one above it, if that is known there.

    Raises `BackendError`.
    """
    if _issuer(vault) is None:
        raise BackendError(f"The mount {OPENBAO_PARTS} of OpenBao has no authority.", hint="Run `doit deploy` again.")
    data = vault.call("GET", _DEFAULT)["data"]
    return str((data.get("ca_chain") or [data["certificate"]])[-1]).strip() + "\n"


def _issuer(vault: Caller) -> str | None:
    listed = vault.get(f"/v1/{OPENBAO_PARTS}/issuers?list=true")
    if not listed or not listed["data"]["keys"]:
        return None
    return str(vault.call("GET", _DEFAULT)["data"]["certificate"]).strip() + "\n"


def _is_current(issuer: str | None, signer: SigningAuthority, now: datetime) -> bool:
    if issuer is None:
        return False
    certificate = x509.load_pem_x509_certificate(issuer.encode())
    return signer.signed(certificate) and certificate.not_valid_after_utc - now > _LIFE / 3
