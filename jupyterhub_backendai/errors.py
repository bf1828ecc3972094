"""The one exception tree.

A message here may be shown to a user. It is an English sentence with named ``%(name)s`` places, kept apart from its values so
that the edge that knows the reader's language (a page, the REST answer, the spawn error) can translate it before it fills it in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


def N_(message: str) -> str:  # noqa: N802 - gettext's own name
    """Mark a message for the catalogues; it is translated later, where the reader's language is known."""
    return message


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that a request breaks.

    ``field`` is the form field (``cpu``, ``queue`` …) or "" for the request as a whole; ``rule`` is a stable word for metrics.
    """

    message: str
    params: Mapping[str, Any] = field(default_factory=dict)
    field: str = ""
    rule: str = "invalid"

    def __str__(self) -> str:
        return self.message % self.params if self.params else self.message


class BackendAIError(Exception):
    """A failure whose message may be shown to the user."""

    status = 500
    code = "backendai_generic_internal-error"
    transient = False
    default_message = N_("Something went wrong on our side. Try again; if it stays, tell the help desk.")

    def __init__(self, message: str = "", violations: Sequence[Violation] = (), **params: Any) -> None:
        self.message = message or (violations[0].message if violations else self.default_message)
        self.params: Mapping[str, Any] = params or (violations[0].params if violations and not message else {})
        self.violations = tuple(violations)
        super().__init__(str(self))

    def __str__(self) -> str:
        return self.message % self.params if self.params else self.message

    def to_problem(self) -> dict[str, Any]:
        """The error as JSON for the private listener; :func:`from_problem` is the inverse."""
        return {
            "error_code": self.code,
            "status": self.status,
            "message": self.message,
            "params": dict(self.params),
            "violations": [asdict(violation) for violation in self.violations],
        }


class NotFound(BackendAIError):
    status = 404
    code = "backendai_generic_not-found"
    default_message = N_("There is no such thing here, or it is not yours.")


class AlreadyExists(BackendAIError):
    status = 409
    code = "backendai_generic_already-exists"


class Conflict(BackendAIError):
    """The request is right but the thing is in another state by now."""

    status = 409
    code = "backendai_generic_conflict"


class InvalidParameters(BackendAIError):
    status = 400
    code = "backendai_generic_invalid-parameters"


class Unauthenticated(BackendAIError):
    status = 401
    code = "backendai_auth_unauthenticated"
    default_message = N_("Log in first.")


class Forbidden(BackendAIError):
    status = 403
    code = "backendai_generic_forbidden"
    default_message = N_("You may not do this.")


class NoPosixAccount(Forbidden):
    code = "backendai_session_no-posix-account"
    default_message = N_(
        "Your account has no Unix account on the cluster, so this queue cannot run your job. Ask your centre's help desk to add one."
    )


class QuotaExceeded(BackendAIError):
    """What was asked does not fit now; ``violations`` holds every limit that is hit."""

    status = 412
    code = "backendai_session_quota-exceeded"


class TooManyRequests(BackendAIError):
    status = 429
    code = "backendai_generic_too-many-requests"
    transient = True
    default_message = N_("Too many attempts. Wait a minute and try again.")


class RateLimitExceeded(TooManyRequests):
    """More calls than the keypair's rate limit; ``params["seconds"]`` is how long to wait."""

    code = "backendai_api_rate-limit-exceeded"
    default_message = N_("You have made all of the %(limit)s calls that you may make in 15 minutes. Try again in %(seconds)s seconds.")


class BackendUnavailable(BackendAIError):
    """A server that we need does not answer, or answers that it cannot."""

    status = 503
    code = "backendai_generic_unavailable"
    transient = True
    default_message = N_("This is not possible right now, because a part of the system does not answer. Try again in a minute.")


class ServiceUnavailable(BackendUnavailable):
    """Our own service cannot be reached from the hub."""

    code = "backendai_service_unavailable"


class SchedulerUnavailable(BackendUnavailable):
    code = "backendai_scheduler_unavailable"
    default_message = N_("The scheduler cannot be reached right now. Running sessions go on; try to start again in a minute.")


class SubmitRefused(InvalidParameters):
    """The scheduler looked at the job and said no. ``advice`` (a msgid, maybe "") says what to do; the words are ``params["reason"]``."""

    code = "backendai_session_submit-refused"
    advice = ""


class StartFailed(BackendAIError):
    """A session that was admitted did not come up."""

    code = "backendai_session_start-failed"
    default_message = N_("The session did not start.")


class DirectoryRefused(Conflict):
    """A user's own directory (logs, work) cannot be made or written."""

    code = "backendai_session_directory"
    default_message = N_("Your directory %(path)s cannot be used: %(reason)s. Ask your centre's help desk.")


class StorageFull(BackendAIError):
    """A quota or a disk is full, or would be; ``params`` has the numbers where they are known."""

    status = 507
    code = "backendai_vfolder_storage-full"
    default_message = N_("There is no room left for this. Delete something, or ask your administrator for more.")


class UploadLocked(Conflict):
    """Somebody writes to this upload right now, or did until a moment ago."""

    status = 423
    code = "backendai_upload_locked"
    transient = True
    default_message = N_("Another transfer of this file is under way. Try again in a few seconds.")


class ChecksumMismatch(InvalidParameters):
    """What arrived is not what was sent; nothing of it is kept. The status is that of TUS."""

    status = 460
    code = "backendai_upload_checksum-mismatch"
    default_message = N_("What arrived differs from what was sent. It is sent again.")


class TooLarge(InvalidParameters):
    status = 413
    code = "backendai_generic_too-large"
    default_message = N_("This is larger than it may be.")


class RangeNotSatisfiable(InvalidParameters):
    status = 416
    code = "backendai_generic_range-not-satisfiable"
    default_message = N_("The file has no such part.")


class StorageUnavailable(BackendUnavailable):
    """A storage host does not answer in time; everything else goes on."""

    code = "backendai_vfolder_storage-unavailable"
    default_message = N_("The storage host %(host)s does not answer right now. Your files are not lost; try again in a minute.")


class DirectoryUnavailable(BackendUnavailable):
    code = "backendai_login_directory-unavailable"
    default_message = N_("Logging in is not possible right now. Try again in a minute.")


class FactorUnavailable(BackendUnavailable):
    """The server of the one-time passwords cannot say. Said as a directory's silence is, so that nothing is learnt from it."""

    code = "backendai_login_factor-unavailable"
    default_message = N_("Logging in is not possible right now. Try again in a minute.")


class MailUnavailable(BackendUnavailable):
    """The mail server does not answer, or not now."""

    code = "backendai_mail_unavailable"
    default_message = N_("The mail could not be sent. Try again in a few minutes.")


class MailRefused(InvalidParameters):
    """The mail server will never take this message: the address does not exist, or we may not send."""

    code = "backendai_mail_refused"
    default_message = N_("The mail server did not accept the address.")


class RegistryUnavailable(BackendUnavailable):
    code = "backendai_registry_unavailable"
    default_message = N_("The registry %(host)s does not answer.")


class RegistryRefused(Conflict):
    """A registry does not let us in, or says what we cannot use."""

    code = "backendai_registry_refused"


class AddressRefused(InvalidParameters):
    """An address that the platform does not connect to, such as one of the site's own network that nobody opened to it."""

    code = "backendai_generic_address-refused"
    default_message = N_("We do not connect to %(host)s: it is no public address. A site can allow networks of its own.")


def _subclasses(cls: type[BackendAIError]) -> dict[str, type[BackendAIError]]:
    found = {cls.code: cls}
    for child in cls.__subclasses__():
        found.update(_subclasses(child))
    return found


def from_problem(problem: Mapping[str, Any]) -> BackendAIError:
    """The error that :meth:`BackendAIError.to_problem` described; an unknown code becomes the plain base class."""
    cls = _subclasses(BackendAIError).get(str(problem.get("error_code")), BackendAIError)
    violations = [Violation(**item) for item in problem.get("violations", ())]
    return cls(str(problem.get("message", "")), violations, **dict(problem.get("params", {})))
