"""What front ends tell of a template."""

from datetime import UTC, datetime

from environments.template_words import costs, makes, takes
from environments.wire.templates import CreateTimesView, TemplateStepView, TemplateView

STEPS = tuple(
    TemplateStepView(name=f"s{place}", uses=kind) for place, kind in enumerate(("nomad.job", "kv", "nomad.job"))
)
VIEW = TemplateView(
    name="web",
    version="1",
    description="",
    digest="sha256:0",
    pushed_at=datetime(2027, 3, 1, tzinfo=UTC),
    pushed_by="ada",
    default_lifetime=None,
    maximum_lifetime=None,
    parameters_schema={},
    steps=STEPS,
    outputs={},
)


def test_what_it_makes_takes_and_costs() -> None:
    assert makes(VIEW) == "nomad.job (2), kv"
    assert (takes(VIEW), costs(VIEW)) == ("not known yet", "")
    times = CreateTimesView(made=40, median=4.25, nine_tenths=125.0)
    known = VIEW.model_copy(update={"creates": times, "price": 0.25})
    assert takes(known) == "4.2s; 9 of 10 within 2m05s (the newest 40)"
    assert costs(known) == "0.25 an hour"
