"""What is known of images: packages, bill of materials, what changed, and who vouches for it."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from environments.domain.errors import InvalidInput
from images.catalogue import packages
from images.catalogue.attestation import (
    encode,
    envelope,
    public_keys,
    statement,
    subjects,
    verify,
)
from images.catalogue.difference import Change, difference
from images.catalogue.packages import Package
from images.catalogue.sbom import cyclonedx, purl
from images.catalogue.transit import find_signer
from images.errors import (
    ImageMismatch,
    ImageRecordUnreadable,
    ImageSignerUnknown,
    ImageTampered,
    ImageUnsigned,
    SignerUnavailable,
)
from tests.fakes.signer import MemorySigner
from tests.support.images_catalogue import DIGEST, FILES, MADE, NOON, deb

SAID = """deb\tinstalled\tlibc6\t2.36-9+deb12u10\tamd64\tglibc\t2.36-9+deb12u10
deb\tinstalled\tadduser\t3.134\tall\tadduser\t3.134
deb\tconfig-files\tgone\t1.0\tall\tgone\t1.0
/opt/venv/lib/python3.11/site-packages/ruamel.yaml-0.18.dist-info/METADATA:Name: ruamel.yaml
/opt/venv/lib/python3.11/site-packages/ruamel.yaml-0.18.dist-info/METADATA:Version: 0.18
/opt/venv/lib/python3.11/site-packages/nameless.dist-info/METADATA:Version: 1
"""
LIBC = Package("deb", "libc6", "2.36-9+deb12u10", "amd64", "glibc@2.36-9+deb12u10")
ADDUSER = Package("deb", "adduser", "3.134", "all", "adduser@3.134")
YAML = Package("pypi", "ruamel-yaml", "0.18")


class TestPackages:
    def test_they_are_what_was_printed_without_what_is_gone(self) -> None:
        assert packages.parse(SAID) == (ADDUSER, LIBC, YAML)

    def test_an_image_without_packages_has_none(self) -> None:
        assert packages.parse("") == ()

    def test_the_text_form_comes_back(self) -> None:
        text = packages.to_text([YAML, LIBC, ADDUSER])
        assert text.splitlines()[0] == "deb\tadduser\t3.134\tall\tadduser@3.134"
        assert text.splitlines()[2] == "pypi\truamel-yaml\t0.18\t\t"
        assert packages.from_text(text) == (ADDUSER, LIBC, YAML)

    @pytest.mark.parametrize("line", ["adduser\t3.134\tall", "rpm\ta\t1\t\t", "deb\ta\t\tall\t"])
    def test_a_line_that_names_no_package_is_an_error(self, line: str) -> None:
        with pytest.raises(ImageRecordUnreadable, match="Line 2"):
            packages.from_text(f"{packages.to_text([ADDUSER])}{line}\n")


class TestBillOfMaterials:
    def document(self, *found: Package) -> str:
        reference = "calvinverse/web:0123456789ab"
        return cyclonedx(
            "calvinverse/web", reference, DIGEST, found, NOON, {"packer": "1.12.0", "calvinverse": "0.1.0"}
        )

    def test_it_holds_to_the_schema(self) -> None:
        for text in (self.document(LIBC, ADDUSER, YAML), self.document()):
            assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None

    def test_it_names_the_image_and_each_package(self) -> None:
        document = json.loads(self.document(LIBC, ADDUSER, YAML))
        image = document["metadata"]["component"]
        assert image["purl"] == f"pkg:oci/web@{DIGEST}?tag=0123456789ab"
        assert image["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
        assert document["metadata"]["timestamp"] == "2026-11-01T12:00:00+00:00"
        assert [each["purl"] for each in document["components"]] == [purl(each) for each in (ADDUSER, LIBC, YAML)]
        assert purl(LIBC) == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64"
        assert purl(YAML) == "pkg:pypi/ruamel-yaml@0.18"
        assert [each["name"] for each in document["metadata"]["tools"]["components"]] == ["calvinverse", "packer"]

    def test_others_read_it_back(self) -> None:
        bom = Bom.from_json(json.loads(self.document(LIBC, YAML)))  # type: ignore[attr-defined]  # made by a decorator
        assert {each.name for each in bom.components} == {"libc6", "ruamel-yaml"}

    def test_the_same_image_gives_the_same_bytes(self) -> None:
        assert self.document(LIBC, YAML) == self.document(YAML, LIBC)
        assert json.loads(self.document(LIBC))["serialNumber"] == json.loads(self.document(YAML))["serialNumber"]


class TestDifference:
    def test_it_tells_what_came_what_went_and_which_way_the_others_moved(self) -> None:
        found = difference(
            [
                deb("1", "gone"),
                deb("1.0~rc1", "up"),
                deb("2:1.0", "down"),
                deb("1", "same"),
                Package("pypi", "p", "1.9"),
            ],
            [deb("1", "new"), deb("1.0", "up"), deb("3.0", "down"), deb("1", "same"), Package("pypi", "p", "1.10")],
        )
        assert found.added == (deb("1", "new"),)
        assert found.removed == (deb("1", "gone"),)
        assert found.upgraded == (
            Change(deb("1.0~rc1", "up"), deb("1.0", "up")),
            Change(Package("pypi", "p", "1.9"), Package("pypi", "p", "1.10")),
        )
        assert found.downgraded == (Change(deb("2:1.0", "down"), deb("3.0", "down")),)
        assert not found.changed
        assert found

    def test_nothing_changed(self) -> None:
        assert not difference([LIBC, YAML], [YAML, LIBC])

    def test_neither_older_nor_newer_is_changed(self) -> None:
        found = difference(
            [Package("pypi", "p", "1.0"), Package("pypi", "q", "odd"), deb("1", "r", "all")],
            [Package("pypi", "p", "1.0.0"), Package("pypi", "q", "1"), deb("1", "r", "amd64")],
        )
        assert [change.before.name for change in found.changed] == ["r", "p", "q"]
        assert [*found.added, *found.removed, *found.upgraded, *found.downgraded] == []

    def test_architectures_are_told_apart_and_several_versions_are_no_change(self) -> None:
        both = difference([deb("1"), deb("1", architecture="i386")], [deb("2"), deb("2", architecture="i386")])
        assert len(both.upgraded) == 2
        several = difference(
            [Package("pypi", "p", "1"), Package("pypi", "p", "2")],
            [Package("pypi", "p", "3"), Package("pypi", "p", "2")],
        )
        assert several.upgraded == (Change(Package("pypi", "p", "1"), Package("pypi", "p", "3")),)
        split = difference([Package("pypi", "p", "1")], [Package("pypi", "p", "2"), Package("pypi", "p", "3")])
        assert (len(split.removed), len(split.added)) == (1, 2)


ABOUT = subjects(MADE.name, MADE.image_id, FILES)


def changed(text: str, change: Callable[[dict[str, Any]], object]) -> str:
    """An envelope whose statement was changed afterwards, with the signature that it had."""
    document = json.loads(text)
    said = json.loads(base64.b64decode(document["payload"]))
    change(said)
    document["payload"] = base64.b64encode(encode(said)).decode()
    return json.dumps(document)


class TestProvenance:
    @pytest.fixture
    def signer(self) -> MemorySigner:
        return MemorySigner()

    @pytest.fixture
    def signed(self, signer: MemorySigner) -> str:
        return envelope(encode(statement(MADE)), signer)

    def test_it_says_what_the_image_is_and_what_went_in(self) -> None:
        said = statement(MADE)
        assert said["_type"] == "https://in-toto.io/Statement/v1"
        assert said["predicateType"] == "https://slsa.dev/provenance/v1"
        assert {each["name"]: each["digest"]["sha256"] for each in said["subject"]} == ABOUT
        definition = said["predicate"]["buildDefinition"]
        assert definition["externalParameters"] == {"image": "web", "commit": "c" * 40, "dirty": False}
        assert definition["resolvedDependencies"] == [
            {"name": "images/web/image.toml", "digest": {"sha256": "3" * 64}},
            {
                "name": "images/web/provision/install.sh",
                "digest": {"sha256": "4" * 64},
                "annotations": {"executable": True},
            },
            {"name": "mmdebstrap", "uri": "pkg:generic/mmdebstrap@mmdebstrap%201.3.5", "annotations": {"is": "tool"}},
            {"name": "packer", "uri": "pkg:generic/packer@1.12.0", "annotations": {"is": "tool"}},
            {"name": MADE.parent, "annotations": {"is": "parent"}, "digest": {"sha256": "5" * 64}},
        ]
        run = said["predicate"]["runDetails"]
        assert run["builder"] == {"id": "calvinverse/0.1.0"}
        assert run["metadata"] == {
            "invocationId": MADE.build,
            "startedOn": "2026-11-01T12:00:00Z",
            "finishedOn": "2026-11-01T12:00:30Z",
        }

    def test_a_digest_of_a_registry_is_one_more_subject(self) -> None:
        assert subjects("a/b", DIGEST, {}, "sha256:cd") == {"a/b": "ab" * 32, "a/b@manifest": "cd"}

    def test_a_good_one_holds(self, signer: MemorySigner, signed: str) -> None:
        found = verify(signed, signer.public_keys(), ABOUT)
        assert found.statement == statement(MADE)
        assert found.keyid in signer.public_keys()

    def test_the_envelope_is_that_of_dsse(self, signed: str) -> None:
        document = json.loads(signed)
        assert document["payloadType"] == "application/vnd.in-toto+json"
        assert json.loads(base64.b64decode(document["payload"])) == statement(MADE)
        assert len(base64.b64decode(document["signatures"][0]["sig"])) == 64

    def test_without_a_signature_it_is_unsigned(self, signer: MemorySigner, signed: str) -> None:
        with pytest.raises(ImageUnsigned):
            verify(envelope(encode(statement(MADE)), None), signer.public_keys(), ABOUT)
        with pytest.raises(ImageUnsigned):
            verify(json.dumps(json.loads(signed) | {"signatures": []}), signer.public_keys(), ABOUT)

    @pytest.mark.parametrize(
        "change",
        [
            lambda said: said["subject"][0]["digest"].update(sha256="0" * 64),
            lambda said: said["predicate"]["buildDefinition"]["externalParameters"].update(commit="0" * 40),
            lambda said: said.update(more="than was signed"),
        ],
    )
    def test_a_changed_statement_is_told(
        self, signer: MemorySigner, signed: str, change: Callable[[dict[str, Any]], object]
    ) -> None:
        with pytest.raises(ImageTampered):
            verify(changed(signed, change), signer.public_keys(), ABOUT)

    def test_a_changed_type_or_signature_is_told(self, signer: MemorySigner, signed: str) -> None:
        document = json.loads(signed)
        with pytest.raises(ImageTampered):
            verify(json.dumps(document | {"payloadType": "text/plain"}), signer.public_keys(), ABOUT)
        document["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
        with pytest.raises(ImageTampered):
            verify(json.dumps(document), signer.public_keys(), ABOUT)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"payload": "%", "payloadType": "", "signatures": []}', "null"])
    def test_what_is_no_envelope_is_told(self, text: str) -> None:
        with pytest.raises(ImageTampered):
            verify(text, {}, {})

    def test_another_key_is_not_ours(self, signed: str) -> None:
        with pytest.raises(ImageSignerUnknown):
            verify(signed, MemorySigner().public_keys(), ABOUT)
        with pytest.raises(ImageSignerUnknown):
            verify(signed, {}, ABOUT)

    def test_another_key_under_the_name_of_ours_is_told(self, signer: MemorySigner) -> None:
        forged = json.loads(envelope(encode(statement(MADE)), MemorySigner()))
        (forged["signatures"][0]["keyid"],) = signer.public_keys()
        with pytest.raises(ImageTampered):
            verify(json.dumps(forged), signer.public_keys(), ABOUT)

    def test_one_good_signature_of_several_will_do_whatever_it_calls_its_key(self, signer: MemorySigner) -> None:
        ours, other = (json.loads(envelope(encode(statement(MADE)), each)) for each in (signer, MemorySigner()))
        ours["signatures"][0]["keyid"] = ""
        ours["signatures"].insert(0, other["signatures"][0])
        assert verify(json.dumps(ours), signer.public_keys(), ABOUT).keyid in signer.public_keys()

    def test_another_image_or_another_file_is_named(self, signer: MemorySigner, signed: str) -> None:
        with pytest.raises(ImageMismatch, match="calvinverse/web"):
            verify(signed, signer.public_keys(), ABOUT | {"calvinverse/web": "0" * 64})
        with pytest.raises(ImageMismatch, match=r"packages\.tsv, another record\.json"):
            verify(signed, signer.public_keys(), ABOUT | {"packages.tsv": "0" * 64, "record.json": "1" * 64})

    @pytest.mark.parametrize("said", [[], {"_type": "else"}, statement(MADE) | {"subject": [{}]}])
    def test_a_signed_something_else_is_no_provenance(self, signer: MemorySigner, said: Any) -> None:
        with pytest.raises(ImageMismatch):
            verify(envelope(encode(said), signer), signer.public_keys(), ABOUT)

    def test_a_file_of_public_keys_may_hold_several(self, tmp_path: Path, signer: MemorySigner, signed: str) -> None:
        keys = signer.public_keys() | MemorySigner().public_keys()
        file = tmp_path / "keys.pem"
        file.write_text("Ours since May:\n" + "".join(keys.values()))
        assert public_keys(file) == keys
        assert verify(signed, public_keys(file), ABOUT)

    def test_a_file_without_a_fitting_key_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.pem"
        with pytest.raises(InvalidInput):
            public_keys(file)
        for text in ("", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
            file.write_text(text)
            with pytest.raises(InvalidInput):
                public_keys(file)


class TestFindingTheSigner:
    def test_without_a_cluster_there_is_none_and_why(self, tmp_path: Path) -> None:
        found = find_signer(tmp_path, {})
        assert found.signer is None
        assert found.reason == "There is no OpenBao yet."
        with pytest.raises(SignerUnavailable):
            found.required()

    def test_the_variable_names_another_file(self, tmp_path: Path) -> None:
        file = tmp_path / "elsewhere.json"
        file.write_text("{")
        assert str(file) in find_signer(tmp_path, {"CALVINVERSE_CONNECTIONS": str(file)}).reason
