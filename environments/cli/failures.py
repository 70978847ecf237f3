"""Errors on the command line: a sentence, a hint and the code, printed once; the exit status gives the kind."""

import json
import sys
from collections.abc import Iterator

from environments.domain.errors import BackendError, CalvinverseError, Interrupted
from environments.exit_statuses import exit_status

INTERRUPTED = 130
"""The status that shells expect after Ctrl-C (128 + SIGINT)."""

BROKEN_PIPE = 141
"""The status that shells expect when the reader of the output has gone (128 + SIGPIPE)."""

DEPLOYMENT_FAILED = 6
"""For any failure of a deployment: the request was accepted, so the environment exists."""

EXIT_STATUSES = {
    0: "done",
    1: "an unexpected error",
    2: "the request is not valid: names, parameters, lifetimes, templates, options; nothing was done",
    3: "there is no such thing; nothing was done",
    4: "it conflicts with the present state; nothing was done",
    5: "no token, a bad one, or one that may not do this; nothing was done",
    DEPLOYMENT_FAILED: "the deployment failed; its environment is there, and `env show` says how it is",
    7: "the service doesn't answer, is overloaded, or its certificate is refused",
    8: "the database of the service can't be used",
    9: "this machine lacks something",
    exit_status(BackendError): "a backend such as Nomad, or a git repository, failed; nothing was done",
    exit_status(Interrupted): "the deployment was cancelled, or a request to destroy replaced it",
    12: "`audit verify` found that the audit log isn't as the service wrote it",
    INTERRUPTED: "interrupted with Ctrl-C; a deployment continues",
    BROKEN_PIPE: "the reader of the output has gone, as after `| head`; that is no error",
}


class DeploymentFailed(Exception):
    """A deployment that was followed has failed with `error`."""

    def __init__(self, error: CalvinverseError) -> None:
        super().__init__(error.message)
        self.error = error


def tell(error: CalvinverseError, *, as_json: bool = False, debug: bool = False, status: int | None = None) -> int:
    """Prints an error on standard error and gives the exit status: `status`, or else that of the error."""
    if as_json:
        document = {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
        print(json.dumps({"error": document}, ensure_ascii=False, default=str), file=sys.stderr)
    else:
        from environments.words import clean

        print(f"error: {clean(error.message)}  [{error.code}]", file=sys.stderr)
        for line in _moved(error):
            print(f"moved: {clean(line)}", file=sys.stderr)
        if error.hint:
            print(f"hint:  {clean(error.hint)}", file=sys.stderr)
    if debug:
        for line in _chain(error):
            print(line, file=sys.stderr)
    return exit_status(type(error)) if status is None else status


def _moved(error: CalvinverseError) -> list[str]:
    """What has changed since a plan was made, unless the message says it."""
    moved = error.details.get("moved")
    return [str(one) for one in moved if str(one) not in error.message] if isinstance(moved, list) else []


def _chain(error: BaseException) -> Iterator[str]:
    """The chain of causes of an error, the nearest first, each with the place where it was raised."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        trace = cause.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"  at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
        yield f"cause: {type(cause).__name__}: {cause}{place}"
        cause = cause.__cause__ or cause.__context__
