"""A deployment after one that was interrupted."""

from typing import Any

import pytest

from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import State
from environments.wire.deployments import CancelRequest
from jobs import deploy
from tests.support.views import environment_view

WRONG = {"consul_address": "https://127.0.0.1:9", "consul_token_file": "/t", "consul_ca_file": ""}


class Local:
    """The local service, as far as it is asked."""

    def __init__(self, *, ended: bool = False) -> None:
        self.cancelled = 0
        self._ended = ended

    def cancel(self, name: str, request: CancelRequest) -> None:
        self.cancelled += 1
        if self._ended:
            raise NotAllowedNow("It has ended.")


@pytest.mark.parametrize(
    ("known", "wanted", "cancelled"),
    [
        (WRONG, WRONG | {"image": "sha256:2"}, 0),
        (WRONG, {"image": "sha256:1"}, 0),
        (WRONG, WRONG | {"consul_address": "https://127.0.0.1:8501"}, 1),
        (WRONG, WRONG | {"consul_token_file": "/other"}, 1),
        ({}, WRONG, 1),
    ],
)
def test_one_with_other_parts_ends_first(known: dict[str, Any], wanted: dict[str, Any], cancelled: int) -> None:
    local: Any = Local()
    meta = environment_view(name="meta", state=State.DEPLOYING, parameters=known)
    said = deploy._settle(local, meta, wanted)
    assert local.cancelled == cancelled
    assert ("ends first" in said) == bool(cancelled)


def test_one_that_has_just_ended_is_no_error() -> None:
    local: Any = Local(ended=True)
    deploy._settle(local, environment_view(name="meta", state=State.DEPLOYING, parameters={}), WRONG)
    assert local.cancelled == 1
