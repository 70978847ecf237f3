"""The load model: what a load needs, what of it breaks first, and when a prediction counts as wrong."""

from dataclasses import replace

import pytest

from tests.scale.limits import LARGE, Facts, limits, needs
from tests.scale.main import Checked
from tests.scale.model import Costs, Limit, Line, Load, Split, first, need

NOTHING = Costs(
    idle=Split(),
    worker=Split(),
    deployment=Split(),
    wake=Split(),
    show=Split(),
    page_api=Line(0),
    page_postgres=Line(0),
    stream=Split(),
    told=Split(),
    commits=0,
    events=0,
    event_bytes=0,
    transactions=0,
)
LOAD = Load(environments=1000, workers=11, streams=100, deployments=2, shows=5, pages=4)


@pytest.mark.parametrize(
    ("costs", "cores"),
    [
        (replace(NOTHING, idle=Split(0.1, 0, 0.2)), Split(0.1, 0, 0.2)),
        (replace(NOTHING, worker=Split(0, 0.01, 0.02)), Split(0, 0.11, 0.22)),
        (replace(NOTHING, deployment=Split(1, 2, 3)), Split(2, 4, 6)),
        (replace(NOTHING, show=Split(0.1, 0, 0.01)), Split(0.5, 0, 0.05)),
        (replace(NOTHING, page_api=Line(0.1, 0.001), page_postgres=Line(0.2)), Split(4.4, 0, 0.8)),
        (replace(NOTHING, stream=Split(0.001)), Split(0.1)),
        # Each of two deployments makes 20 commits, which wake ten more workers and 100 streams.
        (replace(NOTHING, wake=Split(0, 0.001, 0.002), commits=20), Split(0, 0.4, 0.8)),
        (replace(NOTHING, told=Split(0.001), commits=20), Split(4)),
    ],
)
def test_a_need_is_the_sum_of_what_each_costs(costs: Costs, cores: Split) -> None:
    found = need(LOAD, costs).cores
    assert (found.api, found.workers, found.postgres) == pytest.approx((cores.api, cores.workers, cores.postgres))


def test_events_come_from_deployments() -> None:
    found = need(LOAD, replace(NOTHING, commits=20, events=30))
    assert (found.commits, found.events) == (40, 60)


def test_without_workers_nobody_is_woken() -> None:
    costs = replace(NOTHING, wake=Split(0, 1, 1), commits=20)
    assert need(replace(LOAD, workers=0), costs).cores == Split()


def test_a_line_goes_through_both_measurements() -> None:
    line = Line.through((100, 0.2), (1000, 0.29))
    assert line.at(100) == pytest.approx(0.2)
    assert line.at(10_000) == pytest.approx(1.19)


def test_what_seems_to_shrink_is_taken_not_to_grow() -> None:
    assert Line.through((100, 0.2), (1000, 0.19)).at(10_000) == pytest.approx(0.2)
    assert Line.through((100, 0.001), (1000, 0.1)).at(0) == 0


def test_a_limit_breaks_where_all_of_it_is_needed() -> None:
    each = Limit("streams", lambda load: load.streams, 25, "")
    both = Limit("woken", lambda load: load.workers * load.deployments, 22 * 0.25, "")
    never = Limit("nothing", lambda load: 0, 1, "")
    assert each.breaks_at(LOAD) == pytest.approx(0.25, abs=0.01)
    assert both.breaks_at(replace(LOAD, workers=11_000, deployments=0.002)) == pytest.approx(0.5, abs=0.001)
    assert never.breaks_at(LOAD) > 1000
    assert [limit.name for limit in first([never, each], LOAD)] == ["streams", "nothing"]


def test_a_limit_may_be_far_above_the_load() -> None:
    assert Limit("streams", lambda load: load.streams, 500, "").breaks_at(LOAD) == pytest.approx(5, abs=0.01)


@pytest.mark.parametrize(("measured", "fails"), [(100, False), (149, False), (151, True), (51, False), (49, True)])
def test_the_model_fails_where_it_is_off_by_more_than_a_half(measured: float, fails: bool) -> None:
    row = Checked("a claim", "1000 queued", 100, measured, "ms").row()
    assert row[:4] == ("a claim", "1000 queued", "100 ms", f"{measured} ms")
    assert ("fails" in row[-1]) is fails


def test_a_prediction_of_nothing_is_wrong() -> None:
    assert "fails" in Checked("a claim", "", 0, 1, "ms").row()[-1]


def test_every_limit_of_the_large_load_has_a_place_in_the_order() -> None:
    costs = replace(NOTHING, commits=10, events=20, event_bytes=300, transactions=7, told=Split(0.0001))
    facts = Facts(costs, 4, 1e8, 1e5, 0.001, 0.01, Line(0.01, 1e-7))
    found = first(limits(facts), LARGE)
    shares = [limit.breaks_at(LARGE) for limit in found]
    assert shares == sorted(shares)
    assert ("transactions of idle workers in a second", "7000") in list(needs(facts, LARGE))
