"""The template `meta`, with the edge, channels of warnings and providers of the operator's own, or without them."""

from pathlib import Path

from environments.client.bundles import read_bundle
from environments.domain.template import TEMPLATE_FILE, Bundle, make_bundle
from jobs.edge import Source

FOLDER = Path(__file__).parent / "meta"
EDGE = "edge.toml"
"""What the edge adds to the template."""

SOURCES = {source: f"edge-{source.value}.toml" for source in Source}
"""The step `edge-certificate`, for each source of the edge's certificate."""

EDGE_JOB = "edge.nomad.hcl"
UI_JOB = "ui.nomad.hcl"
"""The jobs of the edge, and of the web page, which is where an edge is."""

WARNINGS = "warnings.toml"
"""What channels of warnings add to the template."""


PROVIDERS = "identity-providers.toml"
"""What OpenID providers add to the template."""


def meta_bundle(
    *, edge: bool = False, source: Source = Source.AUTHORITY, warnings: bool = False, providers: bool = False
) -> Bundle:
    """The files of `meta`. Without the edge nothing speaks of it or of the web page. Raises `InvalidTemplate`."""
    files = dict(read_bundle(FOLDER).files)
    sources = {known: files.pop(name) for known, name in SOURCES.items()}
    added = files.pop(EDGE)
    channels, identity = files.pop(WARNINGS), files.pop(PROVIDERS)
    if edge:
        files[TEMPLATE_FILE] = b"\n".join([files[TEMPLATE_FILE], sources[source], added])
    else:
        del files[EDGE_JOB], files[UI_JOB]
    if warnings:
        files[TEMPLATE_FILE] = b"\n".join([files[TEMPLATE_FILE], channels])
    if providers:
        files[TEMPLATE_FILE] = b"\n".join([files[TEMPLATE_FILE], identity])
    return make_bundle(files)
