"""A format as large as iCalendar is read where people run a command, never in the service."""

import ast

from tests.support.docs_reference import CHECKOUT


def test_one_module_of_the_front_ends_reads_icalendar() -> None:
    found, users = set(), set()
    for file in (CHECKOUT / "environments").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                named = [node.module or ""]
            if any(name.split(".")[0] in ("icalendar", "dateutil") for name in named):
                found.add(file.relative_to(CHECKOUT).as_posix())
            if "environments.holidays" in named:
                users.add(file.relative_to(CHECKOUT).as_posix())
    assert found == {"environments/holidays.py"}
    assert users == {"environments/cli/calendars.py", "environments/holidays_apart.py"}, "nothing of the service"
