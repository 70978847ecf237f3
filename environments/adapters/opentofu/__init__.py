"""OpenTofu as a part: run under guard, with providers from a mirror or a shared cache, its state with the service."""

from environments.adapters.opentofu.folders import WorkFolders
from environments.adapters.opentofu.installation import Installation
from environments.adapters.opentofu.prepared import Prepared
from environments.adapters.opentofu.tofu import OpenTofu

__all__ = ["Installation", "OpenTofu", "Prepared", "WorkFolders"]
