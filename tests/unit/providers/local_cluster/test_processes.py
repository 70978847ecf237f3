"""Processes that end slowly, and waits that a busy machine doesn't use up."""

from environments.providers.local_cluster.agents.patience import Patience, wait_for


def test_time_counts_less_while_the_machine_is_busy() -> None:
    now, load = 0.0, 0.5
    patience = Patience(10, load=lambda: load, now=lambda: now)
    now = 4.0
    assert not patience.is_over()  # an idle machine: 6 s are left
    now, load = 24.0, 4.0
    assert not patience.is_over()  # 20 s at four times what it can do count 5
    now = 27.0
    assert not patience.is_over()
    now = 28.0
    assert patience.is_over()


def test_a_wait_ends_with_its_condition_or_its_time() -> None:
    answers = iter([False, False, True])
    assert wait_for(lambda: next(answers), 60, pause=0.001)
    assert not wait_for(lambda: False, 0.01, pause=0.001)
