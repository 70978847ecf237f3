"""The machine that deployed uses the edge's address, and knows what to do when the edge is away."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from environments.client import connect
from environments.context import ADDRESS_VARIABLE, CONTEXT_FILE, Context, find_context, write_context
from environments.domain.errors import CertificateRefused, ServiceUnavailable
from environments.wire.environments import EnvironmentView, OutputView
from jobs.edge import CertificateFiles, EdgeChoice
from jobs.edge_context import EXTERNAL, context_by_edge
from jobs.places import Places
from jobs.status import Line, listeners, status_lines
from tests.fakes.service import listening, make_service
from tests.support.authorities import MadeAuthority, make_authority
from tests.support.edge_harness import NAME, Edge, edge
from tests.support.views import environment_view

PARTS = make_authority("of the parts")
OWN = "provisioning.calvinverse.internal"


@dataclass
class Machine:
    """A machine with a service and an edge in front of it; either can be taken away."""

    where: Places
    service: Context
    edge: Edge
    front: ExitStack
    """Ends the edge."""
    back: ExitStack
    """Ends the service."""
    said: list[str]

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.edge.settings.port}"

    def meta(self, name: str = NAME) -> EnvironmentView:
        """`meta` with an edge at that name."""
        external = OutputView(value=f"https://{name}:{self.edge.settings.port}")
        return environment_view("meta", parameters={"edge_source": "files"}, outputs={EXTERNAL: external})

    def choice(self, authority: MadeAuthority) -> EdgeChoice:
        """A certificate of one's own, signed by that authority."""
        file = self.where.state / "given.pem"
        file.write_text(authority.pem)
        return EdgeChoice(certificate=CertificateFiles(Path("unread"), Path("unread"), file))

    def deployed(self) -> Context:
        """Ends a deployment: the context as it is stored."""
        authority = self.edge.authority
        context = context_by_edge(self.where, self.service, self.meta(), self.choice(authority), self.said.append)
        write_context(self.where.state, context)
        return found(self)

    def line(self, part: str) -> Line:
        """What `doit status` says of a part."""
        return next(line for line in status_lines(self.where) if line.part == part)


def found(machine: Machine, **variables: str) -> Context:
    """What a client of this machine finds."""
    return find_context(environ={"CALVINVERSE_STATE": str(machine.where.state), **variables})


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    where = Places(tmp_path / "state")
    where.state.mkdir()
    made = make_service(tmp_path / "service")
    where.token.write_text(made.tokens.first_token("ada", "test"))
    where.authority.write_text(PARTS.pem)
    with ExitStack() as back, ExitStack() as front:
        back.callback(made.database.close)
        address = back.enter_context(listening(made, tls=PARTS.sign(tmp_path / "tls.pem", "127.0.0.1", OWN)))
        running = front.enter_context(
            edge(
                tmp_path,
                urlsplit(address).port or 0,
                EDGE_UPSTREAM=address,
                EDGE_UPSTREAM_CA_FILE=str(where.authority),
                EDGE_UPSTREAM_NAME=OWN,
            )
        )
        service = Context(address=address, token_file=where.token, ca_file=where.authority, name="meta")
        yield Machine(where, service, running, front, back, [])


def test_the_context_leads_through_the_edge_with_its_authority_pinned(machine: Machine) -> None:
    context = machine.deployed()
    assert (context.address, context.ca_file) == (machine.url, machine.where.edge_authority)
    with connect(context) as client:
        assert client.info().owner == "ada"
    assert machine.edge.log.count("/self/info") >= 2
    assert machine.line("edge") == Line("edge", "✓ healthy", "", machine.url)
    assert machine.line("service").address == machine.service.address
    ports = {listener.purpose: (listener.port, listener.ours) for listener in listeners(machine.where)}
    assert ports["the edge"] == (machine.edge.settings.port, True)
    assert machine.said == []


def test_another_certificate_at_the_edge_gets_no_token(machine: Machine) -> None:
    context = machine.deployed()
    machine.where.edge_authority.write_text(make_authority().pem)
    with connect(context) as client, pytest.raises(CertificateRefused) as refused:
        client.info()
    assert "The token was not sent." in refused.value.hint
    assert f"{ADDRESS_VARIABLE}={machine.service.address}" in refused.value.hint


def test_without_the_edge_people_are_told_a_way(machine: Machine) -> None:
    context = machine.deployed()
    machine.front.close()
    with connect(context) as client, pytest.raises(ServiceUnavailable) as away:
        client.info()
    assert away.value.message == f"The edge at {machine.url} can't be reached. The service behind it answers."
    assert "doit deploy" in away.value.hint
    assert f"export {ADDRESS_VARIABLE}={machine.service.address}" in away.value.hint
    # What the sentence says works, with the token and the authority of that context.
    meanwhile = found(machine, CALVINVERSE_ADDRESS=machine.service.address)
    assert (meanwhile.token_file, meanwhile.ca_file) == (machine.where.token, machine.where.authority)
    with connect(meanwhile) as client:
        assert client.info().owner == "ada"
    assert machine.line("edge").health.startswith("✗ The edge at")
    assert machine.line("service").health.startswith("✓")
    (ours,) = [listener for listener in listeners(machine.where) if listener.purpose == "the edge"]
    assert (ours.port, ours.ours) == (machine.edge.settings.port, False)


def test_the_way_is_not_told_where_another_program_has_the_services_port(machine: Machine) -> None:
    context = machine.deployed()
    machine.where.authority.write_text(make_authority().pem)
    machine.front.close()
    with connect(context) as client, pytest.raises(ServiceUnavailable) as away:
        client.info()
    assert away.value.message == f"The service at {machine.url} can't be reached."


def test_a_service_that_is_away_is_told_by_the_edge(machine: Machine) -> None:
    context = machine.deployed()
    machine.back.close()
    with connect(context) as client, pytest.raises(ServiceUnavailable) as away:
        client.info()
    assert away.value.message == "The edge answers, but the service behind it doesn't."
    assert "doit status" in away.value.hint
    # The edge isn't to blame: its port is its own.
    (ours,) = [listener for listener in listeners(machine.where) if listener.purpose == "the edge"]
    assert (ours.port, ours.ours) == (machine.edge.settings.port, True)


def test_a_name_that_this_machine_does_not_reach_is_told_and_the_service_used(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.edge_context.REACHED_SECONDS", 0.0)
    meta = machine.meta("calvinverse.invalid")
    authority = machine.edge.authority
    context = context_by_edge(machine.where, machine.service, meta, machine.choice(authority), machine.said.append)
    assert context == machine.service
    (said,) = machine.said
    assert f"goes on using {machine.service.address}" in said
    assert "calvinverse.invalid" in said


def test_without_an_edge_nothing_stays_of_its_authority(machine: Machine) -> None:
    machine.deployed()
    plain = environment_view("meta", parameters={"edge": False})
    assert context_by_edge(machine.where, machine.service, plain, EdgeChoice(off=True), print) == machine.service
    assert not machine.where.edge_authority.exists()


def test_older_contexts_are_read(machine: Machine) -> None:
    (machine.where.state / CONTEXT_FILE).write_text(f'{{"address": "{machine.service.address}"}}')
    assert found(machine).without_edge().address == machine.service.address
