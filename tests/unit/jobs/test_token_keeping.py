"""A deployment tells the service no token."""

import json
from pathlib import Path

import pytest

from environments.belongings import claim
from environments.domain.errors import MachineError
from environments.domain.tokens import is_token_secret, known_token
from jobs import deploy
from jobs.places import Places


def test_deploy_tells_the_service_no_token(tmp_path: Path) -> None:
    where = Places(tmp_path)
    said: list[str] = []
    token = deploy._own_token(where, said.append)
    assert deploy._own_token(where, said.append) == token
    assert said == []
    assert where.token.stat().st_mode & 0o077 == 0
    told = json.dumps(deploy._parameters(deploy.DeployRequest(image="sha256:" + "0" * 64, binaries={}), token))
    assert known_token(token) in told
    assert token not in told


@pytest.mark.parametrize("content", [b"", b"\n", b"cv_", b"cv_" + b"x" * 20, b"\xff\xfe", b"{}", None])
def test_a_token_that_was_lost_is_made_again(tmp_path: Path, content: bytes | None) -> None:
    where = Places(tmp_path)
    claim(tmp_path)
    if content is None:
        where.token.mkdir()
    else:
        where.token.write_bytes(content)
    said: list[str] = []
    token = deploy._own_token(where, said.append)
    assert is_token_secret(token)
    assert str(where.token) in said[0]
    assert deploy._own_token(where, said.append) == token
    assert len(said) == 1


def test_a_token_of_something_else_is_not_replaced_where_deploy_has_no_mark(tmp_path: Path) -> None:
    where = Places(tmp_path)
    where.token.write_text("ghp_of_another_service\n")
    with pytest.raises(MachineError, match=str(where.token)) as refused:
        deploy._own_token(where, lambda line: None)
    assert "Move it away" in refused.value.hint
    assert where.token.read_text() == "ghp_of_another_service\n"
