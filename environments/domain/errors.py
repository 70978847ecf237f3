"""One tree of errors. Each has a stable code, one sentence and a hint; each front end renders it once.

`code` is part of the API and never changes its meaning. `environments.api.statuses` has the HTTP status of each code,
`environments.exit_statuses` the exit status; docs/reference/error-codes.md lists both. `transient` says that the
same call may succeed later without anybody changing anything, so a deployment may try again.
"""

from typing import Any, ClassVar


class CalvinverseError(Exception):
    """Something went wrong that a person should read about: one sentence, and what to do.

    `details` is data for machines (JSON values); it never holds a secret.
    """

    code: ClassVar[str] = "internal"
    transient: ClassVar[bool] = False
    default_hint: ClassVar[str] = "Read the log of the service, and report this if it happens again."

    def __init__(self, message: str, *, hint: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.details = details or {}


# --- what a person asked for -----------------------------------------------------------------------------------------


class InvalidInput(CalvinverseError):
    """The request is not valid."""

    code = "invalid_input"
    default_hint = "Correct the value and try again."


class InvalidName(InvalidInput):
    """A name is not a DNS label, holds a double hyphen, or makes names of services that are too long."""

    code = "invalid_name"
    default_hint = "Use 1 to 40 lower-case letters, digits and single hyphens, starting with a letter."


class InvalidParameters(InvalidInput):
    """Parameters are missing, unknown, of the wrong type or out of range; the error names all of them."""

    code = "invalid_parameters"
    default_hint = "See which parameters the template takes with `calvinverse template show`."


class InvalidLifetime(InvalidInput):
    """A duration or a moment is not valid, is in the past, or exceeds the template's maximum."""

    code = "invalid_lifetime"
    default_hint = "Give a duration such as 90m, 8h or 3d, or a moment such as 2026-12-01T18:00."


class InvalidTemplate(InvalidInput):
    """A template is not valid; `details["problems"]` lists every fault."""

    code = "invalid_template"
    default_hint = "Fix the template and check it with `calvinverse template validate`."


class InvalidJob(InvalidTemplate):
    """Nomad rejects a job file, or the job requests what its environment may not have."""

    code = "invalid_job"
    default_hint = "Fix the job file and check it with `nomad job validate`."


class InvalidTrigger(InvalidInput):
    """A definition of a trigger is not valid; `details["problems"]` lists every fault."""

    code = "invalid_trigger"
    default_hint = "Correct what is named; docs/how-to/triggers.md has all keys, with examples."


class SchemaUnsupported(InvalidTemplate):
    """A parameter's schema in a pushed template has a pattern or a reference that the service doesn't support.

    `details` has the `parameter`, and the `keyword` and `value` to change.
    """

    code = "schema_unsupported"
    default_hint = (
        "An admin has to change it and push the template again (docs/how-to/new-template.md, Patterns and limits). "
        "Environments made from it can still be destroyed."
    )


class CheckTooCostly(InvalidInput):
    """A check takes more time or memory than allowed; `details["place"]` names what was checked."""

    code = "check_too_costly"
    default_hint = "Make the value or the template simpler: docs/how-to/new-template.md, Patterns and limits."


class InvalidSource(InvalidInput):
    """The address of a git repository, the revision or the folder in it is not valid."""

    code = "invalid_source"
    default_hint = "Give an address such as https://host/team/templates.git or ssh://git@host/team/templates.git."


class InvalidImage(InvalidInput):
    """An image isn't named by its content; a tag can move to another image."""

    code = "invalid_image"
    default_hint = "Name it as sha256:<64 hex digits> (its id in the engine) or <repository>@sha256:<64 hex digits>."


class NotFound(CalvinverseError):
    """There is no such thing, or you may not see it."""

    code = "not_found"
    default_hint = "See the matching `list` command."


class UnknownTemplate(NotFound):
    """No template has this name (or digest)."""

    code = "unknown_template"
    default_hint = "See the templates with `calvinverse template list`."


class UnknownRevision(NotFound):
    """A git repository has no such tag, branch or commit."""

    code = "unknown_revision"
    default_hint = "List tags, branches and commits with `git ls-remote URL`."


class ImageNotPublished(NotFound):
    """The service knows no image of this name, or it was withdrawn."""

    code = "image_not_published"
    default_hint = "Run `doit deploy`, or publish it with `calvinverse image publish NAME`."


class UnknownEnvironment(NotFound):
    """No environment has this name."""

    code = "unknown_environment"
    default_hint = "See the environments with `calvinverse env list`."


class UnknownRoute(NotFound):
    """The API has no such path."""

    code = "unknown_route"
    default_hint = "See /openapi.json for all paths."


class MethodNotAllowed(InvalidInput):
    """The path of the API doesn't have this method."""

    code = "method_not_allowed"
    default_hint = "See /openapi.json for the methods of each path."


class UnknownParameter(InvalidInput):
    """The path takes no query parameter of that name; `details["known"]` lists those that it takes."""

    code = "unknown_parameter"
    default_hint = "See /openapi.json for the parameters of each path."


class RequestTooLarge(InvalidInput):
    """The body of a request is larger than the limit."""

    code = "request_too_large"
    default_hint = "Send less."


class RequestTooSlow(InvalidInput):
    """The body of a request takes too long to arrive."""

    code = "request_too_slow"
    default_hint = "Send it again over a faster connection."


class NotJson(InvalidInput):
    """The body of a request is not JSON."""

    code = "not_json"
    default_hint = "Send application/json."


class TooManyRequests(CalvinverseError):
    """Too many requests of one kind run at once, of one owner or of all; nothing was done.

    `details["retry_after"]`, if given: seconds after which to try again.
    """

    code = "too_many_requests"
    transient = True
    default_hint = "Wait until earlier requests are done, then send the same request again."


class Conflict(CalvinverseError):
    """The request doesn't fit the current state."""

    code = "conflict"
    default_hint = "Check the current state and decide again."


class NameTaken(Conflict):
    """Another environment has this name, or an abandoned one of which something may be left."""

    code = "name_taken"
    default_hint = (
        "Choose another name. If `calvinverse env list` shows the other environment, you can destroy it first; else "
        "it belongs to another owner."
    )


class TemplateInUse(Conflict):
    """Environments made from the template exist, so it can't be deleted.

    `details` has the names that the caller may see in `environments`, and the number of all in `count`.
    """

    code = "template_in_use"
    default_hint = "Destroy these environments first, then delete the template."


class NotAllowedNow(Conflict):
    """The current state doesn't allow this."""

    code = "not_allowed_now"
    default_hint = "`calvinverse env show` shows the state."


class PlanStale(Conflict):
    """Something has changed since the plan was made; `details["moved"]` says what."""

    code = "plan_stale"
    default_hint = "Make a new plan, review it, and apply that one."


class UnknownPlan(NotFound):
    """There is no saved plan of this id, or it has expired."""

    code = "unknown_plan"
    default_hint = "Make a new one with `--plan`."


class ManagedOutside(Conflict):
    """Another service manages the environment; here it is read-only."""

    code = "managed_outside"
    default_hint = "On the machine that deployed it, `doit deploy` changes and repairs it, `doit undeploy` removes it."


class StateRefused(Conflict):
    """The state of an OpenTofu module can't be read, written or locked: the caller has lost the deployment."""

    code = "state_refused"
    default_hint = "Nothing is lost: the state is kept aside, and another worker resumes the deployment."


class StateNotEncrypted(InvalidInput):
    """The state of an OpenTofu module was plain text, and was not kept."""

    code = "state_not_encrypted"
    default_hint = "Run the module with OpenTofu and its state encryption, which Terraform doesn't have."


class IdempotencyMismatch(Conflict):
    """The same Idempotency-Key came with another body."""

    code = "idempotency_mismatch"
    default_hint = "Use a new Idempotency-Key for a new request."


class Unauthenticated(CalvinverseError):
    """No token, or one that is unknown, expired or revoked."""

    code = "unauthenticated"
    default_hint = "Sign in with `calvinverse login`, or give a token with --token-file or CALVINVERSE_TOKEN_FILE."


class DeliveryUnsigned(CalvinverseError):
    """A delivery to a webhook isn't signed with its secret, its timestamp is too old, or there is no such webhook."""

    code = "delivery_unsigned"
    default_hint = (
        "Compare the address and the secret at the sender; an admin sees with `calvinverse webhook show NAME` what was "
        "refused, and why."
    )


class DeliveryUnreadable(InvalidInput):
    """The body of a signed delivery to a webhook can't be read."""

    code = "delivery_unreadable"
    default_hint = "Send one JSON object in UTF-8, at most 64 levels deep, without a key twice in an object."


class UnknownWebhook(NotFound):
    """No webhook has this name."""

    code = "unknown_webhook"
    default_hint = "See the webhooks with `calvinverse webhook list`."


class Forbidden(CalvinverseError):
    """The token is valid, but not for this."""

    code = "forbidden"
    default_hint = "Ask an admin."


class SignInRefused(CalvinverseError):
    """A person can't sign in: a wrong user name or password, or what the provider tells isn't as it must be."""

    code = "sign_in_refused"
    default_hint = "Start again with `calvinverse login`, or on the page for signing in."


class PasswordChangeNeeded(SignInRefused):
    """The password is right and was given for one time: a new one must be chosen first."""

    code = "password_change_needed"
    default_hint = "Choose a new password on the page for signing in."


class AuthorizationPending(SignInRefused):
    """Nobody has approved the device yet: ask again after the interval (RFC 8628, 3.5)."""

    code = "authorization_pending"
    default_hint = "Approve it on the page whose address was shown."


class SlowDown(SignInRefused):
    """A device asks too often whether it was approved; `details["interval"]` is how long to wait, in seconds."""

    code = "slow_down"
    default_hint = "Wait longer between two questions."


class AccessDenied(SignInRefused):
    """A person has denied to sign a device in."""

    code = "access_denied"


class DeviceCodeExpired(SignInRefused):
    """The code of a device has expired, was used, or never was one."""

    code = "expired_token"


# --- backends, steps and the database --------------------------------------------------------------------------------


class ForeignResource(Conflict):
    """A thing of that name exists and is not ours; it is neither adopted nor destroyed."""

    code = "foreign_resource"
    default_hint = "Choose another name, or have its owner remove it."


class AuditBroken(CalvinverseError):
    """The audit log isn't as the service wrote it."""

    code = "audit_broken"
    default_hint = "Somebody changed the database, or it was restored from a copy: compare with what was exported."


class BackendError(CalvinverseError):
    """Nomad, Consul, OpenBao or another backend refused the call or failed."""

    code = "backend_failed"
    default_hint = "See `calvinverse doctor` and the log of that backend."


class BackendUnavailable(BackendError):
    """A backend can't be reached, is sealed, or has no leader."""

    code = "backend_unavailable"
    transient = True
    default_hint = (
        "Start it again (`doit status` shows what runs), then repeat the command; `calvinverse env retry` resumes a "
        "failed deployment."
    )


class BackendDenied(BackendError):
    """A backend refuses our credential."""

    code = "backend_denied"
    default_hint = "Run `doit deploy` again to renew the credentials and policies."


class CredentialUnknown(BackendDenied):
    """A backend doesn't know our credential: it was revoked, or the backend has just started and not read its state."""

    code = "credential_unknown"
    transient = True


class SourceFailed(BackendError):
    """A git repository can't be read."""

    code = "source_failed"
    default_hint = "Try `git ls-remote URL` on the service's machine, as the service's user."


class SourceDenied(SourceFailed):
    """A git repository doesn't exist, or refuses the service."""

    code = "source_denied"
    default_hint = "Give the service access: a key for ssh, or a token in the file of CALVINVERSE_GIT_CREDENTIALS."


class SourceUnavailable(SourceFailed):
    """A git repository's host can't be reached, or takes too long."""

    code = "source_unavailable"
    transient = True
    default_hint = "Try again later; templates that were pushed before are not affected."


class ForgeRefused(CalvinverseError):
    """A forge refuses a call, or its answer can't be read: the token lacks a scope, or the repository isn't there."""

    code = "forge_refused"
    default_hint = "Check address, repository and token with `calvinverse webhook check`."


class ForgeUnavailable(CalvinverseError):
    """A forge doesn't answer, or its rate limit is reached. `details["retry_after"]`, if given: seconds to wait."""

    code = "forge_unavailable"
    transient = True
    default_hint = "Nothing to do: it is asked again later."


class StepFailed(CalvinverseError):
    """A step ran and its result is wrong: a job isn't healthy, a check doesn't pass."""

    code = "step_failed"
    default_hint = "See `calvinverse env logs`, fix the cause, then `calvinverse env retry`."


class StepTimeout(StepFailed):
    """A step took longer than its time limit."""

    code = "step_timeout"


class ServiceUnavailable(CalvinverseError):
    """The provisioning service doesn't answer."""

    code = "service_unavailable"
    transient = True
    default_hint = "Start it with `calvinverse serve` or `doit deploy`; `doit status` shows what runs."


class NoAnswer(ServiceUnavailable):
    """A request that changes something was sent, and no answer came that can be read: it may have been carried out."""

    code = "no_answer"
    default_hint = "See whether it was done before you repeat it."


class CertificateRefused(ServiceUnavailable):
    """The certificate of what answers at the service's address isn't one that the client accepts."""

    code = "certificate_refused"
    transient = False
    default_hint = "The message says why; see `calvinverse context show` for the pinned authority."


class StorageError(CalvinverseError):
    """The database can't be used: it is corrupt, of a newer version or in use, or the disk is full."""

    code = "storage_failed"
    default_hint = "Free space or restore the copy beside the database, then start the service again."


class DatabaseInUse(StorageError):
    """Another service has this database open."""

    code = "database_in_use"
    default_hint = "Stop the other service, or give this one another --data folder."


class DatabaseFromFuture(StorageError):
    """A newer version has migrated this database."""

    code = "database_from_future"
    default_hint = "Run the newer version, or restore the copy it made before migrating."


class DatabaseCorrupt(StorageError):
    """The database file is damaged or not a database."""

    code = "database_corrupt"


class DatabaseUnavailable(StorageError):
    """The database doesn't answer, has no free connection, or was busy with another change."""

    code = "database_unavailable"
    transient = True
    default_hint = "Start the database again if it is down; the service continues when the database answers."


class DatabaseDenied(StorageError):
    """The database refuses the user or the password, or gives that user too few rights."""

    code = "database_denied"
    default_hint = "Correct CALVINVERSE_DATABASE or the password file; it is read again for each connection."


class DiskFull(StorageError):
    """No space is left for the database."""

    code = "disk_full"
    transient = True


# --- this machine ----------------------------------------------------------------------------------------------------


class MachineError(CalvinverseError):
    """This machine lacks something that is needed."""

    code = "machine_unfit"
    default_hint = "See `calvinverse doctor`."


class NotConnected(MachineError):
    """The service has no address of a backend that is needed."""

    code = "not_connected"
    default_hint = "Run `doit deploy`, or give the address of an existing cluster."


class PortTaken(MachineError):
    """Another process uses a port that is needed."""

    code = "port_taken"
    default_hint = "Stop that process or choose another port."


class UnsafeAddress(InvalidInput):
    """Beyond loopback without TLS, tokens would be sent in the clear."""

    code = "unsafe_address"
    default_hint = "Give --tls-certificate and --tls-key, or listen on 127.0.0.1."


# --- control flow of the engine: never shown as failures --------------------------------------------------------------


class Interrupted(CalvinverseError):
    """A step must stop now; another worker resumes the deployment, or a request to destroy replaces it."""

    code = "interrupted"
    default_hint = "Nothing to do: the deployment is resumed, or a request to destroy replaced it."


class LeaseLost(Interrupted):
    """Another worker holds the deployment now; this worker may not change it."""

    code = "lease_lost"


class Superseded(Interrupted):
    """The environment was to be destroyed while it was being deployed."""

    code = "superseded"


class Cancelled(Interrupted):
    """A person cancelled the deployment; the environment fails, and can be repaired, updated or destroyed."""

    code = "cancelled"
    default_hint = "Run `calvinverse env retry`, `env repair` or `env destroy`."


class Stopping(Interrupted):
    """The service is stopping; the deployment continues when it runs again."""

    code = "stopping"


def all_errors() -> list[type[CalvinverseError]]:
    """Every class of the tree that defines a code, for the reference and its test.

    Subclasses without a code, in whatever module, are reported with the code of their base.
    """
    found: list[type[CalvinverseError]] = []
    queue: list[type[CalvinverseError]] = [CalvinverseError]
    while queue:
        cls = queue.pop(0)
        if "code" in vars(cls):
            found.append(cls)
        queue.extend(cls.__subclasses__())
    return found
