"""Every provider, and the step kinds of all of them.

The checking processes load this for the rules of options: it must not import a vendor's library.
"""

from environments.providers.consul import provide as consul
from environments.providers.edge import provide as edge
from environments.providers.http import provide as http
from environments.providers.job_places import provide as job_places
from environments.providers.local_cluster import provide as local_cluster
from environments.providers.nomad import provide as nomad
from environments.providers.opentofu import provide as opentofu
from environments.providers.parts import Provider
from environments.providers.vault import provide as vault
from environments.service.inspecting import StepKind

# Drift is reported in this order.
PROVIDERS: tuple[Provider, ...] = (nomad, consul, vault, http, local_cluster, opentofu, job_places, edge)

STEP_KINDS: dict[str, StepKind] = {kind.kind: kind for provider in PROVIDERS for kind in provider.STEP_KINDS}
