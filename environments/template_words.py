"""What a template makes, how long that takes and what it costs, in the words of every front end."""

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from environments.moments import taken

if TYPE_CHECKING:  # the command line reads this module to say `--help`
    from environments.wire.templates import TemplateView


def makes(view: "TemplateView") -> str:
    """Its steps by their kind: `nomad.job (2), consul.kv`."""
    counts = Counter(step.uses for step in view.steps)
    return ", ".join(kind if count == 1 else f"{kind} ({count})" for kind, count in counts.items())


def takes(view: "TemplateView") -> str:
    """How long a create takes: `1m05s; 9 of 10 within 2m00s (the newest 40)`."""
    times = view.creates
    if times is None:
        return "not known yet"
    median, most = (taken(timedelta(seconds=seconds)) for seconds in (times.median, times.nine_tenths))
    return f"{median}; 9 of 10 within {most} (the newest {times.made})"


def costs(view: "TemplateView") -> str:
    """What an environment of it costs: `0.25 an hour`. Empty: it has no price."""
    return f"{view.price:g} an hour" if view.price else ""
