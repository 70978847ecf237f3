"""Checks names and lifetimes: those for which OpenBao issues no certificate, or one that clients refuse."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from environments.domain.deadline import format_duration, parse_duration
from environments.domain.errors import CalvinverseError
from environments.domain.faults import Fault, Path
from environments.domain.names import is_label
from environments.steps.options import has_expression

SHORTEST = timedelta(minutes=5)
"""Nomad requests the next certificate when a tenth of the time is left; less than half a minute may be too short."""

LONGEST = timedelta(days=3650)
"""How long the CA is valid."""

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LONGEST_NAME = 253
"""Characters of a DNS name (RFC 1035, 2.3.4)."""


def certificate_faults(options: Mapping[str, Any]) -> Iterator[Fault]:
    """Faults in the raw options of a step."""
    names = options.get("names")
    for number, name in enumerate(names if isinstance(names, list) else ()):
        if isinstance(name, str) and not has_expression(name) and (wrong := name_fault(name)):
            yield _fault(("with", "names", number), f"with.names[{number}]", *wrong)
    service = options.get("service")
    if isinstance(service, str) and not has_expression(service) and not is_label(service):
        message = f"{service[:80]!r} can't be the name of a service"
        yield _fault(("with", "service"), "with.service", message, "use lower-case letters, digits and single hyphens")
    ttl = options.get("ttl")
    if isinstance(ttl, str) and not has_expression(ttl):
        try:
            length = parse_duration(ttl)
        except CalvinverseError:
            return  # reported by the options' own model
        if timedelta(minutes=1) <= length < SHORTEST:
            message = f"{ttl} is too short: a job gets its next certificate when a tenth of the time is left"
            yield _fault(("with", "ttl"), "with.ttl", message, f"give at least {format_duration(SHORTEST)}")
        elif length > LONGEST:
            message = f"{ttl} is longer than the CA is valid"
            yield _fault(("with", "ttl"), "with.ttl", message, f"give at most {format_duration(LONGEST)}")


def name_fault(name: str) -> tuple[str, str] | None:
    """Why no certificate is issued for a DNS name, and what to do; None if one is issued."""
    shown = repr(name[:80])
    if "*" in name:
        return f"no certificate is issued for the wildcard {shown}", "write each name out"
    if not name.isascii():
        return f"{shown} is not written in the form that DNS uses", _punycode(name)
    if name.endswith("."):
        return f"{shown} ends with a dot, so it matches no address", f'write "{name[:79].rstrip(".")}"'
    if "_" in name:
        return f"no certificate is issued for {shown}: a name has no underscore", "use hyphens"
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(part) for part in name.split(".")):
        return f"{shown} is no DNS name", ""
    return None


def _punycode(name: str) -> str:
    try:
        return f'write "{name.encode("idna").decode()}"'
    except UnicodeError:
        return ""


def _fault(path: Path, place: str, message: str, suggestion: str) -> Fault:
    return Fault(path=path, message=f"{place}: {message}", suggestion=suggestion)
