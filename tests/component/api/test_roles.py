"""What a process of the service does by its role: settings that fit, the key that all share, what a worker answers."""

import threading
from pathlib import Path

import httpx2
import pytest

from environments.api.app import create_app
from environments.api.worker import create_worker_app
from environments.stores.sealing import KeyFileSealer
from tests.fakes.service import make_service


def test_of_many_that_make_the_key_at_once_all_get_the_same(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    sealed: list[bytes] = []

    def seal() -> None:
        start.wait(120)
        sealed.append(KeyFileSealer(tmp_path / "key").seal({"code": "swordfish"}))

    threads = [threading.Thread(target=seal) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [KeyFileSealer(tmp_path / "key").unseal(item) for item in sealed] == [{"code": "swordfish"}] * 8
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.anyio
async def test_a_worker_says_how_it_is_and_nothing_else(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    token = {"Authorization": f"Bearer {service.tokens.first_token('root', 'test')}"}
    try:
        for app, versioned in ((create_worker_app(service), 404), (create_app(service), 200)):
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://worker", timeout=60) as client:
                assert (await client.get("/self/readiness")).json() == {"ready": True, "problems": {}, "notices": {}}
                assert (await client.get("/metrics")).status_code == 401
                assert "calvinverse_deployments" in (await client.get("/metrics", headers=token)).text
                assert (await client.get("/v1/environments", headers=token)).status_code == versioned
    finally:
        service.database.close()
