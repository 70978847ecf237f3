"""Each template of the cases becomes what `expected.toml` says, from its check to its end, and nothing is left."""

import pytest

from tests.cases.life import Verdict
from tests.cases.table import Case
from tests.cases.trial import Trial, chosen
from tests.support.cluster_snapshot import describe


@pytest.mark.parametrize("case", chosen(), ids=lambda case: case.name)
def test_a_case_becomes_what_it_has_to(case: Case, trial: Trial, verdicts: list[Verdict]) -> None:
    verdict = trial.verdict(case)
    verdicts.append(verdict)
    assert not verdict.faults, "\n".join(verdict.faults)


def test_nothing_is_left_of_any_case(trial: Trial) -> None:
    left = trial.left()
    assert left == {}, describe(left)
