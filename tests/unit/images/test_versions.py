"""Versions and ranges, as tools print them and tools.toml writes them."""

import pytest

from images.toolchain.versions import Range, Version


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Nomad v1.10.5\nBuildDate 2025-09-09", "1.10.5"),
        ("Consul v1.21.0+ent\nRevision 4e96098f", "1.21.0"),
        ("Packer v1.12.0", "1.12.0"),
        ('{"version":"1.1.2-dev","sdk_version":"0.6.2","api_version":"x5.0"}', "1.1.2-dev"),
        ("OpenBao v2.7.2 (9e0a0d3c3504), committed 2026-10-26T20:32:27Z", "2.7.2"),
        ("go version go1.24.7 linux/amd64", "1.24.7"),
        ("go version go1.24rc1 linux/amd64", "1.24.0rc1"),
        ("go version go1.19 linux/amd64", "1.19.0"),
        ("usage: packer dictionary", None),
        ("", None),
    ],
)
def test_finds_the_version_in_what_a_tool_prints(said: str, version: str | None) -> None:
    found = Version.find(said)
    assert (str(found) if found else None) == version


@pytest.mark.parametrize(
    ("version", "inside"),
    [
        ("1.9.9", False),
        ("1.10.0-rc.1", False),
        ("1.10.0", True),
        ("1.10", True),
        ("1.99.99", True),
        ("1.11.0-dev", False),
        ("2.0.0-beta.1", False),
        ("2.0.0", False),
    ],
)
def test_a_range_holds_its_lower_bound_but_neither_its_upper_nor_a_pre_release(version: str, inside: bool) -> None:
    assert (Version.parse(version) in Range.parse(">=1.10,<2")) is inside


def test_versions_are_ordered_by_number_and_a_pre_release_comes_first() -> None:
    ordered = ["1.2.0", "1.9.0", "1.10.0-rc.1", "1.10.0", "1.10.1"]
    assert [str(version) for version in sorted(map(Version.parse, reversed(ordered)))] == ordered


@pytest.mark.parametrize("text", ["", "1.10", ">=1.10", "<2,>1", ">=1.10,<2,!=1.11", ">=a,<b"])
def test_a_malformed_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a range"):
        Range.parse(text)


def test_a_range_reads_like_a_sentence() -> None:
    assert str(Range.parse(">=1.21.3,<2")) == "1.21.3 or later, before 2.0"
