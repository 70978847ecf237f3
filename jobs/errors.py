"""Errors of builds in build environments."""

from environments.domain.errors import MachineError, NotFound


class NoBuildEnvironment(NotFound):
    """There is no build environment, or there are several and none was named."""

    code = "no_build_environment"
    default_hint = "Make one with `calvinverse env create builds --template build`."


class DispatchFailed(MachineError):
    """A build can't be sent, started or followed."""

    code = "dispatch_failed"
    default_hint = "See `calvinverse env show` for the build environment, and `doit status` for the cluster."


class RemoteBuildFailed(MachineError):
    """A build in a build environment failed; the images that it had finished are recorded."""

    code = "remote_build_failed"
    default_hint = "Its log is above; `calvinverse image list` names the records of its builds."
