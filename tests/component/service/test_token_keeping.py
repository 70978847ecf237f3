"""What is kept of a token, and what a deployment tells of it."""

import base64
import json
from pathlib import Path

from environments.domain.tokens import RANDOM_BYTES, known_token, secret_hash, secret_prefix
from jobs import deploy
from jobs.places import Places
from tests.fakes.service import make_service


def test_of_a_token_only_its_prefix_and_its_hash_are_stored(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    try:
        secret = service.access.create_token(service.admin, owner="ada").secret
        assert service.access.authenticate(secret).owner == "ada"
    finally:
        service.database.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert secret_hash(secret).encode() in kept
    assert secret_prefix(secret).encode() in kept
    assert secret[: len(secret_prefix(secret)) + 1].encode() not in kept
    random = secret.partition("_")[2]
    assert len(base64.urlsafe_b64decode(random + "=")) == RANDOM_BYTES == 32


def test_deploy_tells_the_service_no_token(tmp_path: Path) -> None:
    where = Places(tmp_path)
    token = deploy._own_token(where)
    assert deploy._own_token(where) == token
    assert where.token.stat().st_mode & 0o077 == 0
    told = json.dumps(deploy._parameters(deploy.DeployRequest(image="sha256:" + "0" * 64, binaries={}), token))
    assert known_token(token) in told
    assert token not in told
