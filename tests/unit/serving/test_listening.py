"""Servers listen without TLS on loopback only."""

from functools import partial
from pathlib import Path

import pytest

from environments.domain.errors import UnsafeAddress
from environments.serving.listening import certificate_of

of = partial(certificate_of, who="the page", risk="sessions could be read")

ELSEWHERE = ("0.0.0.0", "::", "192.0.2.1", "page.localhost", "example.org", "")  # noqa: S104 - refused


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert of(host, None, None) is None


@pytest.mark.parametrize("host", ELSEWHERE)
def test_other_addresses_need_tls(host: str) -> None:
    with pytest.raises(UnsafeAddress) as refused:
        of(host, None, None)
    assert refused.value.message == f"Without TLS the page doesn't listen on {host}: sessions could be read."


@pytest.mark.parametrize("files", [(Path("page.pem"), None), (None, Path("page.key"))])
def test_half_a_certificate_is_refused(files: tuple[Path | None, Path | None]) -> None:
    with pytest.raises(UnsafeAddress, match="both a certificate and a key"):
        of("127.0.0.1", *files)
