"""What schemathesis checks beside what it knows itself; it loads this file (SCHEMATHESIS_HOOKS).

Other answers above 500 say that a part doesn't answer or that it is too busy, which a test cluster may well be.
"""

import json
import os
from typing import Any

import schemathesis

SLOW = 2.0
"""Seconds."""

TRIES = 3

SPARED = frozenset(json.loads(os.environ.get("FUZZ_SPARED", "[]")))
"""What stays for further requests. Schemathesis learns names and ids from answers, so it finds these too."""


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Any, kwargs: dict[str, Any]) -> None:
    """Puts another name in the place of what stays, in requests that may end it."""
    if case.method.upper() == "GET":
        return
    for values in (case.path_parameters, case.query):
        for name, value in (values or {}).items():
            if value in SPARED:
                values[name] = "spared"


@schemathesis.check
def nothing_internal(context: schemathesis.CheckContext, response: schemathesis.Response, case: Any) -> None:
    """No 500, no error that nobody foresaw, no traceback."""
    text = response.text or ""
    if response.status_code == 500 or '"code":"internal"' in text.replace(" ", "") or "Traceback (most" in text:
        raise AssertionError(f"{response.status_code}: {text[:500]}")


@schemathesis.check
def nothing_hangs(context: schemathesis.CheckContext, response: schemathesis.Response, case: Any) -> None:
    """No answer takes longer than 2 s, unless the machine is busy: then the same question is answered in time later."""
    elapsed = response.elapsed
    headers = {"Authorization": f"Bearer {os.environ['FUZZ_TOKEN']}"}
    for _ in range(TRIES):
        if elapsed <= SLOW:
            return
        elapsed = case.call(headers=headers, timeout=30).elapsed
    raise AssertionError(f"it took {elapsed:.1f} s, each of {TRIES + 1} times")
