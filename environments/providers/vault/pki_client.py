"""The client's calls for the mount `pki`, with hvac."""

import threading
from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Any

import hvac
from cryptography import x509
from cryptography.x509.oid import NameOID

from environments.providers.backend.link import Link
from environments.providers.vault.client_view import ClientView
from environments.providers.vault.ports import Certificate

PKI = "pki"
PARTS = "pki-parts"


class Pki(ClientView):
    """Implements `CertificateAuthority` and `CertificateChain` on the mount `pki`."""

    def __init__(self, link: Link[hvac.Client]) -> None:
        super().__init__(link)
        self._known: dict[str, Certificate] = {}
        self._lock = threading.Lock()

    def role(self, name: str) -> dict[str, Any] | None:
        """The role's fields."""
        found = self._maybe("read a PKI role", lambda client: client.secrets.pki.read_role(name, mount_point=PKI))
        return None if found is None else dict(found["data"])

    def write_role(self, name: str, fields: Mapping[str, Any]) -> None:
        """Creates or changes a role."""
        self._link.call(
            "write a PKI role",
            lambda client: client.secrets.pki.create_or_update_role(name, dict(fields), mount_point=PKI),
        )

    def remove_role(self, name: str) -> None:
        """Removes a role."""
        self._link.call("delete a PKI role", lambda client: client.secrets.pki.delete_role(name, mount_point=PKI))

    def leases(self, role: str) -> list[str]:
        """Ids of the leases of the role's certificates."""
        found = self._maybe("list leases", lambda client: client.sys.list_leases(f"{PKI}/issue/{role}/"))
        return [] if found is None else list(found["data"]["keys"])

    def revoke_leases(self, role: str) -> None:
        """Ends the leases and waits until that is done."""
        # The slash at the end prevents that the leases of `a-b` are revoked with those of `a`.
        self._link.call("revoke leases", lambda client: client.sys.revoke_prefix(f"{PKI}/issue/{role}/"))

    def unrevoked(self) -> list[Certificate]:
        """Every certificate that isn't revoked. Each certificate is read once and cached."""
        listed = self._maybe("list certificates", lambda client: client.secrets.pki.list_certificates(mount_point=PKI))
        gone = self._maybe("list certificates", lambda client: client.list(f"{PKI}/certs/revoked"))
        # The two lists write serials differently: with hyphens and with colons.
        revoked = {_serial(serial) for serial in (gone["data"]["keys"] if gone else ())}
        serials = {_serial(serial) for serial in (listed["data"]["keys"] if listed else ())}
        found = [self._certificate(serial) for serial in sorted(serials - revoked)]
        with self._lock:
            self._known = {serial: self._known[serial] for serial in serials if serial in self._known}
        return [certificate for certificate in found if certificate is not None]

    def revoke(self, serial: str) -> None:
        """Revokes a certificate."""
        self._link.call(
            "revoke a certificate", lambda client: client.secrets.pki.revoke_certificate(serial, mount_point=PKI)
        )

    def sign(self, role: str, request: str, names: Collection[str]) -> str:
        """Signs a request (OpenBao API, `pki/sign/:name`)."""
        body = {"csr": request, "alt_names": ",".join(names), "format": "pem"}
        found = self._link.call("sign a certificate", lambda client: client.write_data(f"{PKI}/sign/{role}", data=body))
        data = found["data"]
        above = data.get("ca_chain") or [data["issuing_ca"]]
        return "\n".join(pem.strip() for pem in (data["certificate"], *above)) + "\n"

    def chain(self) -> str:
        """The CA's certificates, PEM."""
        return self._chain(PKI)

    def parts_chain(self) -> str:
        """The certificates, PEM, of the CA for our own parts; empty if there are none."""
        return self._chain(PARTS)

    def _chain(self, mount: str) -> str:
        found = self._link.call("read the CA", lambda client: client.read(f"{mount}/cert/ca_chain"))
        data = found["data"] if found else {}
        pem = data.get("ca_chain") or data.get("certificate") or ""
        return "\n".join(pem) if isinstance(pem, list) else str(pem)

    def _certificate(self, serial: str) -> Certificate | None:
        with self._lock:
            if serial in self._known:
                return self._known[serial]
        found = self._maybe(
            "read a certificate", lambda client: client.secrets.pki.read_certificate(serial, mount_point=PKI)
        )
        if found is None:
            return None
        content = x509.load_pem_x509_certificate(found["data"]["certificate"].encode())
        units = content.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        unit = str(units[0].value) if units else ""
        certificate = Certificate(serial, unit, content.not_valid_after_utc.astimezone(UTC))
        with self._lock:
            self._known[serial] = certificate
        return certificate


def _serial(text: str) -> str:
    return text.replace("-", ":").lower()
