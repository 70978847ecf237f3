"""What `postgres` is for: it makes its database once, keeps it, lets in who has the password, and stops when told."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from tests.support.authorities import MadeAuthority, make_authority

LIMIT = 30.0
FOLDER, EMPTY = "/tmp/database", "/tmp/empty"
PASSWORD = "it's \\ a $secret"  # an invented one, with what a shell or SQL could stumble over
AUTHORITY = make_authority("of the parts")
NAME = "postgres.calvinverse.internal"
REACH = f"host={NAME} hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=/tmp/ca.pem"
KILL_ALL = (
    'for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" != postgres ] || kill -KILL ${p#/proc/} || true; done'
)


@dataclass
class Server:
    """The server in the container under test. Its files stay from one start to the next."""

    host: Host
    healthy: Callable[[], CommandResult]
    folder: str = FOLDER

    def begin(self, password: str = PASSWORD, more: str = "") -> None:
        """Begins to start it; `more`: further variables, as a shell writes them."""
        self.host.check_output(
            "mkdir -p %s; rm -f /tmp/ended; printf '%%s\\n' %s > /tmp/password", self.folder, password
        )
        self.write("/tmp/ca.pem", AUTHORITY.pem)
        self.certify()
        settings = f"DATABASE_FOLDER={self.folder} DATABASE_PASSWORD_FILE=/tmp/password"
        settings += f" DATABASE_CERTIFICATE_FILE=/tmp/certificate.pem DATABASE_TLS_FOLDER=/tmp/tls {more}"
        start = f"env {settings} tini -s -- sh -c 'echo $$ > /tmp/pid; exec postgres-start' > /tmp/log 2>&1"
        command = ["docker", "exec", "--detach", self.host.backend.name, "sh", "-c", f"{start}; echo $? > /tmp/ended"]
        subprocess.run(command, check=True, capture_output=True, timeout=LIMIT)

    def start(self, password: str = PASSWORD, more: str = "") -> None:
        """Starts it, and returns when it takes connections."""
        self.begin(password, more)
        self.until(lambda: self.healthy().succeeded)

    def write(self, path: str, text: str) -> None:
        """Writes a file."""
        self.host.check_output("printf %%s %s > %s", text, path)

    def certify(self, authority: MadeAuthority = AUTHORITY) -> None:
        """Writes another certificate with its key, for the server to read."""
        with tempfile.TemporaryDirectory() as folder:
            self.write("/tmp/certificate.pem", authority.sign(Path(folder) / "server.pem", NAME).read_text())

    def shown(self) -> x509.Certificate:
        """The certificate that a new connection gets."""
        command = "openssl s_client -connect 127.0.0.1:5432 -starttls postgres </dev/null 2>/dev/null"
        told = self.host.run(command).stdout
        return x509.load_pem_x509_certificate(told[told.index("-----BEGIN CERT") :].encode())

    def signal(self, name: str) -> int:
        """Sends a signal to what was started; its exit status."""
        self.host.check_output(f"kill -{name} $(cat /tmp/pid)")
        return self.ended()

    def stop(self) -> None:
        """SIGKILL to every process of any server."""
        self.host.check_output(KILL_ALL)
        self.until(lambda: self.host.run("cat /proc/[0-9]*/comm | grep -qx postgres").failed)

    def ended(self) -> int:
        """The exit status, once it has ended."""
        self.until(lambda: self.host.run("test -s /tmp/ended").succeeded)
        return int(self.host.check_output("cat /tmp/ended"))

    def log(self) -> str:
        """What it wrote since it was started last."""
        return str(self.host.check_output("cat /tmp/log"))

    def sql(
        self,
        text: str,
        *,
        password: str = PASSWORD,
        user: str = "calvinverse",
        database: str = "",
        reach: str | None = None,
    ) -> CommandResult:
        """What psql says to a statement."""
        reach = f"{REACH} user={user} dbname={database or 'calvinverse'}" if reach is None else reach
        command = f"psql --no-psqlrc --tuples-only --no-align --command=%s '{reach}'"
        return self.host.run(f"PGPASSWORD=%s {command}", password, text)

    def until(self, true: Callable[[], bool]) -> None:
        """Waits until something is so."""
        deadline = time.monotonic() + LIMIT
        while not true():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)


@pytest.fixture
def server(host: Host, health: Callable[[], CommandResult]) -> Server:
    """A server that takes connections, on files that all tests share: to make them takes most of the time."""
    server = Server(host, health)
    if not server.sql("SELECT 1").succeeded:
        server.stop()
        server.start()
    return server


@pytest.fixture
def stopped(host: Host, health: Callable[[], CommandResult]) -> Iterator[Server]:
    """A server without files that doesn't run yet."""
    Server(host, health).stop()
    stopped = Server(host, health, EMPTY)
    yield stopped
    stopped.stop()
    host.check_output(f"rm -rf {EMPTY}")


def test_what_was_written_is_there_after_a_restart_and_after_a_crash(server: Server) -> None:
    assert server.sql("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('one')").succeeded
    assert server.signal("TERM") == 0
    server.start()
    assert server.sql("INSERT INTO kept VALUES ('two')").succeeded
    server.stop()
    assert server.ended() == 137
    server.start()
    assert server.sql("SELECT word FROM kept").stdout.split() == ["one", "two"]
    assert "initdb" not in server.log()


def test_it_serves_loopback_alone_unless_it_is_told_to_serve_a_network(server: Server) -> None:
    other = f"{REACH.replace('127.0.0.1', '127.0.0.2')} user=calvinverse dbname=calvinverse"
    assert server.sql("SELECT 1", reach=other).failed
    for more, served in (
        ("DATABASE_LISTEN=0.0.0.0 DATABASE_CLIENTS=samenet", True),
        ("DATABASE_LISTEN=0.0.0.0 DATABASE_CLIENTS=192.0.2.0/24", False),
    ):
        server.stop()
        server.start(more=more)
        assert server.sql("SELECT 1", reach=other).succeeded is served
        assert server.sql("SELECT 1", password="wrong", reach=other).failed
    server.stop()
    server.start()


@pytest.mark.parametrize("signal", ["TERM", "INT"])
def test_it_stops_in_order_though_somebody_is_connected(server: Server, signal: str) -> None:
    name = server.host.backend.name
    reach = f"{REACH} user=calvinverse dbname=calvinverse"
    sleeper = f"PGPASSWORD=$(cat /tmp/password) exec psql '{reach}' -c 'SELECT pg_sleep(600)'"
    subprocess.run(["docker", "exec", "--detach", name, "sh", "-c", sleeper], check=True, timeout=LIMIT)
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(600)' AND wait_event = 'PgSleep'"
    server.until(lambda: server.sql(asleep).stdout.strip() == "1")
    assert server.signal(signal) == 0
    assert "database system is shut down" in server.log()


def test_who_has_another_password_does_not_get_in(server: Server) -> None:
    refused = server.sql("SELECT 1", password="another")
    assert refused.failed
    assert "password authentication failed" in refused.stderr
    assert server.sql("SELECT 1").succeeded


def test_nobody_gets_in_without_tls(server: Server) -> None:
    refused = server.sql("SELECT 1", reach="host=127.0.0.1 sslmode=disable user=calvinverse dbname=calvinverse")
    assert refused.failed
    assert "no encryption" in refused.stderr
    assert server.sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").stdout.strip() == "t"


def test_a_renewed_certificate_is_read_while_connections_go_on(server: Server) -> None:
    """A file that holds none changes nothing."""
    name, before = server.host.backend.name, server.shown()
    work = "PGPASSWORD=$(cat /tmp/password) exec psql '" + REACH + " user=calvinverse dbname=calvinverse' "
    work += "-c 'CREATE TABLE steps (n int)' "
    body = "FOR n IN 1..600 LOOP INSERT INTO steps VALUES (n); COMMIT; PERFORM pg_sleep(0.1); END LOOP;"
    work += f"-c 'DO $$ BEGIN {body} END $$'"
    subprocess.run(["docker", "exec", "--detach", name, "sh", "-c", work], check=True, timeout=LIMIT)

    def steps() -> int:
        return int(server.sql("SELECT count(*) FROM steps").stdout.strip() or 0)

    server.until(lambda: steps() > 0)
    server.certify()
    server.host.check_output("kill -HUP $(cat /tmp/pid)")
    server.until(lambda: server.shown() != before)
    renewed, count = server.shown(), steps()
    server.until(lambda: steps() > count)
    server.write("/tmp/certificate.pem", "garbage")
    server.host.check_output("kill -HUP $(cat /tmp/pid)")
    server.until(lambda: "could not load server certificate" in server.log())
    assert server.shown() == renewed
    assert server.host.run("test -e /tmp/ended").failed


def test_without_a_certificate_it_makes_nothing(stopped: Server) -> None:
    stopped.host.check_output("mkdir -p %s && printf x > /tmp/password", EMPTY)
    refused = stopped.host.run(f"DATABASE_FOLDER={EMPTY} DATABASE_PASSWORD_FILE=/tmp/password postgres-start")
    assert refused.failed
    assert "there is no certificate in DATABASE_CERTIFICATE_FILE (not set)" in refused.stderr
    assert stopped.host.check_output(f"ls {EMPTY}") == ""


def test_the_superuser_and_other_databases_are_out_of_reach(server: Server) -> None:
    for user, database in (("postgres", "postgres"), ("postgres", "calvinverse"), ("calvinverse", "postgres")):
        refused = server.sql("SELECT 1", user=user, database=database)
        assert refused.failed
        assert "no pg_hba.conf entry" in refused.stderr
    assert server.sql("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = user").stdout.strip() == "f"


def test_the_password_of_its_file_counts_from_the_next_start_on(server: Server) -> None:
    assert server.signal("TERM") == 0
    server.start(password="the next one")
    assert server.sql("SELECT 1").failed
    assert server.sql("SELECT 1", password="the next one").succeeded


def test_the_password_is_in_no_command_line_and_no_log(server: Server) -> None:
    assert server.host.run("grep -sl 'a [$]secret' /proc/[0-9]*/cmdline /tmp/log").stdout == ""
    passwords = server.host.check_output(f"grep -rsl 'a [$]secret' {FOLDER} || true")
    assert passwords == ""


def test_without_a_password_it_makes_nothing(stopped: Server) -> None:
    stopped.begin(password="")
    assert stopped.ended() == 1
    assert "there is no password in DATABASE_PASSWORD_FILE" in stopped.log()
    assert stopped.host.check_output(f"ls {EMPTY}") == ""


def test_a_start_that_was_killed_is_begun_anew(stopped: Server) -> None:
    stopped.host.check_output(f"mkdir -p {EMPTY}/unfinished/base && echo 15 > {EMPTY}/unfinished/PG_VERSION")
    stopped.start()
    assert stopped.sql("SELECT current_database()").stdout.strip() == "calvinverse"
    assert stopped.host.run(f"test -e {EMPTY}/unfinished").failed


def test_files_of_another_version_are_left_alone(server: Server) -> None:
    assert server.signal("TERM") == 0
    server.host.check_output(f"echo 14 > {server.folder}/data/PG_VERSION")
    server.begin()
    ended, said = server.ended(), server.log()
    server.host.check_output(f"echo 15 > {server.folder}/data/PG_VERSION")
    assert ended == 1
    assert "are of PostgreSQL 14, and this is PostgreSQL 15" in said


def test_a_second_one_waits_until_the_first_has_ended(server: Server) -> None:
    assert server.sql("CREATE TABLE here (word text)").succeeded
    before = server.host.check_output("cat /tmp/pid")
    server.begin()
    server.until(lambda: server.host.check_output("cat /tmp/pid") != before)
    assert server.sql("SELECT * FROM here").succeeded
    assert server.host.run("test -e /tmp/ended").failed
    server.host.check_output(f"kill -TERM {before}")
    server.until(lambda: "ready to accept connections" in server.log())
    assert server.sql("SELECT * FROM here").succeeded


def test_it_listens_on_loopback_alone_and_keeps_its_files_to_itself(server: Server) -> None:
    listening = [line.split() for line in server.host.check_output("cat /proc/net/tcp").splitlines()[1:]]
    assert {fields[1] for fields in listening if fields[3] == "0A"} == {"0100007F:1538"}
    ipv6 = [line.split() for line in server.host.check_output("cat /proc/net/tcp6").splitlines()[1:]]
    assert [fields for fields in ipv6 if fields[3] == "0A"] == []
    assert server.host.check_output(f"stat -c '%U %a' {server.folder}/data") == "calvinverse 700"


def test_a_costly_query_runs_without_a_compiler(server: Server) -> None:
    told = server.sql("SET jit = on; SET jit_above_cost = 0; SELECT sum(i) FROM generate_series(1, 1000) i")
    assert told.stdout.split()[-1] == "500500", told.stderr
    assert server.sql("SELECT pg_jit_available()").stdout.strip() == "f"
    assert server.host.check_output("find / -xdev -name 'libLLVM*' 2>/dev/null; true") == ""


def test_no_database_and_no_key_came_with_the_packages(root: Host, container: dict[str, Any]) -> None:
    found = root.run("ls -d /var/lib/postgresql /etc/postgresql/15 /etc/ssl/private/*")
    assert found.stdout == ""
    assert root.check_output("find /var/lib/calvinverse -mindepth 1") == ""
    assert "PGPASSWORD" not in " ".join(container["Config"]["Env"])


def test_its_health_check_fails_where_nothing_listens(stopped: Server) -> None:
    assert stopped.healthy().failed
