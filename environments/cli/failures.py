"""Errors on the command line: told once, as a sentence, a hint and the code; the exit status says of which kind."""

import json
import sys
from collections.abc import Iterator

from environments.domain.errors import CalvinverseError

INTERRUPTED = 130
"""What shells expect after Ctrl-C (128 + SIGINT)."""

BROKEN_PIPE = 141
"""What shells expect when the reader of the output has gone (128 + SIGPIPE)."""

EXIT_STATUSES = {
    0: "done",
    1: "something went wrong that nobody foresaw",
    2: "the request is not valid: names, parameters, lifetimes, templates, options",
    3: "there is no such thing",
    4: "it doesn't fit the present state",
    5: "no token, a bad one, or one that may not do this",
    6: "a step, or a part such as Nomad, failed",
    7: "the service doesn't answer, or has too much to do",
    8: "the database of the service can't be used",
    9: "this machine lacks something",
    INTERRUPTED: "stopped with Ctrl-C",
}


def tell(error: CalvinverseError, *, as_json: bool = False, debug: bool = False) -> int:
    """Writes an error to standard error; the exit status."""
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
    return error.exit_code


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
