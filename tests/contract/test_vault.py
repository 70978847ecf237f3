"""What the executors rely on in OpenBao."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from environments.domain.entry_points import certificate_names
from environments.domain.environment import Environment
from environments.domain.errors import BackendDenied, BackendError, ForeignResource, NotFound
from environments.domain.json_values import as_floats, same
from environments.domain.lifecycle import State
from environments.domain.references import SecretReference
from environments.providers.backend.connections import Connections
from environments.providers.edge.certificates import (
    EdgeCertificateHandler,
    role_address,
    role_fields,
    role_name,
)
from environments.providers.nomad.access_ports import Identity
from environments.providers.vault.client import VaultClient
from environments.providers.vault.logins_client import Logins
from environments.providers.vault.pki import differing
from environments.providers.vault.pki_client import Pki
from environments.providers.vault.ports import Certificate
from environments.providers.vault.revealing import Revealing
from environments.providers.vault.secrets_client import Secrets
from environments.providers.vault.webhook_secrets import OpenBaoWebhookSecrets
from environments.service.storage.webhooks import Webhook
from environments.service.webhook_secrets import HeldSecrets
from environments.steps.base import Owner, Presence
from environments.steps.marks import MARK
from images.edge.app.service import make_key
from tests.fakes.backends.vault import MemoryLogins, MemoryPki, MemorySecrets
from tests.support.step_harness import Run


@dataclass
class VaultHarness:
    """The three ports, and what a workload does: have a certificate issued by a role, which gives its serial."""

    secrets: Secrets | MemorySecrets
    pki: Pki | MemoryPki
    logins: Logins | MemoryLogins
    issue: Callable[[str], str]


@pytest.fixture(params=["memory", "real"])
def vault(request: pytest.FixtureRequest, real: Callable[[], Connections]) -> VaultHarness:
    if request.param == "memory":
        pki = MemoryPki(datetime.now(UTC))
        return VaultHarness(MemorySecrets(), pki, MemoryLogins(), lambda role: pki.issue(role).serial)
    caller = real().caller("vault")

    def issue(role: str) -> str:
        body = {"common_name": f"{role}--web.service.consul", "ip_sans": "127.0.0.1"}
        return str(caller.call("POST", f"/v1/pki/issue/{role}", body)["data"]["serial_number"])

    client = VaultClient(real)
    return VaultHarness(client.secrets, client.pki, client.logins, issue)


def _role(name: str) -> dict[str, object]:
    return {
        "ou": [f"calvinverse {name}"],
        "allowed_domains": [f"{name}--*.service.consul"],
        "allow_glob_domains": True,
        "allow_bare_domains": True,
        "generate_lease": True,
        "key_type": "ec",
        "key_bits": 256,
        "ttl": 3600,
        "max_ttl": 3600,
    }


def test_a_secret_is_marked_written_once_for_each_version_and_removed(vault: VaultHarness, name: str) -> None:
    secrets, path = vault.secrets, f"environments/{name}/db"
    assert secrets.head(path) is None
    assert secrets.read(path) is None
    secrets.mark(path, {"owner": "me"})
    head = secrets.head(path)
    assert head is not None
    assert (head.version, head.metadata) == (0, {"owner": "me"})
    assert secrets.read(path) is None
    assert secrets.write(path, {"password": 'ä"\n', "port": 1}, 0)
    assert not secrets.write(path, {"password": "other"}, 0)
    assert secrets.write(path, {"password": "new"}, 1)
    head = secrets.head(path)
    assert head is not None
    assert (head.version, head.metadata) == (2, {"owner": "me"})
    assert secrets.read(path) == {"password": "new"}
    assert secrets.versions(path) == [1, 2]
    with secrets.of(name) as folder:
        assert folder.version(path, 1) == {"password": 'ä"\n', "port": 1}
        assert folder.version(path, 2) == {"password": "new"}
        assert folder.version(path, 3) is None
    secrets.remove(path)
    secrets.remove(path)
    assert secrets.head(path) is None
    assert secrets.versions(path) == []


def test_secrets_of_webhooks_are_replaced_and_removed(vault: VaultHarness, name: str) -> None:
    """A webhook that is made again under its name has others."""
    held = OpenBaoWebhookSecrets(vault.secrets)
    now = datetime.now(UTC).replace(microsecond=0)
    webhook = Webhook(name, "github", "", (), "ada", now)
    again = replace(webhook, created_at=now + timedelta(seconds=1))
    assert held.read(webhook) is None
    held.write(webhook, HeldSecrets("first", token="token"))
    rotated = HeldSecrets("second", "first", now + timedelta(days=1), "token")
    held.write(webhook, rotated)
    assert held.read(webhook) == rotated
    assert held.read(again) is None
    held.write(again, HeldSecrets("other"))
    held.remove(webhook)
    held.remove(webhook)
    assert held.read(webhook) is None
    assert held.read(again) == HeldSecrets("other")
    held.remove(again)


def test_values_of_a_secret_keep_their_types(vault: VaultHarness, name: str) -> None:
    data = {
        "text": "line1\n\ttab\u00a0nbsp é👩‍👩‍👧 \0<&>",
        "true": True,
        "none": None,
        "whole": 2**53,
        "large": 10**22,
        "number": 0.1,
        "tiny": 5e-324,
        "table": {"list": [1, 2.5, None, False, ""], "": {}},
    }
    path = f"environments/{name}/typed"
    assert vault.secrets.write(path, data, 0)
    assert same(vault.secrets.read(path), as_floats(data))
    assert vault.secrets.write(path, {"one": 1.0, "many": 2**53 + 1}, 1)
    assert same(vault.secrets.read(path), {"one": 1, "many": 2**53}), "OpenBao has floats"
    vault.secrets.remove(path)


def test_secrets_below_a_folder_are_listed_with_those_of_its_folders(vault: VaultHarness, name: str) -> None:
    secrets, folder = vault.secrets, f"environments/{name}/"
    assert secrets.paths(folder) == []
    for path in ("db", "deep/er/key", "deep-sea"):
        secrets.mark(folder + path, {"owner": "me"})
    secrets.mark(f"environments/{name}-b/db", {"owner": "you"})
    assert sorted(secrets.paths(folder)) == [f"{folder}db", f"{folder}deep-sea", f"{folder}deep/er/key"]
    for path in [*secrets.paths(folder), f"environments/{name}-b/db"]:
        secrets.remove(path)
    assert secrets.paths(folder) == []


def test_a_role_is_read_as_it_was_written_and_removed(vault: VaultHarness, name: str) -> None:
    assert vault.pki.role(name) is None
    vault.pki.write_role(name, _role(name))
    role = vault.pki.role(name)
    assert role is not None
    assert {key: role[key] for key in _role(name)} == _role(name)
    vault.pki.remove_role(name)
    vault.pki.remove_role(name)
    assert vault.pki.role(name) is None


def test_certificates_are_known_by_their_mark_until_they_are_revoked_with_their_leases(
    vault: VaultHarness, name: str
) -> None:
    for role in (name, f"{name}-b"):
        vault.pki.write_role(role, _role(role))
    serials = {vault.issue(name), vault.issue(name)}
    other = vault.issue(f"{name}-b")
    assert len(vault.pki.leases(name)) == 2
    found = _of(vault, name)
    assert {certificate.serial for certificate in found} == serials
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    assert all(abs((certificate.expires - in_an_hour).total_seconds()) < 120 for certificate in found)
    vault.pki.remove_role(name)
    assert len(_of(vault, name)) == 2, "removing a role revokes nothing"
    vault.pki.revoke_leases(name)
    assert vault.pki.leases(name) == []
    assert _of(vault, name) == []
    assert [certificate.serial for certificate in _of(vault, f"{name}-b")] == [other]
    assert len(vault.pki.leases(f"{name}-b")) == 1
    vault.pki.revoke(other)
    assert _of(vault, f"{name}-b") == []
    vault.pki.revoke_leases(f"{name}-b")
    vault.pki.remove_role(f"{name}-b")


def test_a_request_is_signed_for_the_names_that_are_given_and_known_by_its_mark(vault: VaultHarness, name: str) -> None:
    owner, domain = Owner(f"env-{name}", name), "apps.example.org"
    fields = role_fields(owner, domain, timedelta(hours=1))
    vault.pki.write_role(role_name(name), fields)
    present = vault.pki.role(role_name(name))
    assert differing(present, fields) == []
    _, request = make_key()
    names = certificate_names(name, ("api", "web"), domain)
    chain = vault.pki.sign(role_name(name), request, names)
    leaf = x509.load_pem_x509_certificate(chain.encode())
    told = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(told.get_values_for_type(x509.DNSName)) == set(names)
    handler = EdgeCertificateHandler(vault.pki, lambda: datetime.now(UTC))
    assert handler.observe(role_address(name), owner).detail == "1 certificate not revoked"
    if isinstance(vault.pki, Pki):
        for others in (certificate_names("another", ("web",), domain), ("calvinverse.example.org",)):
            with pytest.raises(BackendError):
                vault.pki.sign(role_name(name), request, others)
    handler.destroy(role_address(name), owner, Run())
    assert handler.observe(role_address(name), owner).presence is Presence.ABSENT


def test_the_ca_is_text(vault: VaultHarness) -> None:
    assert vault.pki.chain().startswith("-----BEGIN CERTIFICATE-----")


def test_nobody_has_logged_in_and_removing_nothing_is_fine(vault: VaultHarness, name: str) -> None:
    found = vault.logins.find("jwt-nomad", name)
    assert (found.entities, found.accessors) == ((), ())
    vault.logins.revoke("no-such-accessor")
    vault.logins.remove_entity("no-such-entity")


def test_tokens_for_modules_are_found_by_the_environments_name_with_their_entity(
    vault: VaultHarness, name: str
) -> None:
    logins = vault.logins
    issued = [logins.issue(environment, 60, {"owner": "me"}) for environment in (name, name, f"{name}-b")]
    assert len({made.secret for made in issued}) == 3
    found = logins.find("token", name)
    assert set(found.accessors) == {made.accessor for made in issued[:2]}
    assert len(found.entities) == 1
    assert logins.find("jwt-nomad", name).accessors == ()
    for made in issued:
        logins.revoke(made.accessor)
        logins.revoke(made.accessor)
    left = logins.find("token", name)
    assert (left.accessors, left.entities) == ((), found.entities)
    for entity in (*left.entities, *logins.find("token", f"{name}-b").entities):
        logins.remove_entity(entity)
    assert logins.find("token", name).entities == ()


def _of(vault: VaultHarness, name: str) -> list[Certificate]:
    return [found for found in vault.pki.unrevoked() if found.unit == f"calvinverse {name}"]


def test_secrets_are_read_and_written_with_tokens_that_are_gone_afterwards(vault: VaultHarness, name: str) -> None:
    """What is left of them is the identity `token/<name>`, which the inventory has."""
    secrets, path = vault.secrets, f"environments/{name}/db"
    secrets.mark(path, {"owner": "me"})
    assert vault.logins.find("token", name) == Identity(), "marks need none"
    assert secrets.write(path, {"password": "x"}, 0)
    kept = secrets.kept(path)
    assert kept is not None
    assert (kept.data, kept.metadata) == ({"password": "x"}, {"owner": "me"})
    left = vault.logins.find("token", name)
    assert left.accessors == ()
    for entity in left.entities:
        vault.logins.remove_entity(entity)
    assert vault.logins.find("token", name) == Identity()
    secrets.remove(path)


def test_a_secret_is_revealed_from_its_environments_folder_and_by_its_mark_only(
    real: Callable[[], Connections], name: str
) -> None:
    client = VaultClient(real)
    one, other = _environment(f"env-{name}", name), _environment(f"env-{name}x", f"{name}x")
    for environment in (one, other):
        path = f"environments/{environment.name}/db"
        client.secrets.mark(path, {MARK: environment.id})
        assert client.secrets.write(path, {"password": f"of {environment.name}"}, 0)
    own, foreign = (
        SecretReference(found.id, "db", f"environments/{found.name}/db", "password") for found in (one, other)
    )
    revealing = Revealing(client)
    try:
        assert revealing.read_secrets(one, {"a": own}) == {"a": f"of {name}"}
        with pytest.raises(BackendDenied):  # by OpenBao itself, whatever the caller believes
            revealing.read_secrets(one, {"a": own, "b": foreign})
        with pytest.raises(NotFound):
            revealing.read_secrets(one, {"a": replace(own, key="another")})
        client.secrets.mark(own.path, {MARK: other.id})
        with pytest.raises(ForeignResource):
            revealing.read_secrets(one, {"a": own})
    finally:
        for environment in (one, other):
            client.secrets.remove(f"environments/{environment.name}/db")
            for entity in client.logins.find("token", environment.name).entities:
                client.logins.remove_entity(entity)


def _environment(id: str, name: str) -> Environment:
    now = datetime.now(UTC)
    values = {"owner": "ada", "template": "t", "template_version": "1", "bundle": "sha256:0"}
    return Environment.model_validate(
        {"id": id, "name": name, "state": State.READY, "state_since": now, "created_at": now, **values}
    )
