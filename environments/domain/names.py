"""Names: what an environment, a service and a step may be called, and the names derived from them."""

import re

from environments.domain.errors import InvalidName

LONGEST_ENVIRONMENT = 40
"""Characters; leaves room for the services of templates. Every service's own name is checked as well."""

LONGEST_LABEL = 63
"""Characters of a DNS label (RFC 1035, 2.3.4); `<environment>--<service>` must fit into one."""

LONGEST_HOST = 253
"""Characters of a host name (RFC 1035, 2.3.4)."""

META = "meta"
"""The one environment, and template, that runs Calvinverse itself; no other may have this name."""

DATA_VOLUME = "calvinverse-data"
"""Nomad's name of the host volume of the service: its state, and its database while that is SQLite."""

DATABASE_VOLUME = "calvinverse-postgres"
"""Likewise for the files of the service's PostgreSQL."""

EDGE_VOLUME = "calvinverse-edge"
"""Likewise for the certificates, with their keys and the account, that the edge gets by ACME."""

SERVICE_VOLUMES = frozenset({DATA_VOLUME, DATABASE_VOLUME, EDGE_VOLUME})
"""Host volumes that no environment but META gets."""

ID_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""What the random part of an id is written in: nothing that people take for something else."""

ID_LENGTH = 12
"""Characters of the random part: 60 bits."""

BY_ID = "id:"
"""Before what is meant as an environment's id, whatever it looks like. No name holds a colon."""

BY_NAME = "name:"
"""Before what is meant as an environment's name, whatever it looks like."""

_ID = re.compile(rf"env-[{ID_ALPHABET}]{{{ID_LENGTH}}}")
_LABEL = re.compile(r"[a-z]([a-z0-9]|-(?!-))*(?<!-)")
_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_HOST_LABEL}(?:\.{_HOST_LABEL})+")
_RESERVED = frozenset({"default", META})


def check_environment_name(name: str, *, reserved_allowed: bool = False) -> str:
    """The name itself, if an environment may have it.

    A double hyphen separates environment and service, so that the policy for `a--*` never covers environment `a-b`.
    What looks like an id is no name: it would stand for another environment. Raises `InvalidName`.
    """
    if is_id(name):
        raise InvalidName(f"{name!r} can't be an environment's name: it looks like an id.", hint="Choose another name.")
    if len(name) > LONGEST_ENVIRONMENT:
        raise InvalidName(f"The name {name[:50]!r} has {len(name)} characters; {LONGEST_ENVIRONMENT} is the most.")
    if not _LABEL.fullmatch(name):
        raise InvalidName(f"{name!r} can't be an environment's name.")
    if name in _RESERVED and not reserved_allowed:
        raise InvalidName(f"The name {name!r} is reserved.", hint="Choose another name.")
    return name


def is_id(text: str) -> bool:
    """Whether it has the shape of the ids that the service gives to environments."""
    return _ID.fullmatch(text) is not None


def is_label(name: str) -> bool:
    """Whether it is a DNS label without a double hyphen, as `check_label` wants it."""
    return len(name) <= LONGEST_LABEL and _LABEL.fullmatch(name) is not None


def is_host_name(text: str) -> bool:
    """Whether it is a host name in lower case, with a dot, that nobody takes for an IP address."""
    return len(text) <= LONGEST_HOST and _HOST.fullmatch(text) is not None and not text.rpartition(".")[2].isdigit()


def check_label(name: str, what: str) -> str:
    """The name itself, if it is a DNS label without a double hyphen; `what` names its role in the message."""
    if not is_label(name):
        raise InvalidName(
            f"{name!r} can't be the name of {what}.",
            hint="Use lower-case letters, digits and single hyphens, beginning with a letter.",
        )
    return name


def service_name(environment: str, service: str) -> str:
    """`<environment>--<service>`, the name in Consul. Raises `InvalidName` when it is no DNS label.

    The service's own name may have come from a value: it must not be able to ask Consul or OpenBao for anything else.
    """
    check_label(service, "a service")
    full = f"{environment}--{service}"
    if len(full) > LONGEST_LABEL:
        raise InvalidName(
            f"The service name {full!r} has {len(full)} characters; a DNS label holds {LONGEST_LABEL}.",
            hint=f"Use a name of at most {LONGEST_LABEL - len(service) - 2} characters for the environment.",
        )
    return full


SERVICE_MARK = "--"
"""Between the name of an environment and a service's own; no environment's name holds it, so the first one counts."""


def service_prefix(environment: str) -> str:
    """What the names of all services of an environment begin with."""
    return f"{environment}{SERVICE_MARK}"


def kv_prefix(environment: str) -> str:
    """The folder of an environment in Consul's key-value store and below OpenBao's `secret` mount."""
    return f"environments/{environment}/"
