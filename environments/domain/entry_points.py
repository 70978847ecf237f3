"""Host names of entry points, for services of environments, and the domain that all of them share."""

from enum import StrEnum

from environments.domain.errors import InvalidInput, InvalidName
from environments.domain.names import LONGEST_HOST, LONGEST_LABEL, check_label, is_host_name

_PUNYCODE = "xn--"
"""What labels begin with that stand for others (RFC 5891, 4.4): a browser would show another name."""


class EntryAccess(StrEnum):
    """Who may use an entry point: everybody who reaches the edge, or nobody."""

    EVERYBODY = "everybody"
    NOBODY = "nobody"


def entry_hosts(environment: str, service: str, domain: str) -> tuple[str, str]:
    """`<service>--<environment>.<domain>` and `<service>.<environment>.<domain>`.

    Raises `InvalidName` if a label has more than 63 characters or a name more than 253, and for the service `xn`.
    """
    check_label(service, "a service")
    joined = f"{service}--{environment}"
    if joined.startswith(_PUNYCODE):
        raise InvalidName(
            f"The service {service!r} can't have an entry point: browsers read {joined!r} as another name.",
            hint="Give the service another name.",
        )
    if len(joined) > LONGEST_LABEL:
        raise InvalidName(
            f"The entry point {joined!r} has {len(joined)} characters; a label of a host name has at most "
            f"{LONGEST_LABEL}.",
            hint=f"Use a name of at most {LONGEST_LABEL - len(service) - 2} characters for the environment.",
        )
    hosts = (f"{joined}.{domain}", f"{service}.{environment}.{domain}")
    if (longest := max(map(len, hosts))) > LONGEST_HOST:
        raise InvalidName(
            f"The entry point {hosts[0][:40]!r}… has {longest} characters; a host name has at most {LONGEST_HOST}.",
            hint="Use a shorter name for the environment, or a shorter domain.",
        )
    return hosts


def certificate_names(environment: str, services: tuple[str, ...], domain: str) -> tuple[str, ...]:
    """The names in the one certificate of an environment.

    A wildcard stands for one label, so the names with two hyphens, which are beside it, are written out.
    """
    return (f"*.{environment}.{domain}", *(entry_hosts(environment, service, domain)[0] for service in services))


def entry_url(host: str, port: int) -> str:
    """The address of a host at the edge, which listens on `port`."""
    return f"https://{host}" if port == 443 else f"https://{host}:{port}"


def check_entry_domain(domain: str, page: str) -> str:
    """The domain itself, if entry points may be below it while the edge answers for `page`. Raises `InvalidInput`.

    A browser sends cookies of a name to all names below it, and lets a name set cookies for those above it. So
    environments must be neither above nor below the page of Calvinverse.
    """
    if not is_host_name(domain):
        raise InvalidInput(
            f"{domain!r} can't be the domain of entry points.",
            hint="Give a domain in lower case with a dot, such as apps.example.org; write other letters in punycode.",
        )
    why = ""
    if domain == page:
        why = "it is the address of the service"
    elif domain.endswith(f".{page}"):
        why = f"it is below {page}, and environments could set cookies for that"
    elif page.endswith(f".{domain}"):
        why = f"{page} is below it, and would get cookies that environments set"
    if why:
        raise InvalidInput(
            f"{domain!r} can't be the domain of entry points: {why}.",
            hint=f"Choose a domain beside {page}, best one below another registered domain.",
        )
    return domain


def shared_parent(domain: str, page: str) -> str:
    """The domain above both for which environments can set cookies that the page gets; empty if there is none.

    A domain of one label is none: no browser accepts a cookie for it. Domains such as `co.uk`, for which none does
    either, can't be told from others here.
    """
    common: list[str] = []
    for ours, other in zip(reversed(domain.split(".")), reversed(page.split(".")), strict=False):
        if ours != other:
            break
        common.insert(0, ours)
    return ".".join(common) if len(common) > 1 else ""
