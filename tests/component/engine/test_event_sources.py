"""What environments, jobs and costs tell triggers: once, in order, and also what happened while nobody listened."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.environment import EventType
from environments.domain.lifecycle import State
from environments.domain.received_event import ReceivedState, Source
from environments.engine.event_sources import costs, environments
from environments.engine.event_sources.costs import CostEvents
from environments.engine.event_sources.environments import EnvironmentEvents
from environments.engine.event_sources.nomad_jobs import JobEvents
from environments.steps.cluster_events import Listing, SeenJob
from environments.steps.source_ports import JobEnd
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, open_harness
from tests.support.source_harness import SourceHarness, nanoseconds


@pytest.fixture(params=DATABASES)
def harness(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceHarness]:
    monkeypatch.setattr(costs, "_EVERY", 0.1)
    engine = open_harness(request, tmp_path)
    engine.push(TEMPLATE.replace('version = "1"\n', 'version = "1"\nprice = 6.0\n', 1))
    engine.worker.start()
    harness = SourceHarness(engine)
    yield harness
    harness.stop()
    engine.stop()


class TestEnvironments:
    def test_it_tells_what_becomes_of_environments_in_order(self, harness: SourceHarness) -> None:
        harness.trigger(on="environment")
        harness.start(EnvironmentEvents)
        harness.engine.until(lambda: _cursor(harness) is not None)
        harness.ready("one")
        harness.engine.requests.destroy(ADMIN, "one")
        harness.engine.wait_for(State.DESTROYED)
        ready, destroyed = harness.waits_for(Source.ENVIRONMENT, 2)
        assert [ready.kind, destroyed.kind] == ["ready", "destroyed"]
        assert ready.fields["name"] == "one"
        assert ready.fields["template"] == "things"
        assert ready.environment_id == ready.subject == harness.engine.environment().id

    def test_what_happened_while_no_process_led_is_told_once(self, harness: SourceHarness) -> None:
        harness.trigger(on="environment")
        harness.start(EnvironmentEvents)
        harness.engine.until(lambda: _cursor(harness) is not None)
        harness.stop()
        harness.ready("one")
        harness.start(EnvironmentEvents)
        harness.waits_for(Source.ENVIRONMENT, 1)
        harness.stop()
        harness.start(EnvironmentEvents)
        harness.ready("two")
        assert [event.fields["name"] for event in harness.waits_for(Source.ENVIRONMENT, 2)] == ["one", "two"]

    def test_a_new_trigger_hears_nothing_of_the_past(
        self, harness: SourceHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(environments, "_EVERY", 0.1)
        harness.start(EnvironmentEvents)
        harness.engine.until(lambda: _cursor(harness) is not None)
        harness.ready("one")
        harness.engine.until(lambda: _cursor(harness) == _newest(harness))
        harness.trigger(on="environment")
        harness.stop()
        harness.start(EnvironmentEvents)
        harness.ready("two")
        (event,) = harness.waits_for(Source.ENVIRONMENT, 1)
        assert event.fields["name"] == "two"

    def test_a_chain_of_triggers_is_counted(self, harness: SourceHarness) -> None:
        harness.trigger(on="environment")
        harness.ready("one")
        harness.start(EnvironmentEvents)
        harness.engine.until(lambda: _cursor(harness) is not None)
        for hops in (3, 6):
            deployment, found = harness.fired("one", hops), harness.engine.environment()
            with harness.engine.database.write() as tx:
                now = harness.engine.clock()
                data = {"state": "ready"}
                tx.events.add(EventType.ENVIRONMENT_STATE, found.id, now, deployment_id=deployment, data=data)
        third, refused = harness.waits_for(Source.ENVIRONMENT, 2)
        assert (third.hops, third.state) == (3, ReceivedState.WAITING)
        assert (refused.hops, refused.state) == (6, ReceivedState.REFUSED)


class TestJobs:
    def test_a_job_that_ends_is_told_once(self, harness: SourceHarness) -> None:
        harness.ready("one")
        source, run = harness.start(JobEvents), _dead("one", "work")
        harness.job_ends.ends["one", "work"] = JobEnd("complete", "batch", "", run.submitted)
        source.jobs_changed([run])
        source.jobs_changed([run])
        (event,) = harness.waits_for(Source.JOB, 1)
        assert (event.kind, event.subject, event.fields["status"]) == ("complete", "one/work", "complete")
        assert event.environment_id == harness.engine.environment().id
        harness.stop()
        again = harness.start(JobEvents)
        asked = len(harness.job_ends.asked)
        again.jobs_listed(Listing([run]), frozenset({"one"}))
        harness.engine.until(lambda: len(harness.job_ends.asked) > asked)
        harness.engine.until(lambda: not again._ended)
        harness.waits_for(Source.JOB, 1)

    def test_a_new_submission_of_the_job_is_another_event(self, harness: SourceHarness) -> None:
        harness.ready("one")
        source = harness.start(JobEvents)
        for number, outcome in enumerate(("failed", "complete"), 1):
            run = _dead("one", "work", submitted=number)
            harness.job_ends.ends["one", "work"] = JobEnd(outcome, "batch", "", number)
            source.jobs_changed([run])
            harness.waits_for(Source.JOB, number)
        assert [event.kind for event in harness.received(Source.JOB)] == ["failed", "complete"]

    def test_what_ended_in_a_gap_is_found_in_the_listing(self, harness: SourceHarness) -> None:
        harness.ready("one")
        source = harness.start(JobEvents)
        jobs = [_dead("one", f"nightly/periodic-{number}", parent="nightly") for number in range(60)]
        for job in jobs:
            harness.job_ends.ends["one", job.id] = JobEnd("complete", "batch", "nightly", job.submitted)
        source.jobs_listed(Listing(jobs), frozenset({"one"}))
        found = harness.waits_for(Source.JOB, 60)
        assert {event.fields["job"] for event in found} == {"nightly"}
        assert len({event.fields["run"] for event in found}) == 60

    def test_nomad_is_asked_again_after_it_was_away(self, harness: SourceHarness) -> None:
        harness.ready("one")
        source = harness.start(JobEvents)
        harness.job_ends.away = True
        harness.job_ends.ends["one", "work"] = JobEnd("complete", "batch", "", 1)
        source.jobs_changed([_dead("one", "work", submitted=1)])
        harness.job_ends.away = False
        harness.waits_for(Source.JOB, 1)

    @pytest.mark.parametrize("why", ["stopped", "starts later", "no environment", "runs on", "destroyed"])
    def test_what_has_not_ended_by_itself_is_not_told(self, harness: SourceHarness, why: str) -> None:
        harness.ready("one")
        harness.ready("two")
        source = harness.start(JobEvents)
        run = _dead("none" if why == "no environment" else "one", "work")
        run = SeenJob(**{**run.__dict__, "stopped": why == "stopped", "starts_later": why == "starts later"})
        if why != "runs on":
            harness.job_ends.ends["one", "work"] = JobEnd("complete", "batch", "", run.submitted)
        if why == "destroyed":
            harness.engine.requests.destroy(ADMIN, "one")
            harness.engine.wait_for(State.DESTROYED)
        source.jobs_changed([run])
        harness.job_ends.ends["two", "work"] = JobEnd("complete", "batch", "", run.submitted)
        source.jobs_changed([_dead("two", "work")])
        (event,) = harness.waits_for(Source.JOB, 1)
        assert event.fields["namespace"] == "two"

    def test_a_chain_goes_on_through_the_job_that_a_firing_registered(self, harness: SourceHarness) -> None:
        harness.ready("one")
        source = harness.start(JobEvents)
        harness.fired("one", hops=2, ran=timedelta(minutes=1))
        at = nanoseconds(harness.engine.clock() - timedelta(seconds=30))
        for name, parent in (("work", ""), ("nightly/periodic-1", "nightly")):
            harness.job_ends.ends["one", name] = JobEnd("complete", "batch", parent, at)
            source.jobs_changed([_dead("one", name, parent=parent, submitted=at)])
        found = harness.waits_for(Source.JOB, 2)
        assert {event.fields["job"]: event.hops for event in found} == {"work": 2, "nightly": 0}


class TestCosts:
    def test_each_budget_of_each_trigger_is_told_once(self, harness: SourceHarness) -> None:
        harness.ready("one")
        small = harness.trigger(environment="one", name="small", on="cost", over=5)
        harness.trigger(environment="one", name="large", on="cost", over=500)
        harness.start(CostEvents)
        assert harness.received(Source.COST) == []
        harness.engine.clock.ahead = timedelta(hours=1)
        (event,) = harness.waits_for(Source.COST, 1)
        assert event.fields["trigger"] == small
        assert float(str(event.fields["amount"])) == pytest.approx(6, abs=0.2)
        harness.stop()
        harness.engine.clock.ahead = timedelta(hours=2)
        harness.start(CostEvents)
        harness.trigger(environment="one", name="new", on="cost", over=10)
        found = harness.waits_for(Source.COST, 2)
        assert [event.fields["budget"] for event in found] == ["5.0", "10.0"]

    def test_a_price_that_is_too_low_is_not_told(self, harness: SourceHarness) -> None:
        harness.ready("one")
        harness.trigger(environment="one", on="cost", over=7)
        harness.start(CostEvents)
        harness.engine.clock.ahead = timedelta(hours=1)
        other = harness.trigger(environment="one", name="two", on="cost", over=1)
        (event,) = harness.waits_for(Source.COST, 1)
        assert event.fields["trigger"] == other


def _dead(namespace: str, job: str, parent: str = "", submitted: int = 1_000) -> SeenJob:
    return SeenJob(namespace, job, "batch", 1, False, 1, parent=parent, submitted=submitted, dead=True)


def _cursor(harness: SourceHarness) -> int | None:
    with harness.engine.database.read() as tx:
        found = tx.cursors.get("environment", "events")
    return None if found is None else int(found)


def _newest(harness: SourceHarness) -> int:
    with harness.engine.database.read() as tx:
        return tx.events.newest()
