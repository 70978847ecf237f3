"""The ids that the service makes, and what may be a name beside them."""

import pytest

from environments.domain.errors import InvalidName
from environments.domain.names import check_environment_name, is_id


def test_every_id_of_an_environment_has_the_shape_that_is_no_name() -> None:
    from environments.bootstrap.parts import new_id  # late: it knows every adapter, with errors of their own

    for made in {new_id("env") for _ in range(200)}:
        assert is_id(made)
        with pytest.raises(InvalidName, match="looks like an id"):
            check_environment_name(made, reserved_allowed=True)
    assert not is_id(new_id("dep"))
