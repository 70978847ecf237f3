"""What jobs need of this machine to have networks of their own: the CNI plugins."""

from environments.cni import plugin_folder
from images.errors import PackagesMissing
from images.report import Report
from images.system import can_install_packages, ensure_debian_packages

CNI_PACKAGE = "containernetworking-plugins"
"""Debian's package of the plugins."""

WITHOUT_CNI = f"On Debian, as root: apt-get install {CNI_PACKAGE}. Elsewhere, put CNI's plugins into /opt/cni/bin."
"""How to install them."""

NOT_ISOLATED = (
    "The CNI plugins are missing, so jobs can't have networks of their own here. Jobs that ask for one are refused. "
    "Jobs that use the network of this machine reach whatever listens on it, on loopback too."
)
"""What a deployment without them lacks."""


def ensure_plugins(report: Report) -> None:
    """Installs the CNI plugins where that is possible; else says what is missing without them."""
    if plugin_folder() is not None:
        return
    if can_install_packages():
        try:
            ensure_debian_packages((CNI_PACKAGE,), report, why="Jobs get networks of their own by CNI plugins")
        except PackagesMissing as error:
            report(f"Warning: {error}")
    if plugin_folder() is None:
        report(f"Warning: {NOT_ISOLATED} {WITHOUT_CNI}")
