"""The page of coverage: what is summed up, and which places it names."""

from datetime import UTC, datetime
from typing import Any

from tests.coverage_page import Package, packages, page


def _file(statements: int, run: int, functions: dict[str, tuple[int, int]] | None = None) -> dict[str, Any]:
    def summary(all_: int, missing: int) -> dict[str, int]:
        return {"num_statements": all_, "missing_lines": missing}

    return {
        "summary": {
            "num_statements": statements,
            "covered_lines": run,
            "num_branches": 4,
            "covered_branches": 3,
        },
        "functions": {name: {"summary": summary(*counts)} for name, counts in (functions or {}).items()},
    }


FILES = {
    "environments/providers/nomad/job.py": _file(100, 90, {"run": (20, 10), "": (80, 0)}),
    "environments/providers/nomad/plan.py": _file(50, 50, {"plan": (50, 0)}),
    "environments/engine/worker.py": _file(10, 5, {"Worker.run": (10, 5)}),
    "environments/words.py": _file(10, 10),
    "images/pipeline/packer.py": _file(40, 20),
}


def test_a_provider_is_a_package_of_its_own_and_images_are_one() -> None:
    assert packages(FILES) == [
        Package("environments", 10, 10, 4, 3),
        Package("environments/engine", 10, 5, 4, 3),
        Package("environments/providers/nomad", 150, 140, 8, 6),
        Package("images", 40, 20, 4, 3),
    ]


def test_the_page_sums_up_and_names_what_lacks_most_first() -> None:
    text = page({"files": FILES}, ("unit",), datetime(2026, 1, 2, tzinfo=UTC))
    assert "| environments/providers/nomad | 150 | 93 % | 8 | 75 % |" in text
    assert "| all | 210 | 83 % | 20 | 75 % |" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `environments.providers.nomad.job` | `run` | 20 | 10 |",
        "| `environments.engine.worker` | `Worker.run` | 10 | 5 |",
    ]
