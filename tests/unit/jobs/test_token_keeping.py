"""A deployment tells the service no token."""

import json
from pathlib import Path

from environments.domain.tokens import known_token
from jobs import deploy
from jobs.places import Places


def test_deploy_tells_the_service_no_token(tmp_path: Path) -> None:
    where = Places(tmp_path)
    token = deploy._own_token(where)
    assert deploy._own_token(where) == token
    assert where.token.stat().st_mode & 0o077 == 0
    told = json.dumps(deploy._parameters(deploy.DeployRequest(image="sha256:" + "0" * 64, binaries={}), token))
    assert known_token(token) in told
    assert token not in told
