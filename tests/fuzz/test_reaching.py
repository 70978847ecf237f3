"""Nothing that the service takes in a path is left to made-up names alone; needs no cluster."""

from collections import defaultdict
from pathlib import Path

import pytest

from tests.fuzz import reaching
from tests.fuzz.place import all_routes


def test_something_reaches_every_route(tmp_path: Path) -> None:
    reaching.check(all_routes(tmp_path).paths, reaching.values(defaultdict(tuple)))


def test_a_route_that_nothing_reaches_is_named() -> None:
    with pytest.raises(AssertionError, match=r"Nothing reaches /v1/bells/\{bell\}: .* Give `values`"):
        reaching.check(["/v1/bells/{bell}/ring"], {})
