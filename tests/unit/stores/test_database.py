"""The tables and the migrations that make them, on both databases; how a database that can't be used is told."""

from pathlib import Path

import pytest

from environments.domain.errors import (
    InvalidInput,
)
from environments.stores.database import open_database


def test_a_password_in_the_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds a password") as caught:
        open_database(tmp_path, "postgresql://me:swordfish@127.0.0.1/some")
    assert "swordfish" not in str(caught.value)
    with pytest.raises(InvalidInput, match="can't be read"):
        open_database(tmp_path, "postgresql://me@127.0.0.1/some?nonsense=1")
