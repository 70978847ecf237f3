"""The template `meta`, with the edge or without it."""

from pathlib import Path

from environments.client.bundles import read_bundle
from environments.domain.template import TEMPLATE_FILE, Bundle, make_bundle

FOLDER = Path(__file__).parent / "meta"
EDGE = "edge.toml"
"""What the edge adds to the template."""

EDGE_JOB = "edge.nomad.hcl"


def meta_bundle(*, edge: bool = False) -> Bundle:
    """The files of `meta`. Without the edge nothing in them speaks of it. Raises `InvalidTemplate`."""
    files = dict(read_bundle(FOLDER).files)
    added = files.pop(EDGE)
    if edge:
        files[TEMPLATE_FILE] = files[TEMPLATE_FILE] + b"\n" + added
    else:
        del files[EDGE_JOB]
    return make_bundle(files)
