"""Errors on the command line: told once, as a sentence, a hint and the code; the exit status says of which kind."""

import json
import sys
from collections.abc import Iterator

from environments.domain.errors import BackendError, CalvinverseError, Interrupted
from environments.exit_statuses import exit_status

INTERRUPTED = 130
"""What shells expect after Ctrl-C (128 + SIGINT)."""

BROKEN_PIPE = 141
"""What shells expect when the reader of the output has gone (128 + SIGPIPE)."""

DEPLOYMENT_FAILED = 6
"""Of whatever the deployment failed with: the request was taken, so the environment is there."""

EXIT_STATUSES = {
    0: "done",
    1: "something went wrong that nobody foresaw",
    2: "the request is not valid: names, parameters, lifetimes, templates, options; nothing was done",
    3: "there is no such thing; nothing was done",
    4: "it doesn't fit the present state; nothing was done",
    5: "no token, a bad one, or one that may not do this; nothing was done",
    DEPLOYMENT_FAILED: "the deployment failed; its environment is there, and `env show` says how it is",
    7: "the service doesn't answer, or has too much to do",
    8: "the database of the service can't be used",
    9: "this machine lacks something",
    exit_status(BackendError): "a part such as Nomad, or a git repository, failed when it was asked; nothing was done",
    exit_status(Interrupted): "the deployment was cancelled, or a request to destroy took its place",
    INTERRUPTED: "stopped with Ctrl-C; a deployment goes on",
    BROKEN_PIPE: "the reader of the output has gone, as after `| head`; that is no error",
}


class DeploymentFailed(Exception):
    """A deployment that was followed failed; `error` is what it failed with."""

    def __init__(self, error: CalvinverseError) -> None:
        super().__init__(error.message)
        self.error = error


def tell(error: CalvinverseError, *, as_json: bool = False, debug: bool = False, status: int | None = None) -> int:
    """Writes an error to standard error; the exit status, which is the error's own unless another one is given."""
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
    """What keeps a plan from being applied, as far as the message doesn't say it."""
    moved = error.details.get("moved")
    return [str(one) for one in moved if str(one) not in error.message] if isinstance(moved, list) else []


def _chain(error: BaseException) -> Iterator[str]:
    """The causes of an error, the nearest first, each with the place it came from."""
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
