"""What is kept of a token."""

import base64
from pathlib import Path

from environments.domain.tokens import RANDOM_BYTES, secret_hash, secret_prefix
from tests.fakes.service import make_service


def test_of_a_token_only_its_prefix_and_its_hash_are_stored(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    try:
        secret = service.tokens.create_token(service.admin, owner="ada").secret
        assert service.tokens.authenticate(secret).owner == "ada"
    finally:
        service.database.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert secret_hash(secret).encode() in kept
    assert secret_prefix(secret).encode() in kept
    assert secret[: len(secret_prefix(secret)) + 1].encode() not in kept
    random = secret.partition("_")[2]
    assert len(base64.urlsafe_b64decode(random + "=")) == RANDOM_BYTES == 32
