"""An empty token is none, wherever one is hashed, stored or compared."""

from hashlib import sha256

import pytest

from environments.domain.errors import InvalidInput, Unauthenticated
from environments.domain.tokens import is_token_secret, known_token, read_known_token, secret_hash, token_secret
from environments.settings import read_settings

EMPTY = sha256(b"").hexdigest()


def test_nothing_is_known_of_an_empty_token() -> None:
    for make in (secret_hash, known_token):
        with pytest.raises(Unauthenticated):
            make("")
    assert not is_token_secret("")
    assert not is_token_secret(token_secret(""))


@pytest.mark.parametrize("text", ["", ":", f":{EMPTY}", f"cv_abcdefghi:{EMPTY}", "cv_abcdefghi:", f"short:{'a' * 64}"])
def test_a_service_takes_no_such_token_of_its_deployer(text: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        read_known_token(text)
    if text:
        with pytest.raises(InvalidInput, match="deployer_token"):
            read_settings({"deployer_token": text}, {})


def test_a_known_token_is_read_back() -> None:
    secret = token_secret("x" * 43)
    assert is_token_secret(secret)
    assert read_known_token(known_token(secret)) == (secret[:12], secret_hash(secret))
    assert read_settings({"deployer_token": known_token(secret)}, {}).deployer_token == known_token(secret)
