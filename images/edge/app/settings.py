"""What the edge needs to know, from its variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

LISTEN = "127.0.0.1:8443"
ADDRESS = "calvinverse.localhost"
UPSTREAM = "127.0.0.1:8400"
FOLDER = "/var/lib/edge"

_LISTEN = re.compile(r"(?P<host>[0-9.]{7,15}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
"""A host name in lower case, with a dot; how long it is isn't part of it."""

_UPSTREAM = re.compile(r"(?P<scheme>https?://)?(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})/?")
_FILE = re.compile(r"/[A-Za-z0-9._/-]+")
# Over plain HTTP only where nobody else listens; never with braces, which Caddy would fill in.
_DIRECTORY = re.compile(r"(?:https://|http://(?=(?:127\.0\.0\.1|localhost)[:/]))[A-Za-z0-9._~:/?&=%+\[\]-]+")
_EMAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")
_ACCOUNT = re.compile(r"(?P<id>[A-Za-z0-9._~+/=:-]{1,200})\s+(?P<key>[A-Za-z0-9_=-]{16,1000})")


class InvalidSettings(ValueError):
    """A variable that is missing or malformed; the message is one sentence that names it."""


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate with its chain, and its key (PEM); one file may hold all of it."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class AcmeAccount:
    """What an authority knows a customer by: an external account binding (RFC 8555, 7.3.4); `key` in base64url."""

    key_id: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Acme:
    """Certificates by ACME (RFC 8555) from the authority at the URL `directory`.

    `ca_file` (PEM) signed the directory's own certificate, unless a well-known authority did. Certificates, keys and
    the account at the authority are kept in the folder `storage`.
    """

    directory: str
    storage: Path
    email: str = ""
    ca_file: Path | None = None
    account: AcmeAccount | None = None


@dataclass(frozen=True)
class WebPage:
    """Where the web page is: `upstream` is `host:port`, over TLS if `ca_file` (PEM) is set.

    Its certificate must be for `name`, or for its host if that is empty. `secret_file` holds what proves to the service
    that a request which the page passes on came from the edge; it is derived from the edge's own secret.
    """

    upstream: str
    secret_file: Path
    ca_file: Path | None = None
    name: str = ""


@dataclass(frozen=True)
class Settings:
    """One edge.

    It listens on `host` (an IP address, without brackets) and `port`, and answers for the host name `address` alone,
    with the certificate of `files` or by `acme`: one of both is set. Requests go to the service at `upstream`
    (`host:port`), over TLS if `upstream_ca_file` (PEM) is set; its certificate must be for `upstream_name`, or for its
    host if that is empty. What isn't the service's own goes to `web_page`; to the service too if there is none.
    `secret_file` holds what proves to the service that a request comes from the edge. Entry points of environments are
    below `entry_domain`; empty: there are none. `folder` is the edge's own: the socket of Caddy's admin API is there.
    """

    host: str
    port: int
    address: str
    upstream: str
    upstream_ca_file: Path | None
    upstream_name: str
    files: CertificateFiles | None
    acme: Acme | None
    secret_file: Path
    entry_domain: str
    folder: Path
    web_page: WebPage | None = None

    @property
    def socket(self) -> Path:
        """The socket of Caddy's admin API."""
        return self.folder / "admin.sock"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from the variables EDGE_*. Raises `InvalidSettings`."""
    listen = _fitting(_LISTEN, environment, "EDGE_LISTEN", LISTEN, "an IP address and a port, such as 0.0.0.0:8443")
    upstream = _fitting(_UPSTREAM, environment, "EDGE_UPSTREAM", UPSTREAM, "an address such as 127.0.0.1:8400")
    address = _fitting(
        HOST_NAME,
        environment,
        "EDGE_ADDRESS",
        ADDRESS,
        "a host name in lower case with a dot, such as calvinverse.example.org",
    )
    if not _is_ip(host := listen["host"].strip("[]")):
        raise InvalidSettings(f"EDGE_LISTEN has {host!r}, which is no IP address.")
    if _is_ip(address[0]):
        raise InvalidSettings(f"EDGE_ADDRESS is {address[0]!r}: clients name a host, not an IP address, in TLS.")
    authority, name = _verified(environment, "EDGE_UPSTREAM", upstream)
    acme = _acme(environment)
    return Settings(
        host=host,
        port=_port(listen["port"], "EDGE_LISTEN"),
        address=address[0],
        upstream=f"{upstream['host']}:{_port(upstream['port'], 'EDGE_UPSTREAM')}",
        upstream_ca_file=authority,
        upstream_name=name,
        files=_files(environment) if acme is None else None,
        acme=acme,
        secret_file=_file(environment, "EDGE_SECRET_FILE"),
        entry_domain=_entry_domain(environment, address[0]),
        folder=_file(environment, "EDGE_FOLDER", FOLDER),
        web_page=_web_page(environment),
    )


def _web_page(environment: Mapping[str, str]) -> WebPage | None:
    """None unless there is an EDGE_UI."""
    if not environment.get("EDGE_UI"):
        return None
    upstream = _fitting(_UPSTREAM, environment, "EDGE_UI", "", "an address such as https://127.0.0.1:8401")
    authority, name = _verified(environment, "EDGE_UI", upstream)
    place = f"{upstream['host']}:{_port(upstream['port'], 'EDGE_UI')}"
    return WebPage(place, _file(environment, "EDGE_UI_SECRET_FILE"), authority, name)


def _verified(environment: Mapping[str, str], variable: str, upstream: re.Match[str]) -> tuple[Path | None, str]:
    """The authority of what is at an upstream, and the name in its certificate."""
    authority, name = environment.get(f"{variable}_CA_FILE"), environment.get(f"{variable}_NAME", "")
    if (upstream["scheme"] == "https://") != bool(authority):
        raise InvalidSettings(f"{variable}_CA_FILE goes with an {variable} that begins with https://, and only so.")
    if name and not (authority and HOST_NAME.fullmatch(name)):
        raise InvalidSettings(f"{variable}_NAME is {name!r}; it is a host name, and goes with an {variable}_CA_FILE.")
    return (_file(environment, f"{variable}_CA_FILE") if authority else None), name


def _files(environment: Mapping[str, str]) -> CertificateFiles:
    certificate = _file(environment, "EDGE_CERTIFICATE_FILE")
    return CertificateFiles(certificate, _file(environment, "EDGE_KEY_FILE", str(certificate)))


def _acme(environment: Mapping[str, str]) -> Acme | None:
    """None unless there is an EDGE_ACME_DIRECTORY."""
    if not environment.get("EDGE_ACME_DIRECTORY"):
        return None
    if environment.get("EDGE_CERTIFICATE_FILE"):
        raise InvalidSettings("EDGE_CERTIFICATE_FILE and EDGE_ACME_DIRECTORY are set, and only one of them may be.")
    wanted = "the URL of an ACME directory that begins with https://"
    directory = _fitting(_DIRECTORY, environment, "EDGE_ACME_DIRECTORY", "", wanted)[0]
    email = environment.get("EDGE_ACME_EMAIL", "")
    if email:
        _fitting(_EMAIL, environment, "EDGE_ACME_EMAIL", "", "an e-mail address")
    return Acme(
        directory=directory,
        storage=_file(environment, "EDGE_ACME_STORAGE"),
        email=email,
        ca_file=_file(environment, "EDGE_ACME_CA_FILE") if environment.get("EDGE_ACME_CA_FILE") else None,
        account=_account(environment),
    )


def _account(environment: Mapping[str, str]) -> AcmeAccount | None:
    """What is in EDGE_ACME_ACCOUNT_FILE; None if there is no such file, or nothing in it."""
    if not environment.get("EDGE_ACME_ACCOUNT_FILE"):
        return None
    path = _file(environment, "EDGE_ACME_ACCOUNT_FILE")
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"EDGE_ACME_ACCOUNT_FILE is {str(path)!r}, which can't be read.") from error
    if not text:
        return None
    found = _ACCOUNT.fullmatch(text)
    if found is None:
        raise InvalidSettings("EDGE_ACME_ACCOUNT_FILE must hold the key's id, a space and the key in base64url.")
    return AcmeAccount(found["id"], found["key"])


def _fitting(
    pattern: re.Pattern[str], environment: Mapping[str, str], name: str, default: str, wanted: str
) -> re.Match[str]:
    value = environment.get(name) or default
    found = pattern.fullmatch(value)
    if found is None or len(value) > 253:
        raise InvalidSettings(f"{name} is {value!r}, and not {wanted}.")
    return found


def _entry_domain(environment: Mapping[str, str], address: str) -> str:
    domain = environment.get("EDGE_ENTRY_DOMAIN", "")
    near = f".{domain}.".endswith(f".{address}.") or f".{address}.".endswith(f".{domain}.")
    if domain and (near or len(domain) > 253 or not HOST_NAME.fullmatch(domain)):
        raise InvalidSettings(f"EDGE_ENTRY_DOMAIN is {domain!r}, and not a domain in lower case beside {address}.")
    return domain


def _port(text: str, name: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise InvalidSettings(f"{name} has the port {port}, and ports are numbers from 1 to 65535.")
    return port


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _file(environment: Mapping[str, str], name: str, default: str = "") -> Path:
    """An absolute path in characters that mean nothing to Caddy, which fills in what is in braces."""
    value = environment.get(name) or default
    if not value:
        raise InvalidSettings(f"{name} is not set.")
    if not _FILE.fullmatch(value):
        raise InvalidSettings(f"{name} is {value!r}, and not an absolute path of letters, digits, '.', '_' and '-'.")
    return Path(value)
