"""The options of `doit deploy` for the edge, and what deploy says about it."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from environments import named_contexts
from environments.addresses import is_loopback
from environments.authorities import read_authority_file
from environments.domain.errors import CalvinverseError, InvalidInput
from jobs.edge import AcmeChoice, CertificateFiles, EdgeChoice, Source

RENDERED_MINUTES = 5
"""Within that time Nomad's template reads a secret of OpenBao again that has no lease."""


class EdgeOptions(TypedDict):
    """Options as a person gives them; empty: not given."""

    listen: str
    address: str
    no_edge: bool
    local_authority: bool
    edge_certificate: str
    edge_key: str
    edge_ca: str
    acme_directory: str
    acme_email: str
    acme_ca: str
    acme_account: str


def edge_choice(port: int | None, options: EdgeOptions) -> EdgeChoice:
    """What they ask for; `port`: where the edge listens at first, None: at its usual port.

    Raises `InvalidInput` for options that don't go together, and files that can't be read.
    """
    chosen = [
        name
        for name, given in (
            ("--local-authority", options["local_authority"]),
            ("--edge-certificate", options["edge_certificate"] or options["edge_key"] or options["edge_ca"]),
            ("--acme-directory", _asks_for_acme(options)),
        )
        if given
    ]
    if len(chosen) > 1:
        raise InvalidInput(
            f"{chosen[0]} and {chosen[1]} are given, and the edge has one certificate.", hint="Leave one of them out."
        )
    return EdgeChoice(options["listen"], options["address"], _certificate(options), options["no_edge"], port)


def _asks_for_acme(options: EdgeOptions) -> bool:
    return any((options["acme_directory"], options["acme_email"], options["acme_ca"], options["acme_account"]))


def _certificate(options: EdgeOptions) -> CertificateFiles | AcmeChoice | Source | None:
    if options["local_authority"]:
        return Source.AUTHORITY
    if options["edge_certificate"] or options["edge_key"] or options["edge_ca"]:
        if not (options["edge_certificate"] and options["edge_key"]):
            raise InvalidInput(
                "The edge's own certificate needs its key, and the other way round.",
                hint="Give both, with --edge-certificate and --edge-key.",
            )
        authority = Path(options["edge_ca"]) if options["edge_ca"] else None
        return CertificateFiles(Path(options["edge_certificate"]), Path(options["edge_key"]), authority)
    if not _asks_for_acme(options):
        return None
    if not options["acme_directory"]:
        raise InvalidInput(
            "The edge needs to know where it gets certificates by ACME.",
            hint="Give the URL of the authority's directory with --acme-directory.",
        )
    ca = read_authority_file(Path(options["acme_ca"]), datetime.now(UTC)) if options["acme_ca"] else ""
    account = _account(Path(options["acme_account"])) if options["acme_account"] else ""
    return AcmeChoice(options["acme_directory"], options["acme_email"], ca, account)


def _account(path: Path) -> str:
    try:
        return " ".join(path.read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The ACME account in {path} can't be read.", hint="Check its path.") from error


def told_of(
    choice: EdgeChoice, parameters: Mapping[str, Any], address: str | None, before: str | None, state: Path
) -> Iterator[str]:
    """What a person should know after a deployment.

    `parameters` are those of `meta`. `address` is the edge's URL, `before` the one that it had until then; None: there
    is none.
    """
    if address is not None:
        ours = parameters["edge_source"] == Source.AUTHORITY
        by = ", with a certificate of OpenBao's authority (mount pki)" if ours else ""
        if is_loopback(f"https://{parameters['edge_host']}"):
            yield f"The edge at {address} is for this machine alone: `doit deploy --listen` opens it to others."
        else:
            yield f"Other machines reach it at {address}{by}."
    else:
        yield "There is no edge, so there is no web page: people use the command line and the terminal UI."
    if isinstance(choice.certificate, CertificateFiles):
        yield f"It shows the certificate of {choice.certificate.certificate} within {RENDERED_MINUTES} minutes."
        yield "Renew it in time: run the same command with the new files. The edge isn't restarted for that."
    elif isinstance(choice.certificate, AcmeChoice):
        yield "It gets its certificate by ACME, and renews it: the authority has to reach it at port 443 of its name."
    if before is not None and address != before:
        gone = "The edge is switched off" if address is None else f"The edge has another address than {before}"
        using = ", ".join(contexts_of(state, before))
        yield f"{gone}: contexts with {before} reach nothing any more{f', here {using}' if using else ''}."
        yield "Remove them with `calvinverse context remove`, or replace them with `calvinverse context add --replace`."


def contexts_of(state: Path, address: str) -> Iterator[str]:
    """The names of the stored contexts of this machine that use an address."""
    for name in named_contexts.names(state):
        try:
            if named_contexts.read(state, name).address.rstrip("/") == address.rstrip("/"):
                yield name
        except CalvinverseError:  # it can't be read, so it leads nowhere
            continue
