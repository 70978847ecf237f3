"""How long creates of a template take: nothing of a single one, which may be somebody else's."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from environments.service.catalogue import FEWEST_TOLD, Catalogue
from environments.service.storage.templates import CreateTimes


def catalogue_of(times: dict[str, CreateTimes]) -> Catalogue:
    """A catalogue of templates that were used like this."""

    @contextmanager
    def read() -> Iterator[Any]:
        yield SimpleNamespace(templates=SimpleNamespace(create_times=times.get))

    storage = cast("Any", SimpleNamespace(read=read))
    return Catalogue(storage, cast("Any", None), lambda: datetime(2027, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize("made", range(1, FEWEST_TOLD + 1))
def test_few_creates_are_not_told(made: int) -> None:
    catalogue = catalogue_of({"web": CreateTimes(made, 4.0, 9.0)})
    assert bool(catalogue.times(["web", "unused"])) is (made == FEWEST_TOLD)


def test_times_are_rounded() -> None:
    catalogue = catalogue_of({"web": CreateTimes(7, 4.2517, 128.94), "fast": CreateTimes(9, 0.0, 0.05512)})
    assert catalogue.times(["web", "fast"]) == {"web": CreateTimes(7, 4.3, 130.0), "fast": CreateTimes(9, 0.0, 0.055)}
