"""Steps of signing in on the pages are limited by address: nobody has signed in yet."""

from pathlib import Path

import httpx2
import pytest

from environments.web import app
from tests.fakes.service import listening, make_service
from tests.support.authorities import make_authority


def test_steps_of_signing_in_from_one_address_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "STEPS_EACH_MINUTE", 2)
    service = make_service(tmp_path / "service")
    pem = make_authority("ours").sign(tmp_path / "tls.pem", "127.0.0.1", "localhost")
    try:
        with (
            listening(service, tls=pem) as address,
            httpx2.Client(base_url=address, verify=False, timeout=60, trust_env=False) as http,
        ):
            steps = [http.get("/sign-in/callback", params={"code": "c", "state": "s"}) for _ in range(3)]
            assert http.get("/sign-in").status_code == 200  # what asks no provider isn't counted
    finally:
        service.database.close()
    assert 429 not in [step.status_code for step in steps[:2]]
    assert steps[2].status_code == 429
    assert 1 <= int(steps[2].headers["Retry-After"]) <= 60
    assert "Too many steps of signing in are taken from one address in a minute" in steps[2].text
