"""Commands as a user types them, against a service."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from environments.cli.program import run
from tests.fakes.service import FakeService, Served


@dataclass
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its data."""
        return json.loads(self.out)


@dataclass
class CommandLine:
    """Runs commands against a service."""

    api: Served
    capture: pytest.CaptureFixture[str]

    @property
    def service(self) -> FakeService:
        """The service behind."""
        return self.api.service

    def __call__(self, *arguments: str) -> Result:
        self.capture.readouterr()
        status = run(arguments)
        return Result(status, *self.capture.readouterr())
