"""Schemas of parameters, as tests write them: in a template, and with their faults as one text."""

from typing import Any

from environments.domain.template import parse_template
from environments.domain.template_parts import Template
from environments.schemas.faults import schema_faults


def template(**schemas: dict[str, Any]) -> Template:
    """A template whose parameters have these schemas."""
    whole = parse_template('[template]\nname = "x"\n[[steps]]\nname = "a"\nuses = "fake"\n')
    return whole.model_copy(update={"parameters": schemas})


def faults(schema: dict[str, Any]) -> str:
    """The faults of the schema of a parameter `p`."""
    return "; ".join(fault.sentence for fault in schema_faults("p", schema))
