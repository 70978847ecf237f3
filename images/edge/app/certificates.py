"""Caddy's `tls` app: where the edge's certificate comes from. Pure, like `configuration`."""

from collections.abc import Sequence
from typing import Any

from .entry_point_routes import certificates
from .entry_points import Served
from .settings import Acme, Settings

RENEWAL = "10s"
"""How often Caddy looks whether a third of a certificate's time is left. By itself it looks every 10 minutes, which is
too seldom for certificates of an hour."""


def tls_app(settings: Settings, served: Sequence[Served]) -> dict[str, Any]:
    """The app's configuration, as JSON. Certificates of entry points and their keys stay in memory."""
    # Nothing but an ACME directory is ever asked for anything, and what is stored is neither tested nor tidied up.
    quiet = {"disable_ocsp_stapling": True, "disable_storage_check": True, "disable_storage_clean": True}
    entry_points = {"load_pem": certificates(served)} if served else {}
    if settings.acme is not None:
        app = _by_acme(settings, settings.acme)
        return app | quiet | {"certificates": app["certificates"] | entry_points}
    assert settings.files is not None, "settings name files or a directory"
    pair = {"certificate": str(settings.files.certificate), "key": str(settings.files.key)}
    return {"certificates": {"load_files": [pair], **entry_points}} | quiet


def pki_app(settings: Settings) -> dict[str, Any]:
    """Apps beside that one. With ACME, Caddy makes an authority of its own as well, which signs nothing here: without
    this, it would add that to those that the machine trusts."""
    if settings.acme is None:
        return {}
    return {"pki": {"certificate_authorities": {"local": {"install_trust": False}}}}


def _by_acme(settings: Settings, acme: Acme) -> dict[str, Any]:
    issuer: dict[str, Any] = {
        "module": "acme",
        "ca": acme.directory,
        "challenges": {
            "bind_host": settings.host,
            # It needs a port of its own, 80 on the outside.
            "http": {"disabled": True},
            # Answered where everything is: nothing is opened for it.
            "tls-alpn": {"alternate_port": settings.port},
        },
    }
    if acme.email:
        issuer["email"] = acme.email
    if acme.ca_file is not None:
        issuer["trusted_roots_pem_files"] = [str(acme.ca_file)]
    if acme.account is not None:
        issuer["external_account"] = {"key_id": acme.account.key_id, "mac_key": acme.account.key}
    policy = {"subjects": [settings.address], "issuers": [issuer], "key_type": "p256"}
    automation = {"policies": [policy], "renew_interval": RENEWAL}
    return {"certificates": {"automate": [settings.address]}, "automation": automation}
