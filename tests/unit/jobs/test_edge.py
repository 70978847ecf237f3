"""A deployment has an edge unless somebody chose to have none: its job, its secret and its certificate."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from environments import named_contexts
from environments.domain.errors import CalvinverseError, InvalidInput
from environments.service.parameters import check_parameters
from environments.service.rendering import render
from images.errors import ImageNotBuilt
from jobs.edge import AcmeChoice, CertificateFiles, EdgeChoice, Source, edge_parameters
from jobs.edge_options import EdgeOptions, edge_choice, told_of
from jobs.meta_template import UI_JOB, meta_bundle
from jobs.ports import block
from tests.support.authorities import make_authority

IMAGE = "sha256:" + "a" * 64
AUTHORITY = "-----BEGIN CERTIFICATE-----"
REQUIRED = {"image": IMAGE, "deployer": "ada", "deployer_token": "a:b"}


def variables(step: str, **parameters: Any) -> dict[str, Any]:
    """What a step gives to its job file."""
    template = meta_bundle(edge=parameters.get("edge", False)).template()
    known: dict[str, dict[str, Any]] = {
        part: {"address": "http://127.0.0.1:1", "ca": "", "server_name": "", "ours": True}
        for part in ("consul", "openbao", "nomad")
    }
    known["trust"] = {"authority": AUTHORITY}
    names = {"parameters": check_parameters(template, {**REQUIRED, **parameters}), "steps": known}
    found: dict[str, Any] = render(template.step(step).options["variables"], names, step)
    return found


def test_without_it_nothing_in_the_template_is_of_the_edge() -> None:
    bundle = meta_bundle()
    assert not [name for name in bundle.files if "edge" in name or name == UI_JOB]
    assert not [step.name for step in bundle.template().steps if "edge" in step.name or step.name == "ui"]
    assert variables("provisioning")["edge"] is False


def test_with_it_the_template_is_the_same_and_more() -> None:
    without, with_it = meta_bundle().template(), meta_bundle(edge=True).template()
    assert with_it.steps[: len(without.steps)] == without.steps
    assert [step.name for step in with_it.steps[len(without.steps) :]] == [
        "edge-certificate",
        "edge-secret",
        "ui",
        "edge",
    ]
    assert not [name for name in meta_bundle(edge=True).files if name.startswith("edge") and name.endswith(".toml")]


@pytest.mark.parametrize(
    ("source", "kind", "secrets"),
    [
        (Source.AUTHORITY, "vault.certificate", []),
        (Source.FILES, "vault.secret", ["edge_certificate", "edge_key"]),
        (Source.ACME, "vault.secret", ["edge_acme_account"]),
    ],
)
def test_each_source_of_certificates_has_its_step(source: Source, kind: str, secrets: list[str]) -> None:
    template = meta_bundle(edge=True, source=source).template()
    assert template.step("edge-certificate").uses == kind
    assert sorted(template.secret_parameters()) == secrets
    assert "edge-certificate" in template.step("edge").needs


def test_the_edge_is_told_where_to_listen_and_where_the_service_is() -> None:
    given = {
        "edge": True,
        "edge_image": IMAGE,
        "ui_image": IMAGE,
        "ui_port": 9003,
        "edge_host": "[::1]",
        "edge_port": 443,
        "port": 9000,
    }
    assert variables("edge", **given, edge_address="calvinverse.example.org") == {
        "image": IMAGE,
        "host": "[::1]",
        "port": 443,
        "address": "calvinverse.example.org",
        "service_port": 9000,
        "ui_port": 9003,
        "source": "authority",
        "acme_directory": "",
        "acme_email": "",
        "acme_ca": "",
        "entry_domain": "",
        "parts_ca": AUTHORITY,
    }
    assert variables("provisioning", **given)["edge"] is True


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_is_one(port: int) -> None:
    with pytest.raises(CalvinverseError, match="edge_port"):
        variables("edge", edge=True, edge_image=IMAGE, ui_image=IMAGE, edge_port=port)


BEFORE = {
    "edge": True,
    "edge_host": "[::1]",
    "edge_port": 9443,
    "edge_address": "one.example.org",
    "edge_source": "authority",
}
NOW = datetime.now(UTC)
"""Certificates of tests are made by the same clock."""


def chosen(
    choice: EdgeChoice, image: str | None = IMAGE, before: dict[str, Any] | None = None, first_port: int = 1024
) -> dict[str, Any]:
    return edge_parameters(choice, image, before, NOW, first_port)


HERE = {
    "edge": True,
    "edge_off": False,
    "edge_image": IMAGE,
    "limited_port": 8443,
    "edge_host": "127.0.0.1",
    "edge_port": 8443,
    "edge_address": "calvinverse.localhost",
    "edge_source": "authority",
}
"""On a machine where nobody has chosen anything."""


@pytest.mark.parametrize("before", [None, {}, {"edge": False}, {"edge": False, "port": 8400}])
def test_a_deployment_that_never_chose_gets_it_on_this_machine_alone(before: dict[str, Any] | None) -> None:
    assert chosen(EdgeChoice(), IMAGE, before) == HERE


@pytest.mark.parametrize(
    ("choice", "before", "port"),
    [
        (EdgeChoice(port=block(12000).edge), None, 12011),
        # It was made with a block of ports before there were edges.
        (EdgeChoice(), {"edge": False, "port": block(12000).service}, 12011),
        (EdgeChoice("127.0.0.1:9000", port=12011), None, 9000),
        (EdgeChoice(port=12011), BEFORE, 9443),
    ],
)
def test_its_port_is_in_the_block_of_the_deployment(
    choice: EdgeChoice, before: dict[str, Any] | None, port: int
) -> None:
    assert chosen(choice, IMAGE, before)["edge_port"] == port


def test_what_is_not_chosen_is_as_before_or_on_this_machine() -> None:
    on = {"edge": True, "edge_off": False, "edge_image": IMAGE, "limited_port": 9443}
    assert chosen(EdgeChoice(address="calvinverse.localhost")) == HERE
    assert chosen(EdgeChoice(), IMAGE, BEFORE) == BEFORE | on
    assert chosen(EdgeChoice("127.0.0.1:9000"), IMAGE, BEFORE) == {
        **BEFORE,
        **on,
        "edge_host": "127.0.0.1",
        "edge_port": 9000,
        "limited_port": 9000,
    }


@pytest.mark.parametrize(
    "listen",
    [
        "8443",
        ":8443",
        "localhost:8443",
        "::1:8443",
        "[127.0.0.1]:8443",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:x",
    ],
)
def test_what_is_no_place_to_listen_on_is_refused(listen: str) -> None:
    with pytest.raises(InvalidInput, match="can't listen") as refused:
        chosen(EdgeChoice(listen))
    assert "8443" in refused.value.hint


@pytest.mark.parametrize(
    "address", ["localhost", "192.0.2.1", "Example.org", "example.org:443", "*.example.org", "a." * 200 + "org"]
)
def test_what_is_no_host_name_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="can't be the edge's address"):
        chosen(EdgeChoice(address=address))


def test_a_port_that_needs_rights_is_refused_with_a_way_out() -> None:
    with pytest.raises(InvalidInput, match="without rights") as refused:
        chosen(EdgeChoice("127.0.0.1:443"))
    assert "ip_unprivileged_port_start=443" in refused.value.hint
    assert chosen(EdgeChoice("127.0.0.1:443"), first_port=80)["edge_port"] == 443


def test_without_its_image_it_is_refused() -> None:
    with pytest.raises(ImageNotBuilt) as refused:
        chosen(EdgeChoice(), None)
    assert "doit build:edge" in refused.value.hint
    assert "--no-edge" in refused.value.hint


def test_it_is_switched_off_when_somebody_says_so() -> None:
    off = {"edge": False, "edge_off": True, "limited_port": 0}
    assert chosen(EdgeChoice(off=True), IMAGE, BEFORE) == off
    assert chosen(EdgeChoice(off=True), None, None) == off
    with pytest.raises(InvalidInput, match="at once"):
        chosen(EdgeChoice("127.0.0.1:8443", off=True))


@pytest.mark.parametrize(
    "before",
    [
        {"edge": False, "edge_off": True},
        # A version without `edge_off` left it so.
        {"edge": True},
    ],
)
def test_it_stays_off_until_somebody_chooses_it_again(before: dict[str, Any]) -> None:
    assert chosen(EdgeChoice(), None, before)["edge"] is False
    assert chosen(EdgeChoice("127.0.0.1:8443"), IMAGE, before) == HERE
    assert chosen(EdgeChoice(certificate=Source.AUTHORITY), IMAGE, before) == HERE


def own(folder: Path, name: str) -> CertificateFiles:
    """A certificate for a name, and the authority that signed it."""
    authority = make_authority()
    (folder / "ca.pem").write_text(authority.pem)
    authority.sign(folder / "own.pem", name)
    return CertificateFiles(folder / "own.pem", folder / "own.pem", folder / "ca.pem")


def test_a_certificate_of_ones_own_is_given_once_and_then_kept(tmp_path: Path) -> None:
    files = own(tmp_path, "one.example.org")
    first = chosen(EdgeChoice(certificate=files), IMAGE, BEFORE)
    assert first["edge_source"] == "files"
    assert "BEGIN CERTIFICATE" in first["edge_certificate"]
    assert "PRIVATE KEY" in first["edge_key"]
    kept = {name: value for name, value in first.items() if name not in ("edge_certificate", "edge_key")}
    assert chosen(EdgeChoice(), IMAGE, kept) == kept
    with pytest.raises(InvalidInput, match=r"for one\.example\.org, and none for two\.example\.org"):
        chosen(EdgeChoice(address="two.example.org"), IMAGE, kept)
    again = chosen(EdgeChoice(address="two.example.org", certificate=Source.AUTHORITY), IMAGE, kept)
    assert (again["edge_source"], again["edge_address"]) == ("authority", "two.example.org")


def test_a_certificate_is_for_the_address_that_is_chosen(tmp_path: Path) -> None:
    files = own(tmp_path, "one.example.org")
    assert chosen(EdgeChoice(address="one.example.org", certificate=files))["edge_source"] == "files"
    with pytest.raises(InvalidInput, match=r"isn't for calvinverse\.localhost"):
        chosen(EdgeChoice(certificate=files))


def test_acme_is_chosen_once_and_then_kept() -> None:
    acme = AcmeChoice("https://ca.example.org/directory", "ada@example.org", "a certificate", "id " + "k" * 16)
    first = chosen(EdgeChoice(certificate=acme), IMAGE, BEFORE)
    assert first["edge_acme_account"] == "id " + "k" * 16
    del first["edge_acme_account"]
    assert first == BEFORE | {
        "edge_off": False,
        "edge_image": IMAGE,
        "limited_port": 9443,
        "edge_source": "acme",
        "edge_acme_directory": "https://ca.example.org/directory",
        "edge_acme_email": "ada@example.org",
        "edge_acme_ca": "a certificate",
    }
    assert chosen(EdgeChoice(), IMAGE, first) == first
    assert acme.account not in repr(acme)


@pytest.mark.parametrize(
    "acme",
    [
        AcmeChoice("http://ca.example.org/directory"),
        AcmeChoice("https://ca.example.org/{env.HOME}"),
        AcmeChoice("https://ca.example.org/directory", "ada"),
        AcmeChoice("https://ca.example.org/directory", account="an id alone"),
    ],
)
def test_what_is_no_acme_is_refused(acme: AcmeChoice) -> None:
    with pytest.raises(InvalidInput) as refused:
        chosen(EdgeChoice(certificate=acme))
    assert refused.value.hint


def options(**given: Any) -> EdgeOptions:
    """Options of which only these are given."""
    kinds = EdgeOptions.__annotations__
    return cast(EdgeOptions, {name: given.get(name, kind()) for name, kind in kinds.items()})


def test_options_become_a_choice(tmp_path: Path) -> None:
    assert edge_choice(None, options()) == EdgeChoice()
    assert edge_choice(12011, options()) == EdgeChoice(port=12011)
    assert edge_choice(None, options(no_edge=True)).off
    assert edge_choice(None, options(local_authority=True)).certificate is Source.AUTHORITY
    files = edge_choice(None, options(edge_certificate="a.pem", edge_key="a.key")).certificate
    assert files == CertificateFiles(Path("a.pem"), Path("a.key"))
    (tmp_path / "account").write_text("an-id\t" + "k" * 16 + "\n")
    (tmp_path / "ca.pem").write_text((ca := make_authority()).pem)
    acme = {"acme_directory": "https://ca.example", "acme_ca": str(tmp_path / "ca.pem")}
    made = edge_choice(None, options(**acme, acme_account=str(tmp_path / "account"))).certificate
    assert made == AcmeChoice("https://ca.example", "", ca.pem, "an-id " + "k" * 16)


@pytest.mark.parametrize(
    "given",
    [
        {"edge_certificate": "a.pem"},
        {"edge_key": "a.key"},
        {"edge_ca": "ca.pem"},
        {"acme_email": "ada@example.org"},
        {"acme_directory": "https://ca.example", "local_authority": True},
        {"acme_directory": "https://ca.example", "edge_certificate": "a.pem", "edge_key": "a.key"},
        {"acme_directory": "https://ca.example", "acme_account": "/nowhere/account"},
        {"acme_directory": "https://ca.example", "acme_ca": "/nowhere/ca.pem"},
    ],
)
def test_options_that_do_not_go_together_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        edge_choice(None, options(**given))
    assert refused.value.hint


def test_contexts_that_lose_their_edge_are_named(tmp_path: Path) -> None:
    url = "https://one.example.org:8443"
    named_contexts.store(tmp_path, "work", named_contexts.NamedContext(address=url), "a token")
    named_contexts.store(tmp_path, "other", named_contexts.NamedContext(address="https://other.example.org"), "a token")
    off = " ".join(told_of(EdgeChoice(off=True), {}, None, url, tmp_path))
    assert f"The edge is switched off: contexts with {url} reach nothing any more, here work." in off
    others = {"edge_host": "192.0.2.1", "edge_source": "files"}
    assert list(told_of(EdgeChoice(), others, url, url, tmp_path)) == [f"Other machines reach it at {url}."]
    (alone,) = told_of(EdgeChoice(), HERE, url, url, tmp_path)
    assert "this machine alone" in alone
    moved = " ".join(told_of(EdgeChoice(), others, "https://two.example.org:8443", url, tmp_path))
    assert "another address" in moved
