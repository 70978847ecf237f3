"""Errors of the machine that builds images and tools."""

from environments.domain.errors import MachineError, NotFound


class ToolsMissing(MachineError):
    """Tools are neither on the PATH in a suitable version nor in the cache; the error names all of them."""

    code = "tools_missing"
    default_hint = "Run `doit tools`, which builds them, or install them on the PATH."


class ToolBuildFailed(MachineError):
    """Building or downloading a tool failed; only the log is kept."""

    code = "tool_build_failed"
    default_hint = "Read the log that is named, fix the cause, and run `doit tools` again."


class DockerUnavailable(MachineError):
    """No Docker engine answers, and none could be started."""

    code = "docker_unavailable"
    default_hint = "Install and start Docker, and check with `docker version`."


class PostgresMissing(MachineError):
    """There is no PostgreSQL that is new enough, and it can't be installed automatically."""

    code = "postgres_missing"
    default_hint = "Install PostgreSQL 14 or later; on Debian, as root: apt-get install postgresql."


class PackagesMissing(MachineError):
    """Packages of the system are missing and can't be installed automatically."""

    code = "packages_missing"
    default_hint = "Install them with the package manager of your system, as root."


class AssetsUnavailable(MachineError):
    """Files of npm packages that pages use can't be fetched, or aren't the expected ones."""

    code = "assets_unavailable"
    default_hint = "Fix the cause, and run `doit assets` again."


class RightsMissing(MachineError):
    """The user lacks rights that Nomad's client needs."""

    code = "rights_missing"
    default_hint = "Run this as root, or give the addresses of clusters that run elsewhere."


class CommandFailed(MachineError):
    """An external command failed or took too long."""

    code = "command_failed"
    default_hint = "Run the command by hand to see more."


class InvalidRecipe(MachineError):
    """The folder of an image is not valid: image.toml can't be read, or names something that doesn't exist."""

    code = "invalid_recipe"
    default_hint = "Fix the image.toml that is named; docs/how-to/add-an-image.md lists what may be in it."


class UnknownImage(NotFound):
    """No folder of images/ makes an image of this name."""

    code = "unknown_image"
    default_hint = "See the images with `doit list`."


class ImageBuildFailed(MachineError):
    """Building an image failed; the last validated image is kept."""

    code = "image_build_failed"
    default_hint = "Read the log that is named, fix the cause, and run `doit build` again."


class ImageValidationFailed(MachineError):
    """An image was built but failed its tests; the last validated image is kept."""

    code = "image_validation_failed"
    default_hint = "Read the log that is named, fix the image or its tests, and run `doit build` again."


class ImageNotBuilt(MachineError):
    """There is no validated image of this name on this machine."""

    code = "image_not_built"
    default_hint = "Make it with `doit build`."


class UnknownBuild(NotFound):
    """There is no such image, or no such build of it."""

    code = "unknown_build"
    default_hint = "See `calvinverse image list`."


class NotPromoted(MachineError):
    """An image can't be promoted, or there is no promotion to undo."""

    code = "not_promoted"
    default_hint = "See `calvinverse image show`, and `doit promote:<image>`."


class ImageRecordUnreadable(MachineError):
    """A file of an image's record is not valid."""

    code = "image_record_unreadable"
    default_hint = "Make the image again with `doit build`."


class SignerUnavailable(MachineError):
    """The signing key for images can't be used now."""

    code = "signer_unavailable"
    default_hint = "See `calvinverse doctor`; OpenBao must run and `doit deploy` must have made the key."


class ImageUntrusted(MachineError):
    """No trusted key has signed the image as it is."""

    code = "image_untrusted"
    default_hint = "Don't use the image; make it again with `doit build`."


class ImageUnsigned(ImageUntrusted):
    """The provenance of an image has no signature."""

    code = "image_unsigned"
    default_hint = (
        "If it was built on this machine, `calvinverse image sign NAME` signs it. Images that are built while OpenBao "
        "runs are signed automatically."
    )


class ImageSignerUnknown(ImageUntrusted):
    """The provenance of an image is signed, but not with a known key."""

    code = "image_signer_unknown"
    default_hint = "Give the public key of the person who built the image, if you trust them."


class ImageTampered(ImageUntrusted):
    """The provenance of an image was changed after it was signed, or is none."""

    code = "image_tampered"


class ImageMismatch(ImageUntrusted):
    """The provenance is valid, but for another image or other files."""

    code = "image_mismatch"


class RecordsRefused(MachineError):
    """Records of builds from elsewhere are incomplete or not valid; none of them was imported."""

    code = "records_refused"
    default_hint = "Build again, and check who else may write to the source of the records."
