"""What is known of images: packages, bill of materials, what changed, and who vouches for it."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images.catalogue import packages
from images.catalogue.attestation import (
    encode,
    envelope,
    statement,
)
from images.catalogue.difference import compare
from images.catalogue.packages import Package
from images.catalogue.transit import find_signer
from images.errors import (
    CommandFailed,
)
from tests.fakes.signer import MemorySigner
from tests.support.images_catalogue import MADE, deb


class TestPackages:
    def test_the_script_needs_nothing_but_a_shell_and_finds_this_machines_packages(self) -> None:
        class Here:
            """Runs the command here, not in a container."""

            def exec(self, container: str, command: Sequence[str], *, user: str, limit: float) -> str:
                assert user == "0"
                command = [*command[:2], command[2].replace("find / -xdev", f"find {Path(pytest.__file__).parents[1]}")]
                done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
                if done.returncode:
                    raise CommandFailed(done.stderr)
                return done.stdout

        found = packages.list_packages(Here(), "any")  # type: ignore[arg-type]  # only exec is called
        assert Package("pypi", "pytest", pytest.__version__) in found


_VERSION = st.from_regex(
    r"([0-9]:)?[0-9]([a-z0-9.+~]{0,4}[a-z0-9])?(-[0-9]([a-z0-9+.~]{0,3}[a-z0-9])?)?", fullmatch=True
)


class TestDifference:
    @pytest.mark.skipif(shutil.which("dpkg") is None, reason="only Debian can say what Debian's order is")
    @settings(max_examples=60, deadline=None)
    @given(_VERSION, _VERSION)
    def test_the_order_is_dpkgs(self, one: str, other: str) -> None:
        def says(relation: str) -> bool:
            return subprocess.run(["dpkg", "--compare-versions", one, relation, other], check=False).returncode == 0

        expected = -1 if says("lt") else 1 if says("gt") else 0
        assert compare(deb(one), deb(other)) == expected


class TestProvenance:
    @pytest.fixture
    def signer(self) -> MemorySigner:
        return MemorySigner()

    @pytest.fixture
    def signed(self, signer: MemorySigner) -> str:
        return envelope(encode(statement(MADE)), signer)

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="what the how-to does by hand")
    def test_openssl_comes_to_the_same_result(self, tmp_path: Path, signer: MemorySigner, signed: str) -> None:
        (tmp_path / "provenance.dsse.json").write_text(signed)
        (tmp_path / "key.pem").write_text("".join(signer.public_keys().values()))
        page = Path(__file__).parents[3] / "docs" / "how-to" / "verify-an-image.md"
        script = next(part for part in page.read_text(encoding="utf-8").split("```") if "openssl pkeyutl" in part)
        done = subprocess.run(
            ["sh", "-euc", script.removeprefix("sh\n")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Verified Successfully" in done.stdout, done.stderr
        assert json.loads((tmp_path / "statement").read_text()) == statement(MADE)


class TestFindingTheSigner:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("{", "contains no connections"),
            ("[]", "contains no connections"),
            ('{"vault": null}', "no OpenBao yet"),
            (
                '{"vault": {"address": "http://127.0.0.1:9", "authentication": {"jwt_file": "x"}}}',
                "names no token file",
            ),
            ('{"vault": {"address": "http://127.0.0.1:9", "authentication": {"token_file": "x"}}}', "can't be read"),
            (
                '{"vault": {"address": "http://127.0.0.1:9", "authentication": {"token_file": "token"}}}',
                "can't be reached",
            ),
        ],
    )
    def test_what_is_wrong_with_the_connections_is_said(self, tmp_path: Path, content: str, reason: str) -> None:
        (tmp_path / "token").write_text("t")
        (tmp_path / "connections.json").write_text(content)
        assert reason in find_signer(tmp_path, {}).reason
