"""Each error code has one line in the table of HTTP statuses and one in the table of exit statuses."""

import pytest

from environments.api.statuses import HTTP_STATUSES, http_status
from environments.client.problems import REFUSALS
from environments.domain import errors
from environments.domain.errors import BackendDenied, CalvinverseError, NotFound, all_errors
from environments.exit_statuses import STATUS_BY_CODE, exit_status
from images.errors import ToolsMissing

CODES = {cls.code for cls in all_errors() if cls.__module__ == errors.__name__}


@pytest.mark.parametrize("table", [HTTP_STATUSES, STATUS_BY_CODE], ids=["http", "exit"])
def test_each_code_has_a_line_and_each_line_a_code(table: dict[str, int]) -> None:
    assert CODES - set(table) == set()
    assert set(table) - CODES == set()


def test_each_status_is_one_of_a_failure() -> None:
    assert all(400 <= status < 600 for status in HTTP_STATUSES.values())
    assert all(0 < status < 126 for status in STATUS_BY_CODE.values())


def test_a_code_of_another_package_has_the_statuses_of_its_base_class() -> None:
    assert ToolsMissing.code not in CODES
    assert (http_status(ToolsMissing), exit_status(ToolsMissing)) == (500, 9)
    assert (http_status(NotFound), exit_status(NotFound)) == (404, 3)
    assert (http_status(BackendDenied), exit_status(BackendDenied)) == (502, 10)
    assert (http_status(CalvinverseError), exit_status(CalvinverseError)) == (500, 1)


def test_a_client_gives_up_on_answers_that_say_the_request_is_wrong() -> None:
    refused = {cls for cls in all_errors() if 400 <= http_status(cls) < 500 and not cls.transient}
    assert refused == {cls for cls in all_errors() if issubclass(cls, REFUSALS)}
